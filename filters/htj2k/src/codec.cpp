// codec.cpp: samples to and from a codestream by OpenJPH, with its exceptions caught here.
#include "htj2k.h"

#include <exception>
#include <new>

#include "message.h"
#include "ojph_codestream.h"
#include "ojph_file.h"
#include "ojph_mem.h"
#include "ojph_params.h"

namespace {

/// The output is full.
struct full : std::exception {};

/// Writes into the caller's output.
class output final : public ojph::outfile_base {
public:
  output(uint8_t *to, size_t room) : first(to), at(0), cap(room) {}
  size_t write(const void *from, size_t size) override {
    if (size > cap - at) throw full();
    if (size > 0) std::memcpy(first + at, from, size);
    at += size;
    return size;
  }
  ojph::si64 tell() override { return static_cast<ojph::si64>(at); }
  size_t written() const { return at; }

private:
  uint8_t *first;
  size_t at, cap;
};

/// Reads the caller's input.
class input final : public ojph::infile_base {
public:
  input(const uint8_t *from, size_t length) : first(from), at(0), size(length) {}
  size_t read(void *to, size_t n) override {
    if (n > size - at) n = size - at;
    if (n > 0) std::memcpy(to, first + at, n);
    at += n;
    return n;
  }
  int seek(ojph::si64 offset, enum ojph::infile_base::seek origin) override {
    const ojph::si64 from = origin == OJPH_SEEK_SET ? 0 : static_cast<ojph::si64>(origin == OJPH_SEEK_CUR ? at : size);
    if (offset < -from || offset > static_cast<ojph::si64>(size) - from) return -1;
    at = static_cast<size_t>(from + offset);
    return 0;
  }
  ojph::si64 tell() override { return static_cast<ojph::si64>(at); }
  bool eof() override { return at >= size; }
  void close() override {}

private:
  const uint8_t *first;
  size_t at, size;
};

uint16_t swapped(uint16_t v) { return static_cast<uint16_t>(v << 8 | v >> 8); }

/// Every `step`th sample at `from`, bytes of any alignment, to `to`.
template <typename T, bool swap> void load(const uint8_t *from, size_t step, size_t width, ojph::si32 *to) {
  for (size_t x = 0; x < width; x++) {
    T sample;
    std::memcpy(&sample, from + x * step * sizeof(T), sizeof(T));
    to[x] = swap ? static_cast<T>(swapped(static_cast<uint16_t>(sample))) : sample;
  }
}

/// The samples of a lossy image may lie outside their range, by OpenJPH's rounding too: 255.6 is 256 there, and 0 in a byte.
template <typename T, bool swap>
void store(const ojph::si32 *from, ojph::si32 least, ojph::si32 most, size_t step, size_t width, uint8_t *to) {
  for (size_t x = 0; x < width; x++) {
    T sample = static_cast<T>(from[x] < least ? least : from[x] > most ? most : from[x]);
    if (swap) sample = static_cast<T>(swapped(static_cast<uint16_t>(sample)));
    std::memcpy(to + x * step * sizeof(T), &sample, sizeof(T));
  }
}

using loader = void (*)(const uint8_t *, size_t, size_t, ojph::si32 *);
using storer = void (*)(const ojph::si32 *, ojph::si32, ojph::si32, size_t, size_t, uint8_t *);

loader loader_of(const htj2k_image &image) {
  if (image.bytes == 1) return image.is_signed ? load<int8_t, false> : load<uint8_t, false>;
  if (image.big_endian) return image.is_signed ? load<int16_t, true> : load<uint16_t, true>;
  return image.is_signed ? load<int16_t, false> : load<uint16_t, false>;
}

storer storer_of(const htj2k_image &image) {
  if (image.bytes == 1) return store<uint8_t, false>;
  return image.big_endian ? store<uint16_t, true> : store<uint16_t, false>;
}

/// Runs `work`, and makes an error code of what it throws.
template <typename Work> int64_t guarded(int64_t otherwise, Work work) noexcept {
  try {
    return work();
  } catch (const full &) {
    return H5Z_E_OUTPUT;
  } catch (const std::bad_alloc &) {
    return H5Z_E_MEMORY;
  } catch (const ojph::unsupported &) {
    return H5Z_E_UNSUPPORTED;
  } catch (...) {
    return otherwise;
  }
}

} // namespace

#if !defined(H5Z_DECODE_ONLY)
/* The settings of h5z-htj2k, so that the bytes are its: reversible, five levels, blocks of 64 x 64, order RPCL. */
int64_t htj2k_codec_encode(const htj2k_image *image, const uint8_t *in, uint8_t *out, size_t cap) {
  return guarded(H5Z_E_INTERNAL, [=]() -> int64_t {
    ojph::codestream codestream;
    ojph::param_siz siz = codestream.access_siz();
    siz.set_image_extent(ojph::point(image->width, image->height));
    siz.set_num_components(image->components);
    for (uint32_t c = 0; c < image->components; c++)
      siz.set_component(c, ojph::point(1, 1), image->depth, image->is_signed);
    siz.set_image_offset(ojph::point(0, 0));
    siz.set_tile_size(ojph::size(0, 0));
    siz.set_tile_offset(ojph::point(0, 0));
    ojph::param_cod cod = codestream.access_cod();
    cod.set_num_decomposition(5);
    cod.set_block_dims(64, 64);
    cod.set_progression_order("RPCL");
    cod.set_color_transform(false);
    cod.set_reversible(true);
    codestream.set_planar(false);

    output file(out, cap);
    codestream.write_headers(&file);
    const loader load_line = loader_of(*image);
    const size_t line = static_cast<size_t>(image->width) * image->components * image->bytes;
    ojph::ui32 component;
    ojph::line_buf *buffer = codestream.exchange(nullptr, component);
    for (uint32_t y = 0; y < image->height; y++)
      for (uint32_t c = 0; c < image->components; c++) {
        load_line(in + y * line + c * image->bytes, image->components, image->width, buffer->i32);
        buffer = codestream.exchange(buffer, component);
      }
    codestream.flush();
    codestream.close();
    return static_cast<int64_t>(file.written());
  });
}
#endif

int64_t htj2k_codec_decode(const htj2k_image *image, const uint8_t *in, size_t nin, uint8_t *out) {
  return guarded(H5Z_E_CORRUPT, [=]() -> int64_t {
    input file(in, nin);
    ojph::codestream codestream;
    codestream.read_headers(&file);
    codestream.set_planar(false);
    codestream.create();
    const storer store_line = storer_of(*image);
    const ojph::si32 least = image->is_signed ? -(1 << (image->depth - 1)) : 0;
    const ojph::si32 most = least + static_cast<ojph::si32>((1u << image->depth) - 1);
    const size_t line = static_cast<size_t>(image->width) * image->components * image->bytes;
    for (uint32_t y = 0; y < image->height; y++)
      for (uint32_t c = 0; c < image->components; c++) {
        ojph::ui32 component;
        const ojph::line_buf *buffer = codestream.pull(component);
        store_line(buffer->i32, least, most, image->components, image->width, out + y * line + c * image->bytes);
      }
    codestream.close();
    return static_cast<int64_t>(line * image->height);
  });
}
