// cuda_driver.h: NVIDIA's driver, opened at run time: no CUDA toolkit takes part in building or running this. Knows nothing of
// JavaScript. Types, values and functions are declared here from the driver API's published reference
// (https://docs.nvidia.com/cuda/cuda-driver-api/); the names with _v2 are what its header maps the plain ones to.

#ifndef H5Z_NATIVE_CUDA_DRIVER_H
#define H5Z_NATIVE_CUDA_DRIVER_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "system.h"

namespace h5z {
namespace cuda {

#if defined(_WIN32)
#  define H5Z_CUDA_CALL __stdcall
#else
#  define H5Z_CUDA_CALL
#endif

using Result = int;  // CUresult: 0, or why not
using Device = int;  // CUdevice
using Address = uint64_t;  // CUdeviceptr
// CUcontext, CUmodule, CUfunction, CUstream, CUevent: opaque.
using Opaque = void*;

constexpr Result kOutOfMemory = 2, kNoDevice = 100;
constexpr int kOldestVersion = 9000;  // the first driver that reads PTX 6.0
// CUdevice_attribute
constexpr int kMultiprocessors = 16, kMajor = 75, kMinor = 76;
// CUevent_flags: a thread that waits sleeps; no time is taken down
constexpr unsigned kBlockingSync = 1, kNoTiming = 2;
constexpr unsigned kNonBlockingStream = 1;
// CUjit_option
constexpr int kJitErrorLog = 5, kJitErrorLogBytes = 6;

#define H5Z_CUDA_FUNCTIONS(X)                                                                                     \
  X(cuDriverGetVersion, (int* version))                                                                           \
  X(cuInit, (unsigned flags))                                                                                     \
  X(cuGetErrorName, (Result error, const char** name))                                                            \
  X(cuGetErrorString, (Result error, const char** text))                                                          \
  X(cuDeviceGetCount, (int* count))                                                                               \
  X(cuDeviceGet, (Device * device, int ordinal))                                                                  \
  X(cuDeviceGetName, (char* name, int room, Device device))                                                       \
  X(cuDeviceTotalMem_v2, (size_t * bytes, Device device))                                                         \
  X(cuDeviceGetAttribute, (int* value, int attribute, Device device))                                             \
  X(cuDevicePrimaryCtxRetain, (Opaque * context, Device device))                                                  \
  X(cuDevicePrimaryCtxRelease, (Device device))                                                                   \
  X(cuCtxPushCurrent_v2, (Opaque context))                                                                        \
  X(cuCtxPopCurrent_v2, (Opaque * context))                                                                       \
  X(cuCtxSynchronize, ())                                                                                         \
  X(cuMemGetInfo_v2, (size_t * free, size_t* total))                                                              \
  X(cuMemAlloc_v2, (Address * address, size_t bytes))                                                             \
  X(cuMemFree_v2, (Address address))                                                                              \
  X(cuMemHostAlloc, (void** host, size_t bytes, unsigned flags))                                                  \
  X(cuMemFreeHost, (void* host))                                                                                  \
  X(cuMemcpyHtoDAsync_v2, (Address to, const void* from, size_t bytes, Opaque stream))                            \
  X(cuMemcpyDtoHAsync_v2, (void* to, Address from, size_t bytes, Opaque stream))                                  \
  X(cuMemcpyDtoDAsync_v2, (Address to, Address from, size_t bytes, Opaque stream))                                \
  X(cuMemsetD8Async, (Address to, unsigned char byte, size_t bytes, Opaque stream))                               \
  X(cuStreamCreate, (Opaque * stream, unsigned flags))                                                            \
  X(cuStreamDestroy_v2, (Opaque stream))                                                                          \
  X(cuStreamWaitEvent, (Opaque stream, Opaque event, unsigned flags))                                             \
  X(cuEventCreate, (Opaque * event, unsigned flags))                                                              \
  X(cuEventDestroy_v2, (Opaque event))                                                                            \
  X(cuEventRecord, (Opaque event, Opaque stream))                                                                 \
  X(cuEventSynchronize, (Opaque event))                                                                           \
  X(cuEventElapsedTime, (float* milliseconds, Opaque from, Opaque to))                                            \
  X(cuModuleLoadDataEx, (Opaque * module, const void* image, unsigned n, int* options, void** values))            \
  X(cuModuleUnload, (Opaque module))                                                                              \
  X(cuModuleGetFunction, (Opaque * function, Opaque module, const char* name))                                    \
  X(cuLaunchKernel, (Opaque function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,        \
                     unsigned block_y, unsigned block_z, unsigned shared_bytes, Opaque stream, void** parameters, \
                     void** extra))

// Which call went wrong, and how. `code` is CUresult, or 0 where there was no call: `why` says it all then.
struct Failure {
  const char* call = "";
  Result code = 0;
  std::string why;
};

struct DeviceInfo {
  std::string name;
  uint64_t bytes = 0;
  int multiprocessors = 0, major = 0, minor = 0;
};

// The driver's functions. One object for each path, never destroyed: contexts of other libraries may live in it.
class Driver {
 public:
  // An empty path: the one that the system's loader finds. nullptr with `why` when there is no driver, when it is too old,
  // when it lacks a function, or when it has no GPU for this process.
  static Driver* Open(const PathText& path, Failure* why);

  // True, or false with `failure` filled in.
  bool Good(const char* call, Result result, Failure* failure) const;

  int version = 0;
  std::vector<DeviceInfo> devices;

#define X(name, arguments) Result(H5Z_CUDA_CALL* name) arguments = nullptr;
  H5Z_CUDA_FUNCTIONS(X)
#undef X

 private:
  bool Load(const PathText& path, Failure* why);
};

// driver.cuAnything(...), held to 0: H5Z_CUDA(driver, &failure, cuAnything, ...) is true when it went well.
#define H5Z_CUDA(driver, failure, call, ...) ((driver).Good(#call, (driver).call(__VA_ARGS__), failure))

// A device's primary context, which every library in the process that uses the CUDA runtime shares; kept while this lives.
class Context {
 public:
  static std::shared_ptr<Context> Open(Driver* driver, int ordinal, Failure* why);
  ~Context();
  Driver& driver() const { return *driver_; }

  // Makes the context this thread's as long as it lives, and then the one before again.
  class Here {
   public:
    Here(const Context& context, Failure* why);
    ~Here();
    explicit operator bool() const { return good_; }

   private:
    Driver& driver_;
    bool good_;
  };

 private:
  Context(Driver* driver, Device device, Opaque context) : driver_(driver), device_(device), context_(context) {}
  Driver* driver_;
  Device device_;
  Opaque context_;
};

enum class Kind { kMemory, kPinned, kStream, kEvent, kModule };

// What a context owns. Ends with Close or with its last owner, whichever comes first; what is under way on the device with it
// is waited for.
class Resource {
 public:
  Resource(std::shared_ptr<Context> context, Kind kind, uint64_t value, bool owned = true)
      : context_(std::move(context)), kind_(kind), value_(value), owned_(owned) {}
  ~Resource() { Close(); }
  Resource(const Resource&) = delete;
  void Close();

  const Context& context() const { return *context_; }
  Driver& driver() const { return context_->driver(); }
  uint64_t value() const { return value_; }
  Opaque opaque() const { return reinterpret_cast<Opaque>(static_cast<uintptr_t>(value_)); }

 private:
  std::shared_ptr<Context> context_;
  Kind kind_;
  uint64_t value_;
  bool owned_, open_ = true;
};

// The driver's own compiler makes machine code of `ptx`, a text that ends in 0. nullptr with `why`, its complaints included.
std::shared_ptr<Resource> LoadModule(const std::shared_ptr<Context>& context, const char* ptx, Failure* why);

}  // namespace cuda
}  // namespace h5z
#endif
