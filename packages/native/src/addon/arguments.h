// arguments.h: JavaScript's arguments as C++ sees them. Straight Node-API calls: this is the path of every chunk, where a
// wrapper object per argument would show.

#ifndef H5Z_NATIVE_ARGUMENTS_H
#define H5Z_NATIVE_ARGUMENTS_H

#define NODE_ADDON_API_DISABLE_DEPRECATED
#include <napi.h>

#include <cstdint>

#include <h5z/filter.h>

namespace h5z {

// Codes beside those of filter.h; src/addon.ts has the same.
constexpr int64_t kNotBytes = -1001;   // an argument is no Uint8Array
constexpr int64_t kDetached = -1002;   // its buffer was transferred away
constexpr int64_t kWrongSize = -1003;  // a chunk decoded to fewer bytes than it should
constexpr int64_t kReadFailed = -1004; // a file could not be read, or ends too early
constexpr double kSizeUnknown = -100;  // h5z_decoded_size's word for it in the WebAssembly ABI too

struct Bytes {
  uint8_t* data;
  size_t size = 0;
  int64_t error = 0;
  bool shared = false;  // in a SharedArrayBuffer, which nobody can detach
  Bytes();
  Bytes(uint8_t* data, size_t size) : data(data), size(size) {}
};

// A Uint8Array, or `error`.
Bytes BytesOf(napi_env env, napi_value value);

struct Words {
  const uint32_t* data = nullptr;
  size_t size = 0;
};

// cd_values: a Uint32Array, or undefined for none.
Words WordsOf(napi_env env, napi_value value);

// The arguments of a call; the first may be a filter's handle.
template <size_t N>
struct Arguments {
  napi_env env;
  napi_value value[N];
  const h5z_filter* filter = nullptr;

  explicit Arguments(const Napi::CallbackInfo& info, bool handle_first = true) : env(info.Env()) {
    for (size_t i = 0; i < N; i++) value[i] = info[i];
    if (handle_first) filter = External<const h5z_filter>(0);
  }

  template <typename T>
  T* External(size_t i) const {
    void* pointer = nullptr;
    napi_get_value_external(env, value[i], &pointer);
    return static_cast<T*>(pointer);
  }

  double Double(size_t i) const {
    double n = 0;
    napi_get_value_double(env, value[i], &n);
    return n;
  }
};

inline Napi::Value Number(napi_env env, int64_t n) { return Napi::Number::New(env, static_cast<double>(n)); }

}  // namespace h5z
#endif
