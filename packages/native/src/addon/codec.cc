// codec.cc: the functions of one filter on JavaScript's buffers, without copies. Every function takes what src/codec.ts has
// prepared and returns a number, a count of bytes or a negative code; texts, limits and allocation are JavaScript's.

#include <cstring>

#include "arguments.h"
#include "functions.h"

namespace h5z {
namespace {

enum class Way { kDecode, kEncode };

int64_t Run(Way way, const h5z_filter* filter, Words cd, Bytes in, Bytes out) {
  auto work = way == Way::kDecode ? filter->decode : filter->encode;
  if (!work) return H5Z_E_UNSUPPORTED;
  return work(cd.data, cd.size, in.data, in.size, out.data, out.size);
}

// decodeInto(handle, chunk, out, cd), encodeInto(handle, data, out, cd): bytes written or a negative code.
template <Way way>
Napi::Value Into(const Napi::CallbackInfo& info) {
  Arguments<4> a(info);
  if (!a.filter) return Number(a.env, H5Z_E_INTERNAL);
  Bytes in = BytesOf(a.env, a.value[1]), out = BytesOf(a.env, a.value[2]);
  if (in.error || out.error) return Number(a.env, in.error ? in.error : out.error);
  return Number(a.env, Run(way, a.filter, WordsOf(a.env, a.value[3]), in, out));
}

// decodedSize(handle, chunk, cd): size, -100 for unknown, or a negative code.
Napi::Value DecodedSize(const Napi::CallbackInfo& info) {
  Arguments<3> a(info);
  if (!a.filter) return Number(a.env, H5Z_E_INTERNAL);
  Bytes in = BytesOf(a.env, a.value[1]);
  if (in.error) return Number(a.env, in.error);
  Words cd = WordsOf(a.env, a.value[2]);
  int64_t size = a.filter->decoded_size(cd.data, cd.size, in.data, in.size);
  return size == H5Z_SIZE_UNKNOWN ? Napi::Number::New(a.env, kSizeUnknown) : Number(a.env, size);
}

// encodeBound(handle, size, cd): most bytes that encode may need, or a negative code.
Napi::Value EncodeBound(const Napi::CallbackInfo& info) {
  Arguments<3> a(info);
  if (!a.filter) return Number(a.env, H5Z_E_INTERNAL);
  double size = 0;
  if (napi_get_value_double(a.env, a.value[1], &size) != napi_ok || !(size >= 0) || size > 9007199254740991.0) {
    return Number(a.env, H5Z_E_PARAM);
  }
  if (!a.filter->encode_bound) return Number(a.env, H5Z_E_UNSUPPORTED);
  Words cd = WordsOf(a.env, a.value[2]);
  return Number(a.env, a.filter->encode_bound(cd.data, cd.size, static_cast<size_t>(size)));
}

// derive(handle, client, dataset, stored): words written to `stored`, a Uint32Array, or a negative code. `dataset` is
// the 624-byte struct of filter.h in a Uint8Array.
Napi::Value Derive(const Napi::CallbackInfo& info) {
  Arguments<4> a(info);
  if (!a.filter) return Number(a.env, H5Z_E_INTERNAL);
  Words client = WordsOf(a.env, a.value[1]), stored = WordsOf(a.env, a.value[3]);
  Bytes dataset = BytesOf(a.env, a.value[2]);
  if (dataset.error) return Number(a.env, dataset.error);
  h5z_dataset description;
  if (dataset.size != sizeof description) return Number(a.env, H5Z_E_INTERNAL);
  std::memcpy(&description, dataset.data, sizeof description);
  auto* out = const_cast<uint32_t*>(stored.data);
  if (a.filter->derive) {
    return Number(a.env, a.filter->derive(client.data, client.size, &description, out, stored.size));
  }
  if (client.size > stored.size) return Number(a.env, H5Z_E_OUTPUT);
  if (client.size) std::memcpy(out, client.data, client.size * sizeof *out);
  return Number(a.env, static_cast<int64_t>(client.size));
}

// explain(handle, chunk, cd): what the filter adds to its refusal of this chunk, a string.
Napi::Value Explain(const Napi::CallbackInfo& info) {
  Arguments<3> a(info);
  char text[H5Z_EXPLAIN_MAX];
  int64_t length = 0;
  Bytes in = BytesOf(a.env, a.value[1]);
  Words cd = WordsOf(a.env, a.value[2]);
  if (a.filter && a.filter->explain && !in.error) {
    length = a.filter->explain(cd.data, cd.size, in.data, in.size, text, sizeof text);
  }
  return Napi::String::New(a.env, text, length > 0 ? static_cast<size_t>(length) : 0);
}

// restore(handle, stored, client): words written to `client`, a Uint32Array, or a negative code.
Napi::Value Restore(const Napi::CallbackInfo& info) {
  Arguments<3> a(info);
  if (!a.filter) return Number(a.env, H5Z_E_INTERNAL);
  Words stored = WordsOf(a.env, a.value[1]), client = WordsOf(a.env, a.value[2]);
  auto* out = const_cast<uint32_t*>(client.data);
  if (a.filter->restore) return Number(a.env, a.filter->restore(stored.data, stored.size, out, client.size));
  if (stored.size > client.size) return Number(a.env, H5Z_E_OUTPUT);
  if (stored.size) std::memcpy(out, stored.data, stored.size * sizeof *out);
  return Number(a.env, static_cast<int64_t>(stored.size));
}

}  // namespace

void InitCodec(Napi::Env env, Napi::Object exports) {
  exports.Set("decodedSize", Napi::Function::New<DecodedSize>(env, "decodedSize"));
  exports.Set("decodeInto", Napi::Function::New<Into<Way::kDecode>>(env, "decodeInto"));
  exports.Set("encodeInto", Napi::Function::New<Into<Way::kEncode>>(env, "encodeInto"));
  exports.Set("encodeBound", Napi::Function::New<EncodeBound>(env, "encodeBound"));
  exports.Set("derive", Napi::Function::New<Derive>(env, "derive"));
  exports.Set("explain", Napi::Function::New<Explain>(env, "explain"));
  exports.Set("restore", Napi::Function::New<Restore>(env, "restore"));
}

}  // namespace h5z
