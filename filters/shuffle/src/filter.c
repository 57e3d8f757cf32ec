/* HDF5 filter 2: shuffle. Sorts the bytes of a chunk by their place in the element, so that what compresses next finds
 * equal neighbours; the size stays.
 *
 *     elements     e0: b0 b1 b2 b3 | e1: b0 b1 b2 b3 | ... | left over       (elements of 4 bytes)
 *
 *     chunk        b0 of e0 e1 ... | b1 of e0 e1 ... | b2 ... | b3 ... | left over
 *
 * What is left over, when the chunk is no whole number of elements, is copied: an earlier filter can make it so. The byte
 * transpose is in packages/abi/lib/transpose.
 *
 * cd_values: client none; stored [0] bytes of an element, exactly one value, not 0.
 */
#include <h5z/filter.h>

#include <transpose/transpose.h>

static int64_t shuffle_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)in;
  return ncd == 1 && cd[0] > 0 ? (int64_t)nin : H5Z_E_PARAM;
}

static int64_t shuffle_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  return ncd == 1 && cd[0] > 0 ? (int64_t)nin : H5Z_E_PARAM;
}

/* Both directions: `transpose` is one of transpose.h's. */
static int64_t transposed(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap,
                          void (*transpose)(const void *, void *, size_t, size_t)) {
  if (ncd != 1 || cd[0] == 0) return H5Z_E_PARAM;
  if (nin > cap) return H5Z_E_OUTPUT;
  if (nin == 0) return 0;
  const size_t elem = cd[0], n = nin / elem, whole = n * elem;
  if (elem == 1 || n < 2) {
    memcpy(out, in, nin);
    return (int64_t)nin;
  }
  transpose(in, out, n, elem);
  if (whole < nin) memcpy((uint8_t *)out + whole, (const uint8_t *)in + whole, nin - whole);
  return (int64_t)nin;
}

static int64_t shuffle_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  return transposed(cd, ncd, in, nin, out, cap, rows_to_bytes);
}

#if !defined(H5Z_DECODE_ONLY)
static int64_t shuffle_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  (void)client, (void)nclient; /* libhdf5 looks at none; stored values of another dataset may come in */
  if (ds->type_size == 0) return H5Z_E_NOT_APPLICABLE;
  if (cap < 1) return H5Z_E_OUTPUT;
  stored[0] = ds->type_size;
  return 1;
}

static int64_t shuffle_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  return transposed(cd, ncd, in, nin, out, cap, bytes_to_rows);
}
#endif

H5Z_FILTER(.decoded_size = shuffle_decoded_size, .decode = shuffle_decode, .encode_bound = shuffle_encode_bound,
           H5Z_ENCODER(.derive = shuffle_derive, .encode = shuffle_encode))
