// arguments.cc: see arguments.h.

#include "arguments.h"

namespace h5z {

static uint8_t empty[1];

Bytes::Bytes() : data(empty) {}

Bytes BytesOf(napi_env env, napi_value value) {
  Bytes bytes;
  napi_typedarray_type type;
  napi_value buffer;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &bytes.size, &data, &buffer, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    bytes.error = kNotBytes;
    bytes.size = 0;
    return bytes;
  }
  bool plain = true;
  napi_is_arraybuffer(env, buffer, &plain);
  bytes.shared = !plain;
  if (bytes.size) {
    bytes.data = static_cast<uint8_t*>(data);
  } else {
    bool detached = false;  // a SharedArrayBuffer cannot be: then the call fails and `detached` stays false
    napi_is_detached_arraybuffer(env, buffer, &detached);
    if (detached) bytes.error = kDetached;
  }
  return bytes;
}

Words WordsOf(napi_env env, napi_value value) {
  Words words;
  napi_typedarray_type type;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &words.size, &data, nullptr, nullptr) == napi_ok &&
      type == napi_uint32_array && words.size) {
    words.data = static_cast<const uint32_t*>(data);
  } else {
    words.size = 0;
  }
  return words;
}

}  // namespace h5z
