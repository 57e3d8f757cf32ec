// Elements to rows of bits: transpose.wgsl's way back, from src to the memory H5Z_MEMORY. Included by gpu.wgsl once for each
// memory that rows are wanted in; H5Z_NAME is the function.

// A block of n elements, a multiple of 8, from byte `at` of src on, to rows from word `out` on.
fn H5Z_NAME(at: u32, out: u32, n: u32, elem: u32, lane: u32) {
  let planes = planes_of(elem);
  let row = n / 32u; // words, where it is so many
  if (n % 32u == 0u && planes > 0u) {
    for (var i = lane; i < row * (elem / planes); i += H5Z_LANES) {
      let k = i / row * planes;
      var bytes: array<array<vec2<u32>, 4>, 4>;
      for (var j = 0u; j < 4u; j++) {
        bytes[j] = eight(at + (32u * (i % row) + 8u * j) * elem + k, elem);
        for (var plane = 0u; plane < planes; plane++) { bytes[j][plane] = transposed(bytes[j][plane]); }
      }
      for (var plane = 0u; plane < planes; plane++) {
        let words = bytes_of(array(bytes[0][plane], bytes[1][plane], bytes[2][plane], bytes[3][plane]));
        for (var r = 0u; r < 4u; r++) {
          let to = out + (8u * (k + plane) + r) * row + i % row;
          H5Z_MEMORY[to] = words[r].x;
          H5Z_MEMORY[to + 4u * row] = words[r].y;
        }
      }
    }
    return;
  }
  for (var w = lane; w < n / 4u * elem; w += H5Z_LANES) {
    var word = 0u;
    for (var j = 0u; j < 4u; j++) {
      let r = (4u * w + j) / (n / 8u);
      let g = (4u * w + j) % (n / 8u);
      for (var e = 0u; e < 8u; e++) {
        word |= ((h5z_src_byte(at + (g * 8u + e) * elem + r / 8u) >> (r % 8u)) & 1u) << (8u * j + e);
      }
    }
    H5Z_MEMORY[out + w] = word;
  }
}
