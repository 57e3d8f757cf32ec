# CMake toolchain file: kernels as PTX, NVIDIA's assembler text, by the clang inside the pinned zig. No CUDA toolkit takes part.
#   cmake -DCMAKE_TOOLCHAIN_FILE=toolchains/ptx/ptx.cmake -DH5Z_ZIG=<folder of ./farm tools zig>
# Floor: PTX 6.0 for sm_70, which drivers from CUDA 9 on compile for every GPU since Volta.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES H5Z_ZIG)

set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR nvptx64)
set(CMAKE_C_COMPILER "${H5Z_ZIG}/bin/zig")
# There is nothing to try: PTX is not linked.
set(CMAKE_C_COMPILER_ID Clang)
set(CMAKE_C_COMPILER_ID_RUN TRUE)
set(CMAKE_C_COMPILER_VERSION 21.0)
set(CMAKE_C_COMPILER_FORCED TRUE)
set(CMAKE_C_COMPILER_FRONTEND_VARIANT GNU)
set(CMAKE_C_STANDARD_COMPUTED_DEFAULT 17)
set(CMAKE_C_EXTENSIONS_COMPUTED_DEFAULT ON)
set(CMAKE_SIZEOF_VOID_P 8)
# A toolkit that lies about on the machine must not be found: clang would write the newest PTX that it knows. -Os, behind the flags that
# all compilers get: the text is for a driver that optimises it anew (docs/decisions/kernel-text.md).
set(CMAKE_C_COMPILE_OBJECT
  "<CMAKE_C_COMPILER> clang -x c --target=nvptx64-nvidia-cuda -march=sm_70 -Xclang -target-feature \
-Xclang +ptx60 --cuda-path=/nonexistent -nostdlibinc -ffreestanding -isystem ${H5Z_ZIG}/ziglang/lib/include \
<DEFINES> <INCLUDES> <FLAGS> -Os -S -o <OBJECT> <SOURCE>"
  "\"${CMAKE_COMMAND}\" -DTEXT=<OBJECT> -P \"${CMAKE_CURRENT_LIST_DIR}/strip.cmake\"")
set(CMAKE_C_OUTPUT_EXTENSION .ptx)
