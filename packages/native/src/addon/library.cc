// library.cc: opens a filter library (a shared object that exports h5z_filter_v1, see packages/abi/include/h5z/filter.h).
// Libraries are never unloaded: code of theirs may be running in another thread.

#include <cstddef>
#include <cstring>
#include <string>

#include "arguments.h"
#include "functions.h"
#include "system.h"

#if !defined(_WIN32)
#  include <dlfcn.h>
#endif

namespace h5z {
namespace {

// The library's h5z_filter_v1, or nullptr with `why`.
void* FindEntry(const Napi::String& path, std::string* why) {
#if defined(_WIN32)
  std::u16string wide = path.Utf16Value();
  HMODULE library = LoadLibraryW(reinterpret_cast<const wchar_t*>(wide.c_str()));
  if (!library) {
    *why = LastSystemMessage();
    return nullptr;
  }
  FARPROC entry = GetProcAddress(library, "h5z_filter_v1");
  if (!entry) FreeLibrary(library);
#else
  void* library = dlopen(path.Utf8Value().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* message = dlerror();
    *why = message ? message : "dlopen failed";
    return nullptr;
  }
  void* entry = dlsym(library, "h5z_filter_v1");
  if (!entry) dlclose(library);
#endif
  if (!entry) {
    *why = "it exports no h5z_filter_v1, so it is no h5z filter library";
    return nullptr;
  }
  void* found;
  static_assert(sizeof found == sizeof entry, "functions and data have pointers of one size");
  std::memcpy(&found, &entry, sizeof found);
  return found;
}

}  // namespace

// load(path): { handle, id, name, title, version, flags }, or a string that says why not.
Napi::Value Load(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string why;
  void* entry = FindEntry(info[0].As<Napi::String>(), &why);
  if (!entry) return Napi::String::New(env, why);

  const h5z_filter* (*table)(void);
  std::memcpy(&table, &entry, sizeof table);
  const h5z_filter* filter = table();
  if (!filter || filter->abi_version != H5Z_ABI_VERSION) {
    return Napi::String::New(env, "it has ABI version " + std::to_string(filter ? filter->abi_version : 0) +
                                      " and this @h5z/native reads version " + std::to_string(H5Z_ABI_VERSION));
  }
  // What lies behind is optional, and older libraries end there.
  constexpr std::size_t needed = offsetof(h5z_filter, parse_parameters);
  if (filter->struct_size < needed || !filter->decode || !filter->decoded_size || !filter->name ||
      !filter->title || !filter->version) {
    return Napi::String::New(env, "its h5z_filter table is incomplete (" + std::to_string(filter->struct_size) +
                                      " bytes, at least " + std::to_string(needed) + " expected)");
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("handle", Napi::External<h5z_filter>::New(env, const_cast<h5z_filter*>(filter)));
  result.Set("id", Napi::Number::New(env, filter->id));
  result.Set("flags", Napi::Number::New(env, filter->flags));
  result.Set("name", Napi::String::New(env, filter->name));
  result.Set("title", Napi::String::New(env, filter->title));
  result.Set("version", Napi::String::New(env, filter->version));
  result.Set("canEncode",
             Napi::Boolean::New(env, (filter->flags & H5Z_CAN_ENCODE) && filter->encode && filter->encode_bound));
  return result;
}

}  // namespace h5z
