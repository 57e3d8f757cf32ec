/* h5wasm_tags.c: the WebAssembly tags by which a side module throws C++ exceptions and does longjmp. Position-independent
 * code takes them from the main module, and h5wasm, which is built without, has none. A tag of the module's own does as
 * well, since nothing that it throws ever leaves it. */
#define TAG(name) __asm__(".globl " #name "\n.hidden " #name "\n.tagtype " #name " i32\n" #name ":\n");

TAG(__cpp_exception)
TAG(__c_longjmp)
