# The target h5z_h5wasm_runtime: what a side module brings inside it because h5wasm exports none of it - libc, longjmp and
# the C++ library, from the archives in H5Z_SIDE_RUNTIME, in which every symbol is hidden. Only what is called is linked.
include_guard(GLOBAL)

# memcpy and memset as one instruction: h5wasm_plugin.c defines the functions by them.
add_compile_options(-fPIC -mbulk-memory)
# The C++ library's functions belong to this module, and so do operator new and delete, which the compiler declares by itself.
add_compile_definitions($<$<COMPILE_LANGUAGE:CXX>:_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS>)
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fvisibility-global-new-delete=force-hidden>)

# An archive, so that only a module that throws or jumps has them.
add_library(h5z_h5wasm_tags STATIC ${H5Z_ABI_DIR}/src/h5wasm_tags.c)

file(GLOB h5z_archives CONFIGURE_DEPENDS ${H5Z_SIDE_RUNTIME}/*.a)
list(SORT h5z_archives)
if(NOT h5z_archives)
  message(FATAL_ERROR "H5Z_SIDE_RUNTIME is \"${H5Z_SIDE_RUNTIME}\": pass the folder with the archives of side modules")
endif()
add_library(h5z_h5wasm_runtime INTERFACE)
target_link_options(h5z_h5wasm_runtime INTERFACE -Wl,-Bsymbolic)
target_link_libraries(h5z_h5wasm_runtime INTERFACE ${h5z_archives} h5z_h5wasm_tags)
