// cuda.cc: NVIDIA's driver (cuda_driver.h) for JavaScript. Every function returns what it is for, or a failure
// ({ call, code, why }); bounds, lifetimes and messages are src/cuda.ts's. Addresses, on the device and of pinned memory, are
// bigints. Nothing here waits for the device on the JavaScript thread, but for freeing what is still in use.

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "cuda_driver.h"
#include "functions.h"

namespace h5z {
namespace {

using cuda::Context;
using cuda::Driver;
using cuda::Failure;
using cuda::Kind;
using cuda::Opaque;
using cuda::Resource;
using Held = std::shared_ptr<Resource>;

Napi::Value FailureOf(Napi::Env env, const Failure& failure) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("call", Napi::String::New(env, failure.call));
  object.Set("code", Napi::Number::New(env, failure.code));
  object.Set("why", Napi::String::New(env, failure.why));
  return object;
}

template <typename T>
void Drop(Napi::Env, std::shared_ptr<T>* shared) {
  delete shared;
}

template <typename T>
Napi::Value Handle(Napi::Env env, std::shared_ptr<T> shared) {
  return Napi::External<std::shared_ptr<T>>::New(env, new std::shared_ptr<T>(std::move(shared)), Drop<T>);
}

uint64_t AddressOf(napi_env env, napi_value value) {
  uint64_t address = 0;
  bool lossless;
  napi_get_value_bigint_uint64(env, value, &address, &lossless);
  return address;
}

napi_value BigInt(napi_env env, uint64_t n) {
  napi_value value = nullptr;
  napi_create_bigint_uint64(env, n, &value);
  return value;
}

// Arguments, the first a context's or a resource's handle, whose context is this thread's for the call.
template <size_t N>
struct Call : Arguments<N> {
  Failure failure;
  explicit Call(const Napi::CallbackInfo& info) : Arguments<N>(info, false) {}
  const std::shared_ptr<Context>& Root() const { return *this->template External<std::shared_ptr<Context>>(0); }
  const Held& At(size_t i) const { return *this->template External<Held>(i); }
  uint64_t Address(size_t i) const { return AddressOf(this->env, this->value[i]); }
  size_t Size(size_t i) const { return static_cast<size_t>(this->Double(i)); }
  unsigned Word(size_t i) const { return static_cast<unsigned>(this->Double(i)); }
  Napi::Value Failed() const { return FailureOf(this->env, failure); }
  Napi::Value Answer(bool good) const { return good ? Napi::Env(this->env).Undefined() : Failed(); }
};

// open(path or undefined): { driver, version, devices }
Napi::Value Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  PathText path;
#if defined(_WIN32)
  if (info[0].IsString()) path = info[0].As<Napi::String>().Utf16Value();
#else
  if (info[0].IsString()) path = info[0].As<Napi::String>().Utf8Value();
#endif
  Failure failure;
  Driver* driver = Driver::Open(path, &failure);
  if (!driver) return FailureOf(env, failure);
  Napi::Object result = Napi::Object::New(env);
  Napi::Array devices = Napi::Array::New(env, driver->devices.size());
  for (uint32_t i = 0; i < driver->devices.size(); i++) {
    const cuda::DeviceInfo& one = driver->devices[i];
    Napi::Object device = Napi::Object::New(env);
    device.Set("index", Napi::Number::New(env, i));
    device.Set("name", Napi::String::New(env, one.name));
    device.Set("bytes", Number(env, static_cast<int64_t>(one.bytes)));
    device.Set("multiprocessors", Napi::Number::New(env, one.multiprocessors));
    Napi::Array capability = Napi::Array::New(env, 2);
    capability.Set(0u, Napi::Number::New(env, one.major));
    capability.Set(1u, Napi::Number::New(env, one.minor));
    device.Set("computeCapability", capability);
    devices.Set(i, device);
  }
  result.Set("driver", Napi::External<Driver>::New(env, driver));
  result.Set("version", Napi::Number::New(env, driver->version));
  result.Set("devices", devices);
  return result;
}

// context(driver, ordinal): handle
Napi::Value NewContext(const Napi::CallbackInfo& info) {
  Call<2> a(info);
  std::shared_ptr<Context> context =
      Context::Open(a.External<Driver>(0), static_cast<int>(a.Double(1)), &a.failure);
  return context ? Handle(a.env, std::move(context)) : a.Failed();
}

// memory(context): [free, all], in bytes
Napi::Value Memory(const Napi::CallbackInfo& info) {
  Call<1> a(info);
  Context::Here here(*a.Root(), &a.failure);
  size_t free = 0, all = 0;
  if (!here || !H5Z_CUDA(a.Root()->driver(), &a.failure, cuMemGetInfo_v2, &free, &all)) return a.Failed();
  Napi::Array numbers = Napi::Array::New(a.env, 2);
  numbers.Set(0u, Number(a.env, static_cast<int64_t>(free)));
  numbers.Set(1u, Number(a.env, static_cast<int64_t>(all)));
  return numbers;
}

Napi::Object WithAddress(napi_env env, const Held& held) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("handle", Handle(env, held));
  result.Set("address", BigInt(env, held->value()));
  return result;
}

// allocate(context, bytes): { handle, address }
Napi::Value Allocate(const Napi::CallbackInfo& info) {
  Call<2> a(info);
  Context::Here here(*a.Root(), &a.failure);
  cuda::Address address = 0;
  if (!here || !H5Z_CUDA(a.Root()->driver(), &a.failure, cuMemAlloc_v2, &address, a.Size(1))) return a.Failed();
  return WithAddress(a.env, std::make_shared<Resource>(a.Root(), Kind::kMemory, address));
}

// pin(context, bytes): { handle, address, buffer }: an ArrayBuffer over memory that the device reads and writes by itself.
Napi::Value Pin(const Napi::CallbackInfo& info) {
  Call<2> a(info);
  Context::Here here(*a.Root(), &a.failure);
  void* host = nullptr;
  if (!here || !H5Z_CUDA(a.Root()->driver(), &a.failure, cuMemHostAlloc, &host, a.Size(1), 0u)) return a.Failed();
  auto held = std::make_shared<Resource>(a.Root(), Kind::kPinned, reinterpret_cast<uintptr_t>(host));
  auto* keep = new Held(held);
  napi_value buffer;
  const auto forget = [](napi_env, void*, void* kept) { delete static_cast<Held*>(kept); };
  if (napi_create_external_arraybuffer(a.env, host, a.Size(1), forget, keep, &buffer) != napi_ok) {
    delete keep;
    a.failure = {"", 0, "this JavaScript engine takes no memory from outside, so pinned memory cannot be had here"};
    return a.Failed();
  }
  Napi::Object result = WithAddress(a.env, held);
  result.Set("buffer", buffer);
  return result;
}

// stream(context, handle): a new one, or the caller's own whose CUstream is given, which stays the caller's
Napi::Value NewStream(const Napi::CallbackInfo& info) {
  Call<2> a(info);
  napi_valuetype type = napi_undefined;
  napi_typeof(a.env, a.value[1], &type);
  if (type == napi_bigint) {
    return WithAddress(a.env, std::make_shared<Resource>(a.Root(), Kind::kStream, a.Address(1), false));
  }
  Context::Here here(*a.Root(), &a.failure);
  Opaque stream = nullptr;
  if (!here || !H5Z_CUDA(a.Root()->driver(), &a.failure, cuStreamCreate, &stream, cuda::kNonBlockingStream)) {
    return a.Failed();
  }
  return WithAddress(a.env, std::make_shared<Resource>(a.Root(), Kind::kStream, reinterpret_cast<uintptr_t>(stream)));
}

// event(context, timed): handle
Napi::Value NewEvent(const Napi::CallbackInfo& info) {
  Call<2> a(info);
  bool timed = false;
  napi_get_value_bool(a.env, a.value[1], &timed);
  Context::Here here(*a.Root(), &a.failure);
  Opaque event = nullptr;
  const unsigned flags = cuda::kBlockingSync | (timed ? 0 : cuda::kNoTiming);
  if (!here || !H5Z_CUDA(a.Root()->driver(), &a.failure, cuEventCreate, &event, flags)) return a.Failed();
  return Handle(a.env, std::make_shared<Resource>(a.Root(), Kind::kEvent, reinterpret_cast<uintptr_t>(event)));
}

// kernel(module, name): CUfunction
Napi::Value Kernel(const Napi::CallbackInfo& info) {
  Call<2> a(info);
  const Resource& module = *a.At(0);
  Context::Here here(module.context(), &a.failure);
  const std::string name = info[1].As<Napi::String>().Utf8Value();
  Opaque function = nullptr;
  if (!here ||
      !H5Z_CUDA(module.driver(), &a.failure, cuModuleGetFunction, &function, module.opaque(), name.c_str())) {
    return a.Failed();
  }
  return Napi::Value(a.env, BigInt(a.env, reinterpret_cast<uintptr_t>(function)));
}

// upload, download, copy(stream, to, from, bytes)
enum class Way { kUp, kDown, kAcross };
template <Way way>
Napi::Value Copy(const Napi::CallbackInfo& info) {
  Call<4> a(info);
  const Resource& stream = *a.At(0);
  Context::Here here(stream.context(), &a.failure);
  if (!here) return a.Failed();
  const uint64_t to = a.Address(1), from = a.Address(2);
  const auto host = [](uint64_t address) { return reinterpret_cast<void*>(static_cast<uintptr_t>(address)); };
  Driver& d = stream.driver();
  bool good;
  if (way == Way::kUp) {
    good = H5Z_CUDA(d, &a.failure, cuMemcpyHtoDAsync_v2, to, host(from), a.Size(3), stream.opaque());
  } else if (way == Way::kDown) {
    good = H5Z_CUDA(d, &a.failure, cuMemcpyDtoHAsync_v2, host(to), from, a.Size(3), stream.opaque());
  } else {
    good = H5Z_CUDA(d, &a.failure, cuMemcpyDtoDAsync_v2, to, from, a.Size(3), stream.opaque());
  }
  return a.Answer(good);
}

// fill(stream, to, byte, bytes)
Napi::Value Fill(const Napi::CallbackInfo& info) {
  Call<4> a(info);
  const Resource& stream = *a.At(0);
  Context::Here here(stream.context(), &a.failure);
  return a.Answer(here && H5Z_CUDA(stream.driver(), &a.failure, cuMemsetD8Async, a.Address(1),
                                   static_cast<unsigned char>(a.Word(2)), a.Size(3), stream.opaque()));
}

// launch(stream, function, blocks, lanes, parameters): the parameters' bytes, laid out as the kernel declares them
Napi::Value Launch(const Napi::CallbackInfo& info) {
  Call<5> a(info);
  const Resource& stream = *a.At(0);
  Context::Here here(stream.context(), &a.failure);
  Bytes parameters = BytesOf(a.env, a.value[4]);
  void* extra[] = {reinterpret_cast<void*>(1), parameters.data,   // CU_LAUNCH_PARAM_BUFFER_POINTER
                   reinterpret_cast<void*>(2), &parameters.size,  // CU_LAUNCH_PARAM_BUFFER_SIZE
                   nullptr};                                      // CU_LAUNCH_PARAM_END
  const auto function = reinterpret_cast<Opaque>(static_cast<uintptr_t>(a.Address(1)));
  return a.Answer(here && H5Z_CUDA(stream.driver(), &a.failure, cuLaunchKernel, function, a.Word(2), 1u, 1u, a.Word(3),
                                   1u, 1u, 0u, stream.opaque(), nullptr, extra));
}

// record(event, stream), wait(stream, event)
Napi::Value Record(const Napi::CallbackInfo& info) {
  Call<2> a(info);
  Context::Here here(a.At(0)->context(), &a.failure);
  return a.Answer(here && H5Z_CUDA(a.At(0)->driver(), &a.failure, cuEventRecord, a.At(0)->opaque(), a.At(1)->opaque()));
}

Napi::Value Wait(const Napi::CallbackInfo& info) {
  Call<2> a(info);
  Context::Here here(a.At(0)->context(), &a.failure);
  return a.Answer(here && H5Z_CUDA(a.At(0)->driver(), &a.failure, cuStreamWaitEvent, a.At(0)->opaque(),
                                   a.At(1)->opaque(), 0u));
}

// elapsed(from, to): milliseconds between two events
Napi::Value Elapsed(const Napi::CallbackInfo& info) {
  Call<2> a(info);
  Context::Here here(a.At(0)->context(), &a.failure);
  float milliseconds = 0;
  if (!here || !H5Z_CUDA(a.At(0)->driver(), &a.failure, cuEventElapsedTime, &milliseconds, a.At(0)->opaque(),
                         a.At(1)->opaque())) {
    return a.Failed();
  }
  return Napi::Number::New(a.env, milliseconds);
}

// close(resource): what it owns is given back now
Napi::Value Close(const Napi::CallbackInfo& info) {
  Call<2> a(info);
  a.At(0)->Close();
  return Napi::Env(a.env).Undefined();
}

// unpin(resource, buffer): likewise, and the ArrayBuffer is one of 0 bytes from then on
Napi::Value Unpin(const Napi::CallbackInfo& info) {
  Call<2> a(info);
  if (napi_detach_arraybuffer(a.env, a.value[1]) != napi_ok) {
    a.failure = {"", 0, "this JavaScript engine does not detach the memory's ArrayBuffer"};
    return a.Failed();
  }
  a.At(0)->Close();
  return Napi::Env(a.env).Undefined();
}

// ---- DLPack -------------------------------------------------------------------------------------------------------

// As dlpack.h declares them (https://dmlc.github.io/dlpack/latest/c_api.html), the form without a version.
struct DLTensor {
  void* data;
  int32_t device_type, device_id;
  int32_t ndim;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor tensor;
  void* manager;
  void (*deleter)(DLManagedTensor*);
};
constexpr int32_t kDLCUDA = 2;

// A tensor and the memory that it is in, which stays as long as JavaScript has the handle or somebody who took it.
struct Tensor {
  DLManagedTensor managed;
  std::vector<int64_t> shape;
  Held memory;
  std::atomic<int> owners{1};
  static void Leave(DLManagedTensor* managed) {
    auto* self = static_cast<Tensor*>(managed->manager);
    if (self->owners.fetch_sub(1) == 1) delete self;
  }
};

// dlpack(memory, device, offset, code, bits, shape as a Float64Array): handle. Rows are contiguous.
Napi::Value NewTensor(const Napi::CallbackInfo& info) {
  Call<6> a(info);
  auto* tensor = new Tensor;
  tensor->memory = a.At(0);
  const Napi::Float64Array shape = info[5].As<Napi::Float64Array>();
  for (size_t i = 0; i < shape.ElementLength(); i++) tensor->shape.push_back(static_cast<int64_t>(shape[i]));
  DLTensor& t = tensor->managed.tensor;
  t.data = tensor->memory->opaque();
  t.device_type = kDLCUDA, t.device_id = static_cast<int32_t>(a.Double(1));
  t.ndim = static_cast<int32_t>(tensor->shape.size());
  t.code = static_cast<uint8_t>(a.Word(3)), t.bits = static_cast<uint8_t>(a.Word(4)), t.lanes = 1;
  t.shape = tensor->shape.data(), t.strides = nullptr;
  t.byte_offset = a.Size(2);
  tensor->managed.manager = tensor, tensor->managed.deleter = Tensor::Leave;
  return Napi::External<Tensor>::New(a.env, tensor, [](Napi::Env, Tensor* kept) { Tensor::Leave(&kept->managed); });
}

// take(tensor): address of a DLManagedTensor, whose deleter is to be called once for every call of this
Napi::Value Take(const Napi::CallbackInfo& info) {
  Call<1> a(info);
  auto* tensor = a.External<Tensor>(0);
  tensor->owners++;
  return Napi::Value(a.env, BigInt(a.env, reinterpret_cast<uintptr_t>(&tensor->managed)));
}

// ---- off the event loop -----------------------------------------------------------------------------------------

// A call that takes its time, in libuv's pool; the promise resolves to what it returned.
class Waiting : public Napi::AsyncWorker {
 public:
  explicit Waiting(Napi::Env env) : Napi::AsyncWorker(env, "h5z-cuda") {}
  Napi::Value Start() {
    napi_value promise;
    if (napi_create_promise(Env(), &deferred_, &promise) != napi_ok) {
      delete this;
      return Napi::Value();
    }
    Napi::Value result(Env(), promise);
    Queue();
    return result;
  }

 protected:
  virtual Napi::Value Result() = 0;
  void OnOK() override { napi_resolve_deferred(Env(), deferred_, Result()); }
  bool good_ = false;
  Failure failure_;

 private:
  napi_deferred deferred_ = nullptr;
};

// load(context, ptx): promise of a module
class Loading final : public Waiting {
 public:
  static Napi::Value Start(const Napi::CallbackInfo& info) {
    Call<2> a(info);
    auto* job = new Loading(info.Env());
    job->context_ = a.Root();
    job->ptx_ = info[1].As<Napi::String>().Utf8Value();
    return job->Waiting::Start();
  }

 private:
  using Waiting::Waiting;
  void Execute() override { module_ = cuda::LoadModule(context_, ptx_.c_str(), &failure_); }
  Napi::Value Result() override {
    return module_ ? Handle(Env(), std::move(module_)) : FailureOf(Env(), failure_);
  }
  std::shared_ptr<Context> context_;
  std::string ptx_;
  Held module_;
};

// done(event): promise that settles when the device has come by it
class Done final : public Waiting {
 public:
  static Napi::Value Start(const Napi::CallbackInfo& info) {
    Call<1> a(info);
    auto* job = new Done(info.Env());
    job->event_ = a.At(0);
    return job->Waiting::Start();
  }

 private:
  using Waiting::Waiting;
  void Execute() override {
    Context::Here here(event_->context(), &failure_);
    good_ = here && H5Z_CUDA(event_->driver(), &failure_, cuEventSynchronize, event_->opaque());
  }
  Napi::Value Result() override { return good_ ? Env().Undefined() : FailureOf(Env(), failure_); }
  Held event_;
};

}  // namespace

void InitCuda(Napi::Env env, Napi::Object exports) {
  Napi::Object cuda = Napi::Object::New(env);
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    cuda.Set(name, Napi::Function::New(env, function, name));
  };
  add("open", Open);
  add("context", NewContext);
  add("memory", Memory);
  add("allocate", Allocate);
  add("pin", Pin);
  add("stream", NewStream);
  add("event", NewEvent);
  add("load", Loading::Start);
  add("kernel", Kernel);
  add("upload", Copy<Way::kUp>);
  add("download", Copy<Way::kDown>);
  add("copy", Copy<Way::kAcross>);
  add("fill", Fill);
  add("launch", Launch);
  add("record", Record);
  add("wait", Wait);
  add("elapsed", Elapsed);
  add("done", Done::Start);
  add("close", Close);
  add("unpin", Unpin);
  add("dlpack", NewTensor);
  add("take", Take);
  exports.Set("cuda", cuda);
}

}  // namespace h5z
