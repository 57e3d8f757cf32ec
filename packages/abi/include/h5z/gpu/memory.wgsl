// h5z/gpu/memory.wgsl: an array<u32> read by bytes, at any address. Included once for each memory that templates read:
// H5Z_NAME_byte(b) and H5Z_NAME_word(b), as h5z_src_byte and h5z_src_word are of src.

fn H5Z_NAME_byte(b: u32) -> u32 {
  return (H5Z_MEMORY[b >> 2u] >> ((b & 3u) * 8u)) & 255u;
}

fn H5Z_NAME_word(b: u32) -> u32 {
  let shift = (b & 3u) * 8u;
  let low = H5Z_MEMORY[b >> 2u];
  if (shift == 0u) { return low; }
  return (low >> shift) | (H5Z_MEMORY[(b >> 2u) + 1u] << (32u - shift));
}
