/* dlpack.c: who takes tensors, for cuda.test.ts: a Node addon that reads a DLManagedTensor as dlpack.h declares it, and gives it
 * back. read(address): [data, device type, device, dimensions, code, bits, lanes, byte offset, shape ...] as bigints;
 * done(address): calls the deleter. */
#include <node_api.h>

typedef struct {
  void *data;
  int32_t device_type, device_id, ndim;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t *shape, *strides;
  uint64_t byte_offset;
} tensor;

typedef struct managed {
  tensor t;
  void *manager_ctx;
  void (*deleter)(struct managed *);
} managed;

static managed *argument(napi_env env, napi_callback_info info) {
  size_t n = 1;
  napi_value value;
  uint64_t address = 0;
  bool lossless;
  napi_get_cb_info(env, info, &n, &value, NULL, NULL);
  napi_get_value_bigint_uint64(env, value, &address, &lossless);
  return (managed *)(uintptr_t)address;
}

static napi_value read_tensor(napi_env env, napi_callback_info info) {
  const tensor *t = &argument(env, info)->t;
  const uint64_t head[] = {(uintptr_t)t->data, (uint64_t)t->device_type, (uint64_t)t->device_id, (uint64_t)t->ndim,
                           t->code, t->bits, t->lanes, t->byte_offset};
  napi_value list, one;
  napi_create_array(env, &list);
  for (uint32_t i = 0; i < 8 + (uint32_t)t->ndim; i++) {
    napi_create_bigint_uint64(env, i < 8 ? head[i] : (uint64_t)t->shape[i - 8], &one);
    napi_set_element(env, list, i, one);
  }
  return t->strides ? NULL : list;
}

static napi_value done(napi_env env, napi_callback_info info) {
  managed *m = argument(env, info);
  m->deleter(m);
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "read", NAPI_AUTO_LENGTH, read_tensor, NULL, &function);
  napi_set_named_property(env, exports, "read", function);
  napi_create_function(env, "done", NAPI_AUTO_LENGTH, done, NULL, &function);
  napi_set_named_property(env, exports, "done", function);
  return exports;
}
