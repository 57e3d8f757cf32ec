/* Predictions by products and quotients of neighbours, as SZ orders them; for sequence.h. SZ computes in floats in two
 * dimensions and in doubles (IN_DOUBLE) in three. */
#if defined(IN_DOUBLE)
#  define WIDE(x) ((double)(x))
#  define NARROW(x) ((float)(x))
#else
#  define WIDE(x) (x)
#  define NARROW(x) (x)
#endif
#define LINE(a, b) NARROW(WIDE(a) * (a) / (b))
#define PLANE(a, b, c) NARROW(WIDE(a) * (b) / (c))
#define SPACE(a, b, c, ab, ac, bc, abc) NARROW(WIDE(a) * (b) * (c) * (abc) / (WIDE(ab) * (bc) * (ac)))
