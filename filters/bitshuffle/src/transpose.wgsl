// Rows of bits back to elements, from one memory to dst: H5Z_NAME is the function, H5Z_FROM_word and H5Z_FROM_byte read the memory, at
// any address. Included by gpu.wgsl once for each memory that rows are in. A lane takes thirty-two neighbouring elements, which are
// a word of each row; elements that are no whole words, and those behind the last thirty-two, go word by word of the result.

// Byte k of thirty-two elements from the eight rows of its bits, which begin at `at`: j: of elements 8 j to 8 j + 3, and the next four.
fn H5Z_NAME_plane(at: u32, row: u32) -> array<vec2<u32>, 4> {
  var rows: array<vec2<u32>, 4>;
  for (var r = 0u; r < 4u; r++) { rows[r] = vec2(H5Z_FROM_word(at + r * row), H5Z_FROM_word(at + (r + 4u) * row)); }
  var bytes = bytes_of(rows);
  for (var j = 0u; j < 4u; j++) { bytes[j] = transposed(bytes[j]); }
  return bytes;
}

// A block of n elements, a multiple of 8, whose rows begin at byte `at`, to dst from word `out` on.
fn H5Z_NAME(at: u32, out: u32, n: u32, elem: u32, lane: u32) {
  let row = n / 8u;
  let planes = planes_of(elem);
  var quads = 0u;
  if (planes > 0u) {
    quads = row / 4u;
    for (var i = lane; i < quads * (elem / planes); i += H5Z_LANES) {
      let k = i / quads * planes;
      let first = 8u * (i % quads) * elem + k / 4u; // word of the first element's byte k
      var bytes: array<array<vec2<u32>, 4>, 4>;
      for (var plane = 0u; plane < planes; plane++) {
        bytes[plane] = H5Z_NAME_plane(at + 8u * (k + plane) * row + 4u * (i % quads), row);
      }
      for (var j = 0u; j < 4u; j++) {
        put_eight(out + first + 2u * j * elem, elem, array(bytes[0][j], bytes[1][j], bytes[2][j], bytes[3][j]));
      }
    }
  }
  for (var w = 8u * quads * elem + lane; w < 2u * row * elem; w += H5Z_LANES) {
    var word = 0u;
    for (var j = 0u; j < 4u; j++) {
      let e = (4u * w + j) / elem;
      let k = (4u * w + j) % elem;
      for (var bit = 0u; bit < 8u; bit++) {
        word |= ((H5Z_FROM_byte(at + (8u * k + bit) * row + e / 8u) >> (e % 8u)) & 1u) << (8u * j + bit);
      }
    }
    dst[out + w] = word;
  }
}
