/* One walk over all elements in order, each predicted by its decoded neighbours (Lorenzo's predictor), for decoding and
 * for encoding. Included once for every element type and kind of prediction, with these macros:
 *
 *   WALK                    the function's name
 *   STORED, VALUE           type of decoded elements (any alignment), type to compute with
 *   STATE                   struct with what the following need, as `state`
 *   FIRST()                 a cube's first element, which is stored by itself
 *   NEXT(prediction)        the next element
 *   STOP()                  asked before each row
 *   LINE(a, b)              prediction in the first row from the last and the one before
 *   PLANE(a, b, c)          in a plane: a + b - c
 *   SPACE(a, b, c, ab, ac, bc, abc)  a + b + c - ab - ac - bc + abc, named by the steps away: a along the row, b across, c behind
 *
 * A cube is d1 planes of d2 rows of d3 elements; every cube begins anew with an exact element, whatever its type says.
 */
static void WALK(STATE *state, STORED *out, uint64_t cubes, uint64_t d1, uint64_t d2, uint64_t d3) {
  for (; cubes > 0; cubes--) {
    for (uint64_t i = 0; i < d1; i++) {
      for (uint64_t j = 0; j < d2; j++, out += d3) {
        if (STOP()) return;
        const STORED *across = out - d3, *behind = out - d2 * d3, *both = behind - d3;
        uint64_t k = 1;
        VALUE a;
        if (i == 0 && j == 0) {
          out[0] = a = FIRST();
          if (d3 > 1) {
            VALUE before = a;
            out[1] = a = NEXT(a);
            for (k = 2; k < d3; k++) {
              const VALUE last = a;
              out[k] = a = NEXT(LINE(last, before));
              before = last;
            }
          }
        } else if (i == 0 || j == 0) {
          const STORED *other = i == 0 ? across : behind;
          VALUE c = other[0];
          out[0] = a = NEXT(c);
          for (; k < d3; k++) {
            const VALUE b = other[k];
            out[k] = a = NEXT(PLANE(a, b, c));
            c = b;
          }
        } else {
          VALUE ab = across[0], ac = behind[0], abc = both[0];
          out[0] = a = NEXT(PLANE(ab, ac, abc));
          for (; k < d3; k++) {
            const VALUE b = across[k], c = behind[k], bc = both[k];
            out[k] = a = NEXT(SPACE(a, b, c, ab, ac, bc, abc));
            ab = b, ac = c, abc = bc;
          }
        }
      }
    }
  }
}
#undef WALK
#undef NEXT
#undef LINE
#undef PLANE
#undef SPACE
#undef WIDE
#undef NARROW
#undef IN_DOUBLE
