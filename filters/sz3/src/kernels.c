/* kernels.c: the arithmetic of kernel.h for each of the ten element types, and how a double becomes an integer. */
#include "sz3.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* C leaves open what becomes of a double that the integer has no room for. Upstream's results are those of x86-64, where its
 * files are made: 32 bits and less by way of int32, uint32 and int64 by way of int64, out of range giving the smallest one.
 * Values that come to pass only there are always coded exactly instead, but they are compared with first. Elements wait for
 * their neighbours: of what is nearly always so the compiler then makes a branch, and nothing to wait for. */
#define LIKELY(condition) __builtin_expect_with_probability(!!(condition), 1, 0.9999)
static inline int32_t to_i32(double v) { return LIKELY(v > -2147483649.0 && v < 2147483648.0) ? (int32_t)v : INT32_MIN; }
static inline int64_t to_i64(double v) {
  return LIKELY(v >= -9223372036854775808.0 && v < 9223372036854775808.0) ? (int64_t)v : INT64_MIN;
}
static inline uint64_t to_u64(double v) {
  return v >= 9223372036854775808.0 ? (uint64_t)to_i64(v - 9223372036854775808.0) ^ (uint64_t)1 << 63 : (uint64_t)to_i64(v);
}

#define REAL 1
#define T float
#define NAME(x) x##_f32
#define FROM(x) ((float)(x))
#include "kernel.h"
#include "kernel_end.h"
#define T double
#define NAME(x) x##_f64
#define FROM(x) (x)
#include "kernel.h"
#include "kernel_end.h"
#undef REAL

#define REAL 0
#define U uint32_t
#define S int32_t
#define T uint8_t
#define NAME(x) x##_u8
#define FROM(x) ((uint8_t)to_i32(x))
#include "kernel.h"
#include "kernel_end.h"
#define T int8_t
#define NAME(x) x##_i8
#define FROM(x) ((int8_t)to_i32(x))
#include "kernel.h"
#include "kernel_end.h"
#define T uint16_t
#define NAME(x) x##_u16
#define FROM(x) ((uint16_t)to_i32(x))
#include "kernel.h"
#include "kernel_end.h"
#define T int16_t
#define NAME(x) x##_i16
#define FROM(x) ((int16_t)to_i32(x))
#include "kernel.h"
#include "kernel_end.h"
#define T int32_t
#define NAME(x) x##_i32
#define FROM(x) to_i32(x)
#include "kernel.h"
#include "kernel_end.h"
#undef S
#define S uint32_t
#define T uint32_t
#define NAME(x) x##_u32
#define FROM(x) ((uint32_t)to_i64(x))
#include "kernel.h"
#include "kernel_end.h"
#undef S
#undef U
#define U uint64_t
#define S uint64_t
#define T uint64_t
#define NAME(x) x##_u64
#define FROM(x) to_u64(x)
#include "kernel.h"
#include "kernel_end.h"
#undef S
#define S int64_t
#define T int64_t
#define NAME(x) x##_i64
#define FROM(x) to_i64(x)
#include "kernel.h"
#include "kernel_end.h"

#if defined(H5Z_DECODE_ONLY)
#define TYPE(t, suffix) \
  { sizeof(t), recover_##suffix, NULL, recover_blocks_##suffix, NULL, NULL, NULL }
#else
#define TYPE(t, suffix) \
  { sizeof(t),         recover_##suffix, quantize_##suffix, recover_blocks_##suffix, quantize_blocks_##suffix, \
    range_##suffix, squares_##suffix }
#endif
const sz3_type sz3_types[SZ3_TYPES] = {
    [SZ3_F32] = TYPE(float, f32),     [SZ3_F64] = TYPE(double, f64),    [SZ3_U8] = TYPE(uint8_t, u8),
    [SZ3_I8] = TYPE(int8_t, i8),      [SZ3_U16] = TYPE(uint16_t, u16),  [SZ3_I16] = TYPE(int16_t, i16),
    [SZ3_U32] = TYPE(uint32_t, u32),  [SZ3_I32] = TYPE(int32_t, i32),   [SZ3_U64] = TYPE(uint64_t, u64),
    [SZ3_I64] = TYPE(int64_t, i64),
};
