// cuda_driver.cc: see cuda_driver.h.

#include "cuda_driver.h"

#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#if !defined(_WIN32)
#  include <dlfcn.h>
#endif

namespace h5z {
namespace cuda {
namespace {

#if defined(_WIN32)
void* OpenLibrary(const PathText& path, std::string* why) {
  HMODULE library = path.empty() ? LoadLibraryExW(L"nvcuda.dll", nullptr, LOAD_LIBRARY_SEARCH_SYSTEM32)
                                 : LoadLibraryW(reinterpret_cast<const wchar_t*>(path.c_str()));
  if (!library) *why = LastSystemMessage();
  return reinterpret_cast<void*>(library);
}

void* Find(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(reinterpret_cast<HMODULE>(library), name));
}
#else
void* OpenLibrary(const PathText& path, std::string* why) {
  void* library = dlopen(path.empty() ? "libcuda.so.1" : path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* message = dlerror();
    *why = message ? message : "dlopen failed";
  }
  return library;
}

void* Find(void* library, const char* name) { return dlsym(library, name); }
#endif

template <typename Function>
bool FindInto(void* library, const char* name, Function* function) {
  void* found = Find(library, name);
  static_assert(sizeof found == sizeof *function, "functions and data have pointers of one size");
  std::memcpy(function, &found, sizeof found);
  return found != nullptr;
}

}  // namespace

Driver* Driver::Open(const PathText& path, Failure* why) {
  static std::mutex mutex;
  static auto* drivers = new std::map<PathText, Driver*>;
  std::lock_guard<std::mutex> lock(mutex);
  auto known = drivers->find(path);
  if (known != drivers->end()) return known->second;
  auto driver = std::make_unique<Driver>();
  if (!driver->Load(path, why)) return nullptr;
  return (*drivers)[path] = driver.release();
}

bool Driver::Load(const PathText& path, Failure* why) {
  void* library = OpenLibrary(path, &why->why);
  if (!library) return false;
  // First the version: what an old driver lacks is no news then.
  if (!FindInto(library, "cuDriverGetVersion", &cuDriverGetVersion)) {
    why->why = "it has no cuDriverGetVersion, so it is no CUDA driver";
    return false;
  }
  FindInto(library, "cuGetErrorName", &cuGetErrorName);
  FindInto(library, "cuGetErrorString", &cuGetErrorString);
  if (!H5Z_CUDA(*this, why, cuDriverGetVersion, &version)) return false;
  if (version < kOldestVersion) {
    why->why = "the driver is for CUDA " + std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10) +
               ", and 9.0 is the oldest that reads the kernels";
    return false;
  }
#define X(name, arguments)                                                                       \
  if (!FindInto(library, #name, &name)) {                                                        \
    why->why = std::string("the driver has no function ") + #name;                               \
    return false;                                                                                \
  }
  H5Z_CUDA_FUNCTIONS(X)
#undef X
  int count = 0;
  if (!H5Z_CUDA(*this, why, cuInit, 0u) || !H5Z_CUDA(*this, why, cuDeviceGetCount, &count)) return false;
  if (count <= 0) {
    why->call = "cuDeviceGetCount", why->code = kNoDevice, why->why = "the driver has no GPU for this process";
    return false;
  }
  for (int i = 0; i < count; i++) {
    DeviceInfo info;
    Device device;
    char name[256] = "";
    size_t bytes = 0;
    if (!H5Z_CUDA(*this, why, cuDeviceGet, &device, i) ||
        !H5Z_CUDA(*this, why, cuDeviceGetName, name, static_cast<int>(sizeof name - 1), device) ||
        !H5Z_CUDA(*this, why, cuDeviceTotalMem_v2, &bytes, device) ||
        !H5Z_CUDA(*this, why, cuDeviceGetAttribute, &info.multiprocessors, kMultiprocessors, device) ||
        !H5Z_CUDA(*this, why, cuDeviceGetAttribute, &info.major, kMajor, device) ||
        !H5Z_CUDA(*this, why, cuDeviceGetAttribute, &info.minor, kMinor, device)) {
      return false;
    }
    info.name = name, info.bytes = bytes;
    devices.push_back(std::move(info));
  }
  return true;
}

bool Driver::Good(const char* call, Result result, Failure* failure) const {
  if (result == 0) return true;
  const char* text = nullptr;
  const char* name = nullptr;
  if (cuGetErrorName) cuGetErrorName(result, &name);
  if (cuGetErrorString) cuGetErrorString(result, &text);
  failure->call = call, failure->code = result;
  failure->why = name ? name : "error " + std::to_string(result);
  if (text) failure->why += std::string(": ") + text;
  return false;
}

std::shared_ptr<Context> Context::Open(Driver* driver, int ordinal, Failure* why) {
  Device device;
  Opaque context = nullptr;
  if (!H5Z_CUDA(*driver, why, cuDeviceGet, &device, ordinal) ||
      !H5Z_CUDA(*driver, why, cuDevicePrimaryCtxRetain, &context, device)) {
    return nullptr;
  }
  return std::shared_ptr<Context>(new Context(driver, device, context));
}

Context::~Context() { driver_->cuDevicePrimaryCtxRelease(device_); }

Context::Here::Here(const Context& context, Failure* why)
    : driver_(*context.driver_), good_(H5Z_CUDA(driver_, why, cuCtxPushCurrent_v2, context.context_)) {}

Context::Here::~Here() {
  Opaque ours;
  if (good_) driver_.cuCtxPopCurrent_v2(&ours);
}

void Resource::Close() {
  if (!std::exchange(open_, false) || !owned_) return;
  Failure ignored;
  Context::Here here(*context_, &ignored);
  if (!here) return;
  Driver& d = driver();
  // Streams and events end by themselves once what is under way with them is done.
  if (kind_ != Kind::kStream && kind_ != Kind::kEvent) d.cuCtxSynchronize();
  switch (kind_) {
    case Kind::kMemory: d.cuMemFree_v2(value_); break;
    case Kind::kPinned: d.cuMemFreeHost(opaque()); break;
    case Kind::kStream: d.cuStreamDestroy_v2(opaque()); break;
    case Kind::kEvent: d.cuEventDestroy_v2(opaque()); break;
    case Kind::kModule: d.cuModuleUnload(opaque()); break;
  }
}

std::shared_ptr<Resource> LoadModule(const std::shared_ptr<Context>& context, const char* ptx, Failure* why) {
  Context::Here here(*context, why);
  if (!here) return nullptr;
  char log[4096] = "";
  int options[] = {kJitErrorLog, kJitErrorLogBytes};
  void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
  Opaque module = nullptr;
  if (!H5Z_CUDA(context->driver(), why, cuModuleLoadDataEx, &module, ptx, 2u, options, values)) {
    log[sizeof log - 1] = 0;
    if (*log) why->why += std::string("; ") + log;
    return nullptr;
  }
  return std::make_shared<Resource>(context, Kind::kModule, reinterpret_cast<uintptr_t>(module));
}

}  // namespace cuda
}  // namespace h5z
