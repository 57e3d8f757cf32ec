/* SPERR behind C: what SPERR takes on trust is checked here, and what it throws ends here.
 *
 * A slice's stream (2-D) is one coded block. A volume's (3-D) has a header:
 *
 *     0         1      2                14 (20)           + 4 a block
 *     +---------+------+----------------+-----------------+----------------+--   --+----------
 *     | version | bits | u32 dimensions | (u16 dimensions | u32 length of  |  ...  | block ...
 *     | 0       |      | x, y, z        |  of a block)    | every block    |       |
 *     +---------+------+----------------+-----------------+----------------+--   --+----------
 *     bits, highest first: part of a longer stream, 3-D, 32-bit floats, several blocks
 *
 * A coded block:
 *
 *     0      1           9      17                      26
 *     +------+-----------+------+-----------+-----------+------------+- - - - - - - - - - -
 *     | bits | f64 mean  | f64  | u8        | u64       | bits of    | outliers: the same
 *     |      |           | step | bitplanes | bits      | SPECK      | from the u8 on
 *     +------+-----------+------+-----------+-----------+------------+- - - - - - - - - - -
 *     bits & 1: a constant, and then u64 count, f64 value follow and nothing else
 */
#include "codec.h"

#include <cmath>
#include <cstring>
#include <new>
#include <type_traits>
#include <vector>

#include "SPECK2D_FLT.h"
#include "SPECK3D_FLT.h"

namespace {

constexpr size_t CONDITIONER = 17, SPECK_HEAD = 9;

/* What is wrong with a chunk, as a code of filter.h. */
struct refusal {
  int64_t code;
};

[[noreturn]] void refuse(int64_t code = H5Z_E_CORRUPT) { throw refusal{code}; }

template <typename T>
T get(const uint8_t *p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

/* Bits that a SPECK stream at `p` claims, when that can be so for `elements` values. */
uint64_t speck_bits(const uint8_t *p, size_t elements) {
  const unsigned planes = p[0];
  const auto bits = get<uint64_t>(p + 1);
  if (planes > 64 || (planes == 0) != (bits == 0)) refuse();
  if (bits / 256 > uint64_t{elements} + 16) refuse(); /* three bits a value and plane are more than there can be */
  if (bits > SIZE_MAX / 2) refuse(H5Z_E_UNSUPPORTED); /* counted in 32 bits on small machines */
  return bits;
}

/* Holds a coded block to what SPERR takes on trust, and to its length: SPERR decodes what is there of a stream, and takes
 * zeros for the rest. `partial` allows that. */
void check_block(const sperr_shape &shape, const uint8_t *p, size_t n, size_t elements, bool partial) {
  if (n < CONDITIONER) refuse();
  if (p[0] & 1) {
    if (n != CONDITIONER || get<uint64_t>(p + 1) != elements) refuse();
    return;
  }
  const auto step = get<double>(p + 9);
  if (!(step > 0) || n < CONDITIONER + SPECK_HEAD) refuse();
  uint64_t bits = speck_bits(p + CONDITIONER, elements);
  if (shape.mode == SPERR_RATE) { /* written up to the budget, in whole bytes; the head tells what it would have been */
    const double budget = std::floor(shape.quality * static_cast<double>(elements));
    const uint64_t most = budget < 9e18 ? (static_cast<uint64_t>(budget) + 7) / 8 * 8 : UINT64_MAX;
    if (most > 0 && bits > most) bits = most;
  }
  const uint64_t length = CONDITIONER + SPECK_HEAD + (bits + 7) / 8;
  if (partial || n == length) return;
  if (n < length || n - length < SPECK_HEAD) refuse();
  const uint64_t outliers = speck_bits(p + length, elements);
  if (n - length != SPECK_HEAD + (outliers + 7) / 8) refuse();
}

template <typename Coder>
const sperr::vecd_type &decode_block(Coder &coder, const sperr_shape &shape, const uint8_t *p, size_t n, sperr::dims_type dims,
                                     bool partial) {
  check_block(shape, p, n, dims[0] * dims[1] * dims[2], partial);
  coder.set_dims(dims);
  if (coder.use_bitstream(p, n) != sperr::RTNType::Good || coder.decompress() != sperr::RTNType::Good) refuse();
  if (coder.view_decoded_data().size() != dims[0] * dims[1] * dims[2]) refuse();
  return coder.view_decoded_data();
}

/* Values `n` of a block to position `at` of the chunk. */
void store(const sperr_shape &shape, uint8_t *out, size_t at, const double *values, size_t n) {
  if (!shape.is_float) {
    std::memcpy(out + 8 * at, values, 8 * n);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    const auto value = static_cast<float>(values[i]);
    std::memcpy(out + 4 * (at + i), &value, 4);
  }
}

struct range {
  size_t from, count;
};

/* How SPERR cuts a dimension into blocks: the last one takes the rest unless that is more than half a block. */
std::vector<range> cut(size_t whole, size_t block) {
  size_t n = whole / block;
  if (whole % block > block / 2) n++;
  if (n == 0) n = 1;
  std::vector<range> list;
  for (size_t i = 0; i < n; i++) list.push_back({i * block, i + 1 < n ? block : whole - i * block});
  return list;
}

void decode_volume(const sperr_shape &shape, const uint8_t *in, size_t nin, uint8_t *out) {
  if (nin < 14) refuse();
  if (in[0] != 0) refuse(H5Z_E_VERSION);
  const auto [portion, is_3d, is_float, several, b4, b5, b6, b7] = sperr::unpack_8_booleans(in[1]);
  (void)is_float, (void)b4, (void)b5, (void)b6, (void)b7;
  if (!is_3d) refuse();
  sperr::dims_type block{};
  for (size_t i = 0; i < 3; i++) {
    if (get<uint32_t>(in + 2 + 4 * i) != shape.dims[i]) refuse();
    block[i] = shape.dims[i];
  }
  size_t pos = 14;
  if (several) {
    if (nin < 20) refuse();
    for (size_t i = 0; i < 3; i++) {
      block[i] = get<uint16_t>(in + pos + 2 * i);
      if (block[i] == 0 || block[i] > shape.dims[i]) refuse();
    }
    pos = 20;
    double blocks = 1; /* each takes four bytes of header */
    for (size_t i = 0; i < 3; i++) blocks *= static_cast<double>(shape.dims[i] / block[i]);
    if (blocks > static_cast<double>(nin)) refuse();
  }
  const auto xs = cut(shape.dims[0], block[0]), ys = cut(shape.dims[1], block[1]), zs = cut(shape.dims[2], block[2]);
  const size_t blocks = xs.size() * ys.size() * zs.size();
  if ((nin - pos) / 4 < blocks) refuse();
  const uint8_t *lengths = in + pos;
  pos += 4 * blocks;
  for (const auto z : zs) {
    for (const auto y : ys) {
      for (const auto x : xs) {
        const size_t n = get<uint32_t>(lengths);
        lengths += 4;
        if (n > nin - pos) refuse();
        sperr::SPECK3D_FLT coder;
        const auto &values = decode_block(coder, shape, in + pos, n, {x.count, y.count, z.count}, portion);
        pos += n;
        const double *row = values.data();
        for (size_t k = 0; k < z.count; k++) {
          for (size_t j = 0; j < y.count; j++, row += x.count) {
            const size_t at = ((z.from + k) * shape.dims[1] + y.from + j) * shape.dims[0] + x.from;
            store(shape, out, at, row, x.count);
          }
        }
      }
    }
  }
  if (pos != nin) refuse();
}

#if !defined(H5Z_DECODE_ONLY)
template <typename Coder>
sperr::vec8_type encode_block(const sperr_shape &shape, const void *values) {
  Coder coder;
  coder.set_dims({shape.dims[0], shape.dims[1], shape.dims[2]});
  if (shape.is_float) coder.copy_data(static_cast<const float *>(values), shape.elements);
  else coder.copy_data(static_cast<const double *>(values), shape.elements);
  if (shape.mode == SPERR_RATE) coder.set_bitrate(shape.quality);
  else if (shape.mode == SPERR_PSNR) coder.set_psnr(shape.quality);
  else coder.set_tolerance(shape.quality);
  if (coder.compress() != sperr::RTNType::Good) refuse(H5Z_E_NOT_APPLICABLE); /* NaN, infinities, ranges it cannot count */
  sperr::vec8_type stream;
  coder.append_encoded_bitstream(stream);
  /* A range whose square is infinite: nothing of the values would be left. */
  if (!(stream[0] & 1) && !std::isfinite(get<double>(stream.data() + 9))) refuse(H5Z_E_NOT_APPLICABLE);
  return stream;
}
#endif

/* Runs `work` and tells what came of it. */
template <typename Work>
int64_t guarded(Work work, int64_t otherwise) noexcept {
  try {
    return work();
  } catch (const refusal &what) {
    return what.code;
  } catch (const std::bad_alloc &) {
    return H5Z_E_MEMORY;
  } catch (...) {
    return otherwise;
  }
}

}  // namespace

extern "C" int64_t sperr_decode(const sperr_shape *shape, const uint8_t *in, size_t nin, void *values) {
  return guarded(
      [=]() -> int64_t {
        auto *out = static_cast<uint8_t *>(values);
        if (shape->rank == 3) {
          decode_volume(*shape, in, nin, out);
        } else {
          sperr::SPECK2D_FLT coder;
          const auto &decoded = decode_block(coder, *shape, in, nin, {shape->dims[0], shape->dims[1], 1}, false);
          store(*shape, out, 0, decoded.data(), decoded.size());
        }
        return 0;
      },
      H5Z_E_CORRUPT);
}

#if !defined(H5Z_DECODE_ONLY)
extern "C" int64_t sperr_encode(const sperr_shape *shape, const void *values, uint8_t *out, size_t cap) {
  return guarded(
      [=]() -> int64_t {
        const bool volume = shape->rank == 3;
        const auto stream = volume ? encode_block<sperr::SPECK3D_FLT>(*shape, values) : encode_block<sperr::SPECK2D_FLT>(*shape, values);
        const size_t head = volume ? 18 : 0;
        if (stream.size() > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
        if (cap < head || stream.size() > cap - head) return H5Z_E_OUTPUT;
        if (volume) {
          out[0] = 0;
          out[1] = sperr::pack_8_booleans({false, true, shape->is_float != 0, false, false, false, false, false});
          for (size_t i = 0; i < 3; i++) {
            const auto dim = static_cast<uint32_t>(shape->dims[i]);
            std::memcpy(out + 2 + 4 * i, &dim, 4);
          }
          const auto length = static_cast<uint32_t>(stream.size());
          std::memcpy(out + 14, &length, 4);
        }
        std::memcpy(out + head, stream.data(), stream.size());
        return static_cast<int64_t>(head + stream.size());
      },
      H5Z_E_NOT_APPLICABLE);
}
#endif
