// functions.h: what the files of the addon give to addon.cc.

#ifndef H5Z_NATIVE_FUNCTIONS_H
#define H5Z_NATIVE_FUNCTIONS_H

#define NODE_ADDON_API_DISABLE_DEPRECATED
#include <napi.h>

namespace h5z {

Napi::Value Load(const Napi::CallbackInfo& info);
void InitCodec(Napi::Env env, Napi::Object exports);
void InitBatch(Napi::Env env, Napi::Object exports);
void InitCuda(Napi::Env env, Napi::Object exports);

}  // namespace h5z
#endif
