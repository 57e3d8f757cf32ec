# CMake toolchain file: WebAssembly by Emscripten, without Emscripten's own 400 lines of platform detection, which look
# for a Node and an SDK. What is linked, and how, is the matter of packages/abi/cmake/H5zFilter.cmake.
#   cmake -DCMAKE_TOOLCHAIN_FILE=toolchains/emscripten/emscripten.cmake -DH5Z_EMSCRIPTEN_BIN=<bin of ./farm tools emscripten>
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES H5Z_EMSCRIPTEN_BIN)

set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(EMSCRIPTEN TRUE)
set(UNIX TRUE)
set(CMAKE_C_COMPILER "${H5Z_EMSCRIPTEN_BIN}/emcc")
set(CMAKE_CXX_COMPILER "${H5Z_EMSCRIPTEN_BIN}/em++")
set(CMAKE_AR "${H5Z_EMSCRIPTEN_BIN}/emar" CACHE FILEPATH "")
set(CMAKE_RANLIB "${H5Z_EMSCRIPTEN_BIN}/emranlib" CACHE FILEPATH "")
# Detecting a compiler takes emcc ten runs and finds what is known.
foreach(language IN ITEMS C CXX)
  set(CMAKE_${language}_COMPILER_ID Clang)
  set(CMAKE_${language}_COMPILER_ID_RUN TRUE)
  set(CMAKE_${language}_COMPILER_VERSION 19.0)
  set(CMAKE_${language}_COMPILER_FORCED TRUE)
  set(CMAKE_${language}_COMPILER_FRONTEND_VARIANT GNU)
endforeach()
set(CMAKE_C_STANDARD_COMPUTED_DEFAULT 17)
set(CMAKE_C_EXTENSIONS_COMPUTED_DEFAULT ON)
set(CMAKE_CXX_STANDARD_COMPUTED_DEFAULT 17)
set(CMAKE_CXX_EXTENSIONS_COMPUTED_DEFAULT ON)
set(CMAKE_SIZEOF_VOID_P 4)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_EXECUTABLE_SUFFIX ".wasm")

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
