# CMake toolchain file: any of the eight platforms, cross-compiled by zig.
#   cmake -DCMAKE_TOOLCHAIN_FILE=toolchains/zig/platform.cmake -DH5Z_PLATFORM=linux-arm64 -DH5Z_ZIG_BIN=<bin of ./farm tools zig>
# Floors: glibc 2.17, macOS 11, Windows 10. Processors are the platform's baseline: code chooses better ones at run time.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES H5Z_PLATFORM H5Z_ZIG_BIN)

if(NOT H5Z_PLATFORM MATCHES "^(linux|darwin|win32)-(x64|arm64)(-musl)?$")
  message(FATAL_ERROR "H5Z_PLATFORM is \"${H5Z_PLATFORM}\": pass one of linux-x64, linux-arm64, linux-x64-musl, "
    "linux-arm64-musl, darwin-x64, darwin-arm64, win32-x64, win32-arm64")
endif()
set(h5z_os "${CMAKE_MATCH_1}")
set(h5z_libc "gnu.2.17")
if(CMAKE_MATCH_3)
  set(h5z_libc "musl")
endif()
if(CMAKE_MATCH_2 STREQUAL "x64")
  set(CMAKE_SYSTEM_PROCESSOR x86_64)
else()
  set(CMAKE_SYSTEM_PROCESSOR aarch64)
endif()

if(h5z_os STREQUAL "linux")
  set(CMAKE_SYSTEM_NAME Linux)
  set(h5z_triple "${CMAKE_SYSTEM_PROCESSOR}-linux-${h5z_libc}")
elseif(h5z_os STREQUAL "darwin")
  set(CMAKE_SYSTEM_NAME Darwin)
  set(h5z_triple "${CMAKE_SYSTEM_PROCESSOR}-macos.11.0")
  # zig brings its own macOS headers and stubs; CMake must look for no SDK.
  set(CMAKE_OSX_SYSROOT "" CACHE STRING "")
  set(CMAKE_OSX_DEPLOYMENT_TARGET "" CACHE STRING "")
else()
  set(CMAKE_SYSTEM_NAME Windows)
  set(h5z_triple "${CMAKE_SYSTEM_PROCESSOR}-windows-gnu")
endif()

set(CMAKE_C_COMPILER "${H5Z_ZIG_BIN}/zig-cc")
set(CMAKE_CXX_COMPILER "${H5Z_ZIG_BIN}/zig-c++")
set(CMAKE_ASM_COMPILER "${H5Z_ZIG_BIN}/zig-cc")
foreach(language IN ITEMS C CXX ASM)
  set(CMAKE_${language}_COMPILER_TARGET "${h5z_triple}")
  # -fno-sanitize: zig turns UBSan on by itself where optimisation is off.
  set(CMAKE_${language}_FLAGS_INIT "-target ${h5z_triple} -fno-sanitize=undefined")
endforeach()
set(CMAKE_AR "${H5Z_ZIG_BIN}/zig-ar" CACHE FILEPATH "")
set(CMAKE_RANLIB "${H5Z_ZIG_BIN}/zig-ranlib" CACHE FILEPATH "")
set(CMAKE_DLLTOOL "${H5Z_ZIG_BIN}/zig-dlltool" CACHE FILEPATH "")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
