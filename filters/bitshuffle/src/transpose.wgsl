// Eight bytes a row apart become a byte of eight neighbouring elements. Included by gpu.wgsl once for each memory that rows are
// in: H5Z_NAME is the function, H5Z_BYTE(b) byte b of that memory.

// x: that byte of elements 0 to 3; y: of elements 4 to 7.
fn H5Z_NAME_bits(at: u32, row: u32) -> vec2<u32> {
  let low = H5Z_BYTE(at) | (H5Z_BYTE(at + row) << 8u) | (H5Z_BYTE(at + 2u * row) << 16u) | (H5Z_BYTE(at + 3u * row) << 24u);
  let high = H5Z_BYTE(at + 4u * row) | (H5Z_BYTE(at + 5u * row) << 8u) | (H5Z_BYTE(at + 6u * row) << 16u) |
             (H5Z_BYTE(at + 7u * row) << 24u);
  return transposed(vec2(low, high));
}

// A block of n elements, a multiple of 8, whose rows begin at byte `at`, to dst from word `out` on.
fn H5Z_NAME(at: u32, out: u32, n: u32, elem: u32, lane: u32) {
  let row = n / 8u;
  if (elem == 1u) {
    for (var i = lane; i < row; i += H5Z_LANES) {
      let a = H5Z_NAME_bits(at + i, row);
      dst[out + 2u * i] = a.x;
      dst[out + 2u * i + 1u] = a.y;
    }
  } else if (elem == 2u) {
    for (var i = lane; i < row; i += H5Z_LANES) {
      let a = H5Z_NAME_bits(at + i, row);
      let b = H5Z_NAME_bits(at + 8u * row + i, row);
      let low = (a & vec2(255u)) | ((b & vec2(255u)) << vec2(8u)) | ((a & vec2(0xff00u)) << vec2(8u)) |
                ((b & vec2(0xff00u)) << vec2(16u));
      let high = ((a >> vec2(16u)) & vec2(255u)) | ((b >> vec2(8u)) & vec2(0xff00u)) | ((a >> vec2(8u)) & vec2(0xff0000u)) |
                 (b & vec2(0xff000000u));
      dst[out + 4u * i] = low.x;
      dst[out + 4u * i + 1u] = high.x;
      dst[out + 4u * i + 2u] = low.y;
      dst[out + 4u * i + 3u] = high.y;
    }
  } else if (elem % 4u == 0u) {
    // Four neighbouring bytes of eight elements.
    for (var i = lane; i < row * (elem / 4u); i += H5Z_LANES) {
      let g = i % row;
      let k = i / row;
      let first = at + 32u * k * row + g;
      let a = H5Z_NAME_bits(first, row);
      let b = H5Z_NAME_bits(first + 8u * row, row);
      let c = H5Z_NAME_bits(first + 16u * row, row);
      let d = H5Z_NAME_bits(first + 24u * row, row);
      for (var e = 0u; e < 4u; e++) {
        let shift = vec2(8u * e);
        let words = ((a >> shift) & vec2(255u)) | (((b >> shift) & vec2(255u)) << vec2(8u)) |
                    (((c >> shift) & vec2(255u)) << vec2(16u)) | (((d >> shift) & vec2(255u)) << vec2(24u));
        dst[out + (g * 8u + e) * (elem / 4u) + k] = words.x;
        dst[out + (g * 8u + 4u + e) * (elem / 4u) + k] = words.y;
      }
    }
  } else {
    // Elements that are no whole words: a word of the result, bit by bit.
    for (var w = lane; w < 2u * row * elem; w += H5Z_LANES) {
      var word = 0u;
      for (var j = 0u; j < 4u; j++) {
        let e = (4u * w + j) / elem;
        let k = (4u * w + j) % elem;
        for (var bit = 0u; bit < 8u; bit++) {
          word |= ((H5Z_BYTE(at + (8u * k + bit) * row + e / 8u) >> (e % 8u)) & 1u) << (8u * j + bit);
        }
      }
      dst[out + w] = word;
    }
  }
}
