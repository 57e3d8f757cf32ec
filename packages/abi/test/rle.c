/* rle.c: a filter small enough to read at a glance, for testing the adaptors themselves. Test-only.
 *
 * chunk:  | original size u32 BE | pairs of (count 1..255, byte xor cd[1]) ... |
 * client: [xor byte]   stored: [element size, xor byte, class, signed, big-endian, rank, first chunk dim, base size]
 * cd[1] >= 256 is H5Z_E_PARAM; a chunk that would grow is H5Z_E_NOT_APPLICABLE; strings are not applicable at all.
 * cd[1] == 255 hides the size, so that callers meet H5Z_SIZE_UNKNOWN. A size of 0xffffff09 stands for a revision 9 of the
 * format, which nobody knows, to be explained. */
#include <h5z/filter.h>
#include <stdlib.h>

static uint32_t key_of(const uint32_t *cd, size_t ncd) { return ncd >= 2 ? cd[1] : 0; }

enum { FUTURE = 9 };

static int is_future(const void *in, size_t nin) { return nin >= 4 && h5z_get_u32be(in) == 0xffffff00u + FUTURE; }

static int64_t rle_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  if (nin < 4) return H5Z_E_CORRUPT;
  if (is_future(in, nin)) return H5Z_E_VERSION;
  return key_of(cd, ncd) == 255 ? H5Z_SIZE_UNKNOWN : (int64_t)h5z_get_u32be(in);
}

#if !defined(H5Z_DECODE_ONLY)
static int64_t rle_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  if (ds->type_class == H5Z_CLASS_STRING) return H5Z_E_NOT_APPLICABLE;
  uint32_t key = nclient == 8 ? client[1] : nclient ? client[0] : 0;
  if (key > 255) return H5Z_E_PARAM;
  if (cap < 8) return H5Z_E_OUTPUT;
  stored[0] = ds->type_size, stored[1] = key, stored[2] = ds->type_class, stored[3] = ds->is_signed;
  stored[4] = ds->big_endian, stored[5] = ds->rank, stored[6] = (uint32_t)ds->chunk_dims[0], stored[7] = ds->base_size;
  return 8;
}

static int64_t rle_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return (int64_t)nin + 4;
}

static int64_t rle_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const uint8_t *src = in;
  uint8_t *dst = out;
  uint32_t key = key_of(cd, ncd);
  if (key > 255) return H5Z_E_PARAM;
  if (nin > UINT32_MAX) return H5Z_E_UNSUPPORTED;
  if (cap < 4) return H5Z_E_OUTPUT;
  h5z_put_u32be(dst, (uint32_t)nin);
  size_t o = 4;
  for (size_t i = 0; i < nin;) {
    size_t run = 1;
    while (run < 255 && i + run < nin && src[i + run] == src[i]) run++;
    if (o + 2 > nin + 4) return H5Z_E_NOT_APPLICABLE;
    if (o + 2 > cap) return H5Z_E_OUTPUT;
    dst[o++] = (uint8_t)run, dst[o++] = (uint8_t)(src[i] ^ key);
    i += run;
  }
  return (int64_t)o;
}
#endif

static int64_t rle_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const uint8_t *src = in;
  uint32_t key = key_of(cd, ncd);
  if (key > 255) return H5Z_E_PARAM;
  if (is_future(in, nin)) return H5Z_E_VERSION;
  if (nin < 4 || nin % 2) return H5Z_E_CORRUPT;
  size_t size = h5z_get_u32be(src), o = 0;
  void *scratch = malloc(64); /* meets the adaptor's allocator */
  if (!scratch) return H5Z_E_MEMORY;
  int64_t result = H5Z_E_CORRUPT;
  for (size_t i = 4; i < nin; i += 2) {
    if (src[i] == 0 || src[i] > size - o) goto done;
    if (src[i] > cap - o) {
      result = H5Z_E_OUTPUT;
      goto done;
    }
    memset((uint8_t *)out + o, (int)(src[i + 1] ^ key), src[i]);
    o += src[i];
  }
  if (o == size) result = (int64_t)o;
done:
  free(scratch);
  return result;
}

static int64_t rle_explain(const uint32_t *cd, size_t ncd, const void *in, size_t nin, char *text, size_t cap) {
  (void)cd, (void)ncd;
  return is_future(in, nin) ? h5z_explain_version(text, cap, "revision", FUTURE, "revisions 1 and 2") : 0;
}

H5Z_FILTER(H5Z_ENCODER(.derive = rle_derive, .encode_bound = rle_bound, .encode = rle_encode,)
           .decoded_size = rle_size, .decode = rle_decode, .explain = rle_explain)
