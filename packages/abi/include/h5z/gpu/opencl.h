/* h5z/gpu/opencl.h: kernels as OpenCL C 1.2, for tests: what another compiler makes of them, with barriers of its own.
 *
 * OpenCL C has no pointers to functions and no headers of C, so that filter.h is not for it: whoever compiles gives the codes of
 * h5z_error as macros (-DH5Z_E_PARAM=-1 and so on). Nor may a kernel's argument be a structure with pointers, so that the batch
 * comes by its address: the first line of each kernel is written anew, and is all that is.
 *
 *     H5Z_KERNEL void h5z_mine_decode(h5z_gpu_batch b) {
 *     H5Z_KERNEL void h5z_mine_decode(H5Z_GLOBAL const h5z_gpu_batch *batch) { h5z_gpu_batch b = *batch;
 */
#ifndef H5Z_GPU_OPENCL_H
#define H5Z_GPU_OPENCL_H

typedef uchar uint8_t;
typedef ushort uint16_t;
typedef int int32_t;
typedef uint uint32_t;
typedef long int64_t;
typedef ulong uint64_t;

#define INT32_MIN INT_MIN
#define INT32_MAX INT_MAX
#define UINT32_MAX UINT_MAX
#define INT64_MIN LONG_MIN
#define UINT64_MAX ULONG_MAX
#define UINT32_C(x) x##u
#define UINT64_C(x) x##ul

#define H5Z_KERNEL __kernel
#define H5Z_GLOBAL __global
#define H5Z_LOCAL __local
#define H5Z_SHARED(type, name, count) H5Z_LOCAL type name[count] __attribute__((aligned(16)))
#define H5Z_DEVICE static inline
#define H5Z_OUTLINE static

H5Z_DEVICE uint32_t h5z_lane(void) { return (uint32_t)get_local_id(0); }
H5Z_DEVICE uint32_t h5z_lanes(void) { return (uint32_t)get_local_size(0); }
H5Z_DEVICE uint32_t h5z_group(void) { return (uint32_t)get_group_id(0); }
#define h5z_sync() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)

#endif
