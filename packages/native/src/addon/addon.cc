// addon.cc: the one Node-API addon behind every native filter. It opens a filter library (a shared object that exports
// h5z_filter_v1, see packages/abi/include/h5z/filter.h) and calls its functions on JavaScript's buffers without copies.
//
// Thin on purpose: every function here takes what src/index.ts has prepared and returns a number, a count of bytes or
// one of filter.h's negative codes; texts, limits and allocation are JavaScript's. Two more codes say what is wrong
// with an argument:
//
//     NOT_BYTES  -1001   not a Uint8Array
//     DETACHED   -1002   its buffer was transferred away
//
// Nothing is kept between calls and there are no globals, so that worker threads, each with its own instance of the
// addon, need no locks. Libraries are never unloaded: code of theirs may be running in another thread.

#define NODE_ADDON_API_DISABLE_DEPRECATED
#include <napi.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#if defined(_WIN32)
#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>
#else
#  include <dlfcn.h>
#endif

#include <h5z/filter.h>

namespace {

constexpr int64_t NOT_BYTES = -1001;
constexpr int64_t DETACHED = -1002;
constexpr double SIZE_UNKNOWN = -100;  // h5z_decoded_size's word for it in the WebAssembly ABI too

// ---- opening a library ------------------------------------------------------------------------------------------

#if defined(_WIN32)
std::string SystemMessage(DWORD code) {
  char text[512];
  DWORD n = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, nullptr, code, 0, text,
                           sizeof text, nullptr);
  while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == '.')) n--;
  return n ? std::string(text, n) : "error " + std::to_string(code);
}
#endif

// The library's h5z_filter_v1, or nullptr with `why`.
void* FindEntry(const Napi::String& path, std::string* why) {
#if defined(_WIN32)
  std::u16string wide = path.Utf16Value();
  HMODULE library = LoadLibraryW(reinterpret_cast<const wchar_t*>(wide.c_str()));
  if (!library) {
    *why = SystemMessage(GetLastError());
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

// ---- arguments --------------------------------------------------------------------------------------------------
// Straight Node-API calls: this is the path of every chunk, where a wrapper object per argument would show.

uint8_t empty_[1];

struct Bytes {
  uint8_t* data = empty_;
  size_t size = 0;
  int64_t error = 0;
};

Bytes BytesOf(napi_env env, napi_value value) {
  Bytes bytes;
  napi_typedarray_type type;
  napi_value buffer;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &bytes.size, &data, &buffer, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    bytes.error = NOT_BYTES;
    bytes.size = 0;
    return bytes;
  }
  if (bytes.size) {
    bytes.data = static_cast<uint8_t*>(data);
  } else {
    bool detached = false;  // a SharedArrayBuffer cannot be: then the call fails and `detached` stays false
    napi_is_detached_arraybuffer(env, buffer, &detached);
    if (detached) bytes.error = DETACHED;
  }
  return bytes;
}

struct Words {
  const uint32_t* data = nullptr;
  size_t size = 0;
};

// cd_values: a Uint32Array, or undefined for none.
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

template <size_t N>
struct Arguments {
  napi_env env;
  napi_value value[N];
  const h5z_filter* filter = nullptr;

  explicit Arguments(const Napi::CallbackInfo& info) : env(info.Env()) {
    for (size_t i = 0; i < N; i++) value[i] = info[i];
    void* handle = nullptr;
    napi_get_value_external(env, value[0], &handle);
    filter = static_cast<const h5z_filter*>(handle);
  }
};

Napi::Value Number(napi_env env, int64_t n) { return Napi::Number::New(env, static_cast<double>(n)); }

// ---- chunks -----------------------------------------------------------------------------------------------------

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
  return size == H5Z_SIZE_UNKNOWN ? Napi::Number::New(a.env, SIZE_UNKNOWN) : Number(a.env, size);
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

// ---- off the event loop -----------------------------------------------------------------------------------------

struct Free {
  void operator()(void* p) const { std::free(p); }
};

// One chunk on its way through another thread. Input and cd_values are copies, since JavaScript may change, shrink
// or transfer their buffers meanwhile; the output is an array that JavaScript shows to nobody before the end.
//
//     JavaScript: Start -> Submit -> ... pool thread: Execute ... -> JavaScript: OnOK resolves the promise
//
// Submit is the only place that knows which pool runs a job: today libuv's.
class Job final : public Napi::AsyncWorker {
 public:
  // decodeAsync(handle, chunk, out, cd), encodeAsync(handle, data, out, cd): promise of what the sync form returns.
  template <Way way>
  static Napi::Value Start(const Napi::CallbackInfo& info) {
    Arguments<4> a(info);
    Bytes in = BytesOf(a.env, a.value[1]), out = BytesOf(a.env, a.value[2]);
    Words cd = WordsOf(a.env, a.value[3]);
    size_t cd_bytes = cd.size * sizeof *cd.data;
    std::unique_ptr<uint8_t, Free> copy(static_cast<uint8_t*>(std::malloc(cd_bytes + in.size + 1)));
    int64_t error = in.error ? in.error : out.error;
    if (!a.filter) error = H5Z_E_INTERNAL;
    if (!error && !copy) error = H5Z_E_MEMORY;
    napi_value promise;
    napi_deferred deferred;
    if (napi_create_promise(a.env, &deferred, &promise) != napi_ok) return Napi::Value();
    if (error) {
      napi_resolve_deferred(a.env, deferred, Number(a.env, error));
      return Napi::Value(a.env, promise);
    }
    if (cd_bytes) std::memcpy(copy.get(), cd.data, cd_bytes);
    std::memcpy(copy.get() + cd_bytes, in.data, in.size);
    cd.data = reinterpret_cast<const uint32_t*>(copy.get());
    in.data = copy.get() + cd_bytes;
    auto* job = new Job(a.env, way, a.filter, cd, in, out, std::move(copy));
    job->keep_out_ = Napi::Persistent(Napi::Object(a.env, a.value[2]));
    job->deferred_ = deferred;
    Submit(job);
    return Napi::Value(a.env, promise);
  }

 private:
  Job(Napi::Env env, Way way, const h5z_filter* filter, Words cd, Bytes in, Bytes out,
      std::unique_ptr<uint8_t, Free> copy)
      : Napi::AsyncWorker(env, "h5z"), way_(way), filter_(filter), cd_(cd), in_(in), out_(out),
        copy_(std::move(copy)) {}

  static void Submit(Job* job) { job->Queue(); }

  void Execute() override { result_ = Run(way_, filter_, cd_, in_, out_); }

  // Plain calls whose failure is ignored: in a worker thread that is being terminated no JavaScript may run any more.
  void OnOK() override {
    napi_value n;
    if (napi_create_double(Env(), static_cast<double>(result_), &n) == napi_ok) {
      napi_resolve_deferred(Env(), deferred_, n);
    }
  }

  napi_deferred deferred_ = nullptr;
  Way way_;
  const h5z_filter* filter_;
  Words cd_;
  Bytes in_, out_;
  std::unique_ptr<uint8_t, Free> copy_;
  Napi::ObjectReference keep_out_;
  int64_t result_ = H5Z_E_INTERNAL;
};

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("load", Napi::Function::New<Load>(env, "load"));
  exports.Set("decodedSize", Napi::Function::New<DecodedSize>(env, "decodedSize"));
  exports.Set("decodeInto", Napi::Function::New<Into<Way::kDecode>>(env, "decodeInto"));
  exports.Set("encodeInto", Napi::Function::New<Into<Way::kEncode>>(env, "encodeInto"));
  exports.Set("encodeBound", Napi::Function::New<EncodeBound>(env, "encodeBound"));
  exports.Set("derive", Napi::Function::New<Derive>(env, "derive"));
  exports.Set("explain", Napi::Function::New<Explain>(env, "explain"));
  exports.Set("restore", Napi::Function::New<Restore>(env, "restore"));
  exports.Set("decodeAsync", Napi::Function::New<Job::Start<Way::kDecode>>(env, "decodeAsync"));
  exports.Set("encodeAsync", Napi::Function::New<Job::Start<Way::kEncode>>(env, "encodeAsync"));
  return exports;
}

}  // namespace

NODE_API_MODULE(h5z_native, Init)
