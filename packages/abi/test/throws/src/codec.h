/* codec.h: the C edge of the test codec; no exception crosses it. */
#ifndef CODEC_H
#define CODEC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int64_t codec_decode(const uint8_t *in, size_t nin, uint8_t *out, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
