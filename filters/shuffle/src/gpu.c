/* The shuffle filter on a GPU: both directions, each one pass over memory. Layout and rules are filter.c's; the dialect is
 * h5z/gpu.h's.
 *
 * The lanes of a chunk's parts take four neighbouring elements at a time, so that neighbouring lanes read neighbouring
 * words of each row (decode) and write them (encode). Elements of 2, 4 and 8 bytes go through registers as words; others, what
 * is left over at the end, and rows that are to be written where no word begins, byte by byte.
 */
#include <h5z/gpu.h>

enum { TOGETHER = 4, ALIGNED = 16 };

/* Byte j of word i becomes byte i of word j. */
H5Z_DEVICE void turn(uint32_t *w) {
  const uint32_t even = 0x00ff00ff, odd = 0xff00ff00, low = 0x0000ffff;
  const uint32_t a = (w[0] & even) | (w[1] & even) << 8, b = (w[0] >> 8 & even) | (w[1] & odd);
  const uint32_t c = (w[2] & even) | (w[3] & even) << 8, d = (w[2] >> 8 & even) | (w[3] & odd);
  w[0] = (a & low) | c << 16, w[1] = (b & low) | d << 16;
  w[2] = a >> 16 | (c & ~low), w[3] = b >> 16 | (d & ~low);
}

/* The even bytes of two words, and the odd ones. */
H5Z_DEVICE void part(uint32_t *w) {
  const uint32_t a = w[0], b = w[1];
  w[0] = (a & 0xff) | (a >> 8 & 0xff00) | (b & 0xff) << 16 | (b & 0xff0000) << 8;
  w[1] = (a >> 8 & 0xff) | (a >> 16 & 0xff00) | (b & 0xff00) << 8 | (b & 0xff000000);
}

/* And back. */
H5Z_DEVICE void join(uint32_t *w) {
  const uint32_t a = w[0], b = w[1];
  w[0] = (a & 0xff) | (b & 0xff) << 8 | (a & 0xff00) << 8 | (b & 0xff00) << 16;
  w[1] = (a >> 16 & 0xff) | (b >> 8 & 0xff00) | (a >> 8 & 0xff0000) | (b & 0xff000000);
}

/* Words that are read and written in one go: at addresses that their size divides. */
typedef uint32_t two_words __attribute__((vector_size(8)));
typedef uint32_t four_words __attribute__((vector_size(16)));

/* Four bytes, one by one: where whole words would reach out of the chunk. */
H5Z_OUTLINE uint32_t word_of_bytes(H5Z_GLOBAL const uint8_t *in) {
  return in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

/* Four bytes of the chunk, wherever they begin; of two words where a word does not. */
H5Z_DEVICE uint32_t word_at(const h5z_gpu_part *p, uint64_t at) {
  const uint32_t behind = (uint32_t)((uint64_t)(uintptr_t)(p->in + at) % 4);
  if (behind == 0) return *(H5Z_GLOBAL const uint32_t *)(p->in + at);
  if (at < behind || at - behind + 8 > p->size) return word_of_bytes(p->in + at);
  H5Z_GLOBAL const uint32_t *words = (H5Z_GLOBAL const uint32_t *)(p->in + at - behind);
  return words[0] >> 8 * behind | words[1] << (32 - 8 * behind);
}

/* Four elements of `elem` bytes, 2, 4 or 8, the first of them number 4 * e of n: from four bytes of each of `elem` rows to `elem`
 * words that lie together; or back. */
H5Z_DEVICE void four(const h5z_gpu_part *p, uint32_t elem, uint64_t n, uint64_t e, int to_rows) {
  uint32_t w[8];
  H5Z_GLOBAL const uint32_t *in = (H5Z_GLOBAL const uint32_t *)p->in;
  H5Z_GLOBAL uint32_t *out = (H5Z_GLOBAL uint32_t *)p->out;
  if (!to_rows) {
    H5Z_UNROLL for (uint32_t k = 0; k < elem; k++) w[k] = word_at(p, k * n + TOGETHER * e);
  } else if (elem == 2) {
    const two_words two = ((H5Z_GLOBAL const two_words *)in)[e];
    w[0] = two[0], w[1] = two[1];
  } else {
    H5Z_UNROLL for (uint32_t k = 0; k < elem; k += 4) {
      const four_words some = ((H5Z_GLOBAL const four_words *)in)[(e * elem + k) / 4];
      w[k] = some[0], w[k + 1] = some[1], w[k + 2] = some[2], w[k + 3] = some[3];
    }
  }
  /* Of 8 bytes, the two halves of an element lie side by side, and are turned each by itself. */
  uint32_t halves[8];
  H5Z_UNROLL for (uint32_t k = 0; k < elem; k++) halves[k] = elem == 8 && to_rows ? w[k % 4 * 2 + k / 4] : w[k];
  if (elem == 2 && to_rows) part(halves);
  if (elem == 2 && !to_rows) join(halves);
  if (elem >= 4) turn(halves);
  if (elem == 8) turn(halves + 4);
  H5Z_UNROLL for (uint32_t k = 0; k < elem; k++) w[k] = halves[elem == 8 && !to_rows ? k % 2 * 4 + k / 2 : k];
  if (to_rows) {
    H5Z_UNROLL for (uint32_t k = 0; k < elem; k++) out[e + k * (n / TOGETHER)] = w[k];
  } else if ((uint64_t)(uintptr_t)p->out % ALIGNED != 0) {
    H5Z_UNROLL for (uint32_t k = 0; k < elem; k++) out[e * elem + k] = w[k];
  } else if (elem == 2) {
    ((H5Z_GLOBAL two_words *)out)[e] = (two_words){w[0], w[1]};
  } else {
    H5Z_UNROLL for (uint32_t k = 0; k < elem; k += 4)
      ((H5Z_GLOBAL four_words *)out)[(e * elem + k) / 4] = (four_words){w[k], w[k + 1], w[k + 2], w[k + 3]};
  }
}

/* Byte k of element e is at e * elem + k in elements, and at k * n + e in rows. Elements from `from` on. */
H5Z_DEVICE void bytes(const h5z_gpu_part *p, uint32_t elem, uint64_t n, uint64_t from, int to_rows) {
  for (uint64_t e = from + p->lane * TOGETHER; e < n; e += p->lanes * TOGETHER) {
    const uint32_t some = n - e < TOGETHER ? (uint32_t)(n - e) : TOGETHER;
    for (uint32_t k = 0; k < elem; k++)
      for (uint32_t i = 0; i < some; i++) {
        const uint64_t element = (e + i) * elem + k, row = k * n + e + i;
        if (to_rows) p->out[row] = p->in[element];
        else p->out[element] = p->in[row];
      }
  }
}

H5Z_DEVICE void transpose(const h5z_gpu_batch *b, int to_rows) {
  h5z_gpu_part p;
  if (!h5z_gpu_begin(b, &p)) return;
  const uint32_t elem = b->ncd == 1 ? b->cd[0] : 0;
  const int32_t status = elem == 0 ? H5Z_E_PARAM : p.size > p.room ? H5Z_E_OUTPUT : 0;
  h5z_gpu_answer(b, &p, p.size, status);
  if (status != 0) return;

  const uint64_t n = elem == 1 ? 0 : p.size / elem;
  const uint64_t in = (uint64_t)(uintptr_t)p.in, out = (uint64_t)(uintptr_t)p.out;
  const int aligned = to_rows ? in % ALIGNED == 0 && out % ALIGNED == 0 && n % TOGETHER == 0 : out % sizeof(uint32_t) == 0;
  const uint64_t fours = aligned && (elem == 2 || elem == 4 || elem == 8) ? n / TOGETHER : 0;
  for (uint64_t e = p.lane; e < fours; e += p.lanes) {
    if (elem == 2) four(&p, 2, n, e, to_rows);
    else if (elem == 4) four(&p, 4, n, e, to_rows);
    else four(&p, 8, n, e, to_rows);
  }
  bytes(&p, elem, n, fours * TOGETHER, to_rows);
  for (uint64_t i = n * elem + p.lane; i < p.size; i += p.lanes) p.out[i] = p.in[i];
}

H5Z_KERNEL void h5z_shuffle_decode(h5z_gpu_batch b) { transpose(&b, 0); }
H5Z_KERNEL void h5z_shuffle_encode(h5z_gpu_batch b) { transpose(&b, 1); }
