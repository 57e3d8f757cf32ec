/* Predictions by sums and differences of neighbours, in the order that SZ adds; for sequence.h. */
#define LINE(a, b) (2 * (a) - (b))
#define PLANE(a, b, c) ((a) + (b) - (c))
#define SPACE(a, b, c, ab, ac, bc, abc) ((a) + (b) + (c) - (ab) - (bc) - (ac) + (abc))
