# h5z_add_filter: from a filter's C and its upstreams to the files that people load.
#
#   h5z_add_filter(zstd SOURCES src/filter.c UPSTREAM zstd)
#
# H5Z_KINDS says which of these come out, all from the same sources:
#
#   kind         file                        what is linked to the filter's table
#   native       libh5z_zstd.so|dylib|dll    hdf5_plugin.c: an HDF5 plugin, and h5z_filter_v1 for every other loader
#   wasm         zstd.wasm                   wasm.c: a module without imports
#   wasm-decode  zstd.decode.wasm            the same with H5Z_DECODE_ONLY: the linker drops the encoder
#   h5wasm       zstd.h5wasm.wasm            h5wasm_plugin.c: a side module
#   fuzz         h5z-fuzz-zstd               fuzz/fuzz.c: a libFuzzer program, by a clang that has it, with sanitizers
#   ptx          zstd.ptx                    nothing: the kernels of src/gpu.c (h5z/gpu.h), by toolchains/ptx, and alone
#
# Arguments:
#   SOURCES   C and C++ files of the filter, relative to its folder.
#   UPSTREAM  names of upstreams; each is a target h5z_upstream_<name> made by upstreams/<name>/CMakeLists.txt, in the filter's
#             own folder or, where that has none, in H5Z_UPSTREAMS_DIR
#   LIB       C of our own that several filters share: folders in packages/abi/lib, included as <transpose/transpose.h>
#   SIMD      per-file flags for run-time dispatch: SIMD <processor regex> <file> <flags...>; may be repeated. The file is
#             compiled with the flags where CMAKE_SYSTEM_PROCESSOR matches, and left out where it does not:
#             SIMD "x86_64" src/kernel_avx2.c -mavx2   SIMD "wasm32" src/kernel_wasm.c -msimd128
include_guard(GLOBAL)
set(H5Z_ABI_DIR "${CMAKE_CURRENT_LIST_DIR}/..")
cmake_path(NORMAL_PATH H5Z_ABI_DIR)

# Same sources, same bytes: nothing of this machine's paths goes into a file, and nothing is kept for debuggers.
set(CMAKE_C_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
if("fuzz" IN_LIST H5Z_KINDS)
  # As libFuzzer's own page advises: compiling takes a sixth less, and sanitizers' checks leave little to optimise.
  set(CMAKE_C_FLAGS_RELEASE "-O1 -DNDEBUG")
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Same chunk, same numbers, on every processor and in WebAssembly: a product and a sum stay two roundings.
add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-ffp-contract=off>)
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
# zig keeps the frame pointer unless told otherwise: one register less for decoders' inner loops.
if(NOT H5Z_KINDS STREQUAL "ptx")
  add_compile_options(-fomit-frame-pointer -fvisibility=hidden -ffunction-sections -fdata-sections -g0
    "-ffile-prefix-map=${H5Z_ABI_DIR}=abi" "-ffile-prefix-map=${H5Z_FILTER_DIR}=filter"
    "-ffile-prefix-map=${CMAKE_BINARY_DIR}=build")
endif()

if(EMSCRIPTEN AND H5Z_WASM_SIMD)
  add_compile_options(-msimd128)
endif()
if(EMSCRIPTEN)
  set(CMAKE_POSITION_INDEPENDENT_CODE OFF)
  # C++ exceptions and longjmp as WebAssembly's own instructions: no host, no JavaScript takes part.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fwasm-exceptions> $<$<COMPILE_LANGUAGE:C,CXX>:-sSUPPORT_LONGJMP=wasm>)
  add_link_options(-sSUPPORT_LONGJMP=wasm $<$<LINK_LANGUAGE:CXX>:-fwasm-exceptions>)
  if("h5wasm" IN_LIST H5Z_KINDS)
    include(${CMAKE_CURRENT_LIST_DIR}/H5wasmRuntime.cmake)
  endif()
endif()

# Makes h5z_upstream_<name>, once. Upstream code is compiled as it is, without our warnings.
function(h5z_use_upstream name)
  if(TARGET h5z_upstream_${name})
    return()
  endif()
  if(NOT H5Z_SOURCE_${name})
    message(FATAL_ERROR "the fetched tree of upstream ${name} is not known: name it under \"upstreams\" in filter.json")
  endif()
  set(folder ${H5Z_FILTER_DIR}/upstreams/${name})
  if(NOT EXISTS ${folder}/CMakeLists.txt)
    set(folder ${H5Z_UPSTREAMS_DIR}/${name})
  endif()
  if(NOT EXISTS ${folder}/CMakeLists.txt)
    message(FATAL_ERROR "nothing says how upstream ${name} is compiled: write upstreams/${name}/CMakeLists.txt beside "
      "filter.json, with the target h5z_upstream_${name}")
  endif()
  add_subdirectory(${folder} ${CMAKE_BINARY_DIR}/upstream-${name} SYSTEM)
  target_compile_options(h5z_upstream_${name} PRIVATE -w "-ffile-prefix-map=${H5Z_SOURCE_${name}}=${name}")
endfunction()

function(h5z_identity target)
  target_include_directories(${target} PRIVATE ${H5Z_ABI_DIR}/include ${H5Z_ABI_DIR}/lib)
  # A header and not -D flags: a title may hold anything that a shell would take for its own.
  target_compile_options(${target} PRIVATE "SHELL:-include \"${H5Z_IDENTITY}\"")
  target_compile_options(${target} PRIVATE -Wall -Wextra)
endfunction()

function(h5z_add_filter name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;UPSTREAM;LIB;SIMD")
  if(NOT arg_SOURCES OR DEFINED arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "h5z_add_filter(${name} SOURCES file... [UPSTREAM name...] [LIB name...] [SIMD processor file flags...])")
  endif()
  if(H5Z_KINDS STREQUAL "ptx")
    # A text for every GPU: the driver compiles it. Nothing of the filter's table is in it.
    set(target h5z_${name}_ptx)
    add_library(${target} OBJECT ${CMAKE_CURRENT_SOURCE_DIR}/src/gpu.c)
    target_include_directories(${target} PRIVATE ${H5Z_ABI_DIR}/include)
    target_compile_options(${target} PRIVATE -Wall -Wextra)
    add_custom_command(OUTPUT ${H5Z_OUTPUT_DIR}/${name}.ptx DEPENDS ${target} $<TARGET_OBJECTS:${target}>
      COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_OBJECTS:${target}> ${H5Z_OUTPUT_DIR}/${name}.ptx)
    add_custom_target(${target}_file ALL DEPENDS ${H5Z_OUTPUT_DIR}/${name}.ptx)
    return()
  endif()
  foreach(upstream IN LISTS arg_UPSTREAM)
    h5z_use_upstream(${upstream})
  endforeach()

  # SIMD <regex> <file> <flags beginning with ->...
  set(sources ${arg_SOURCES})
  while(arg_SIMD)
    list(POP_FRONT arg_SIMD regex file)
    set(flags)
    while(arg_SIMD)
      list(GET arg_SIMD 0 flag)
      if(NOT flag MATCHES "^-")
        break()
      endif()
      list(POP_FRONT arg_SIMD)
      list(APPEND flags ${flag})
    endwhile()
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "${regex}")
      list(APPEND sources ${file})
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${flags}")
    endif()
  endwhile()
  list(TRANSFORM sources PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  foreach(lib IN LISTS arg_LIB)
    file(GLOB lib_sources CONFIGURE_DEPENDS ${H5Z_ABI_DIR}/lib/${lib}/*.c)
    if(NOT lib_sources)
      message(FATAL_ERROR "h5z_add_filter(${name}): packages/abi/lib has no ${lib}")
    endif()
    list(SORT lib_sources)
    list(APPEND sources ${lib_sources})
  endforeach()

  # Text that people write: small rather than fast.
  set_source_files_properties(${H5Z_ABI_DIR}/src/params.c PROPERTIES COMPILE_OPTIONS -Os)

  foreach(kind IN LISTS H5Z_KINDS)
    set(target h5z_${name}_${kind})
    set(runtime)
    if(kind STREQUAL "native")
      add_library(${target} SHARED ${sources} ${H5Z_ABI_DIR}/src/error.c ${H5Z_ABI_DIR}/src/params.c
        ${H5Z_ABI_DIR}/src/hdf5_plugin.c)
      target_compile_definitions(${target} PRIVATE H5Z_BUILD_NATIVE)
      if(H5Z_CLASS3)
        target_compile_definitions(${target} PRIVATE H5Z_CLASS3)
      endif()
      # The name is the same on every system: the resolver and HDF5 look for lib*.
      set_target_properties(${target} PROPERTIES PREFIX lib OUTPUT_NAME h5z_${name} IMPORT_PREFIX "" NO_SONAME ON
        LIBRARY_OUTPUT_DIRECTORY ${H5Z_OUTPUT_DIR} RUNTIME_OUTPUT_DIRECTORY ${H5Z_OUTPUT_DIR}
        ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
      if(WIN32)
        target_link_options(${target} PRIVATE -s)
      elseif(APPLE)
        set_target_properties(${target} PROPERTIES INSTALL_NAME_DIR "@rpath" MACOSX_RPATH ON SUFFIX .dylib)
        target_link_options(${target} PRIVATE -Wl,-dead_strip -Wl,-x)
        if(CMAKE_CXX_COMPILER)
          target_link_options(${target} PRIVATE -s) # debuggers' notes on where zig's C++ library lies
          target_sources(${target} PRIVATE ${H5Z_ABI_DIR}/src/new.cpp)
          set_source_files_properties(${H5Z_ABI_DIR}/src/new.cpp PROPERTIES COMPILE_OPTIONS
            -fvisibility-global-new-delete=force-hidden)
        endif()
      else()
        # -Bsymbolic: where a host loads several filters as RTLD_GLOBAL, netCDF-C does, each calls its own h5z_filter_v1.
        target_link_options(${target} PRIVATE -s -Wl,--gc-sections -Wl,--build-id=none -Wl,--no-undefined -Wl,-Bsymbolic
          "-Wl,--version-script=${H5Z_ABI_DIR}/cmake/exports.map")
        set_target_properties(${target} PROPERTIES LINK_DEPENDS ${H5Z_ABI_DIR}/cmake/exports.map)
        target_link_libraries(${target} PRIVATE ${CMAKE_DL_LIBS})
        if(CMAKE_CXX_COMPILER)
          # What libc++ registers for the end of the process or of a thread lies in this library: libhdf5 closes plugins
          # before that, at exit, so the library must stay.
          target_link_options(${target} PRIVATE -Wl,-z,nodelete)
        endif()
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
          # The system's compiler; zig always links its libc++ statically.
          target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc)
        endif()
      endif()
    elseif(kind STREQUAL "fuzz")
      add_executable(${target} ${sources} ${H5Z_ABI_DIR}/src/error.c ${H5Z_ABI_DIR}/src/params.c ${H5Z_ABI_DIR}/fuzz/fuzz.c)
      target_compile_definitions(${target} PRIVATE H5Z_BUILD_NATIVE) # with all that the table of such a library has
      set_target_properties(${target} PROPERTIES OUTPUT_NAME h5z-fuzz-${name} RUNTIME_OUTPUT_DIRECTORY ${H5Z_OUTPUT_DIR})
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    elseif(kind STREQUAL "h5wasm")
      add_executable(${target} ${sources} ${H5Z_ABI_DIR}/src/error.c ${H5Z_ABI_DIR}/src/h5wasm_plugin.c)
      set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name}.h5wasm SUFFIX .wasm
        RUNTIME_OUTPUT_DIRECTORY ${H5Z_OUTPUT_DIR})
      target_link_options(${target} PRIVATE -O3 -fPIC -sSIDE_MODULE=2 -sWASM_BIGINT
        -sEXPORTED_FUNCTIONS=_H5PLget_plugin_type,_H5PLget_plugin_info)
      set(runtime h5z_h5wasm_runtime)
    else()
      add_executable(${target} ${sources} ${H5Z_ABI_DIR}/src/error.c ${H5Z_ABI_DIR}/src/wasm.c)
      set(output ${name})
      if(kind STREQUAL "wasm-decode")
        set(output ${name}.decode)
        target_compile_definitions(${target} PRIVATE H5Z_DECODE_ONLY)
      elseif(NOT kind STREQUAL "wasm")
        message(FATAL_ERROR "H5Z_KINDS has \"${kind}\": know native, wasm, wasm-decode, h5wasm, fuzz")
      endif()
      set_target_properties(${target} PROPERTIES OUTPUT_NAME ${output} SUFFIX .wasm
        RUNTIME_OUTPUT_DIRECTORY ${H5Z_OUTPUT_DIR})
      # Memory starts small and grows; 256 KiB of C stack serve every codec we know (zstd's largest frame is 10 KiB).
      target_link_options(${target} PRIVATE -O3 --no-entry -sSTANDALONE_WASM -sALLOW_MEMORY_GROWTH -sMAXIMUM_MEMORY=4294967296
        -sINITIAL_HEAP=0 -sSTACK_SIZE=262144 -sMALLOC=none -sFILESYSTEM=0 -sERROR_ON_UNDEFINED_SYMBOLS=1
        -sEXPORTED_FUNCTIONS=)
    endif()
    h5z_identity(${target})
    foreach(upstream IN LISTS arg_UPSTREAM)
      target_link_libraries(${target} PRIVATE h5z_upstream_${upstream})
    endforeach()
    target_link_libraries(${target} PRIVATE ${runtime})
  endforeach()
endfunction()
