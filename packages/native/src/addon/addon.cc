// addon.cc: the one Node-API addon behind every native filter: what it exports.
//
//     library.cc     opens filter libraries
//     codec.cc       the functions of one filter, called from JavaScript one by one
//     pipeline.cc    all filters of a chunk in one go, straight to its place in an output               (no Node-API)
//     pool.cc        the threads that do so, one set for the process                                    (no Node-API)
//     memory.cc      memory for large arrays, kept for the next one                                     (no Node-API)
//     batch.cc       jobs from JavaScript to the threads and back
//     cuda.cc        NVIDIA's driver: memory, streams, kernels
//     cuda_driver.cc the same, opened at run time                                                       (no Node-API)
//     system.cc      pages, files, processors, threads: what differs between systems                           (no Node-API)

#include "functions.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("load", Napi::Function::New<h5z::Load>(env, "load"));
  h5z::InitCodec(env, exports);
  h5z::InitBatch(env, exports);
  h5z::InitCuda(env, exports);
  return exports;
}

NODE_API_MODULE(h5z_native, Init)
