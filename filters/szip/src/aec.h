/* aec.h: adaptive entropy coding, CCSDS 121.0-B-3 ("extended Rice coding"), as far as szip uses it: what filter.c needs
 * to turn samples into a bit stream and back. Our own code; the encoder takes libaec's choices, so that its bytes are libaec's.
 *
 * Samples are coded line by line, and a line is one reference sample interval of whole blocks:
 *
 *     line    | block 0 (first sample as it is) | block 1 | ... |       every line starts anew
 *     block   | id | one of:                                            bits are written from the highest down
 *                  id = 0, 0     n blocks of zeros: n as a unary number
 *                  id = 0, 1     second extension: pairs of small samples as one unary number each
 *                  id = 1 ... m  split: high bits of every sample in unary, then the low id - 1 bits of every sample
 *                  id = all ones samples as they are
 *
 * Before that each sample is replaced by its difference to the one before, mapped to a non-negative number
 * ("nearest neighbour"), unless the settings say otherwise.
 */
#ifndef SZIP_AEC_H
#define SZIP_AEC_H

#include <stddef.h>
#include <stdint.h>

/* Most samples of a line: 4096 rounded up to whole blocks of at most 32. */
enum { AEC_MOST_BLOCK = 32, AEC_MOST_PIXELS = 4096, AEC_MOST_LINE = AEC_MOST_PIXELS + AEC_MOST_BLOCK - 1 };

typedef struct {
  unsigned bits;  /* of a sample, 1 to 24       */
  unsigned block; /* samples of a block, even   */
  unsigned line;  /* samples of a line: a multiple of block, at most AEC_MOST_LINE */
  int neighbour;  /* differences to the sample before */
} aec_settings;

/* Where a decoder stands in its input. */
typedef struct {
  const uint8_t *next, *end;
  uint64_t acc; /* the next bits, the first one highest; at least `count` of them */
  unsigned count;
} aec_reader;

/* Decodes one line of s->line samples. 0, or -1 when the input ends too early or makes no sense. */
int aec_decode_line(const aec_settings *s, aec_reader *r, uint32_t *samples);

/* Where an encoder stands in its output. */
typedef struct {
  uint8_t *next, *end;
  uint64_t acc; /* `count` bits, fewer than 32, that are not written yet */
  unsigned count;
  unsigned k; /* where the block before was split: where the search for the best split starts */
  int full;   /* there was no room for a byte */
} aec_writer;

/* Encodes one line of s->line samples, each below 2^bits; spoils them. Sets w->full when the output is too small. */
void aec_encode_line(const aec_settings *s, aec_writer *w, uint32_t *samples);

/* Writes the last bits, padded with zeros to a byte. */
void aec_finish(aec_writer *w);

#endif
