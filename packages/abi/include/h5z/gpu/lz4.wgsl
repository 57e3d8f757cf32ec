// h5z/gpu/lz4.wgsl: one LZ4 block, decoded by the lanes of one group together: lz4.h in WebGPU's words. Included once for each
// memory that it is decoded to, an array<u32>, with that memory's barrier:
//
//     fn H5Z_NAME(at: u32, nin: u32, out: u32, size: u32, lane: u32) -> bool
//
// `nin` bytes of src from `at` on; `size` bytes of H5Z_MEMORY from byte `out` on, at any address. true = the block is well formed
// and exactly `size` bytes long. The lane number w % H5Z_LANES is the only one that ever writes word w, so that what
// follows in the same word needs no barrier; the first word of a match may hold bytes that other lanes read as its source, and
// is written when they have.

//#include <h5z/gpu/memory.wgsl> H5Z_NAME=H5Z_NAME

// Byte i of the output is byte i of src from `at` on.
fn H5Z_NAME_literals(at: u32, out: u32, length: u32, lane: u32) {
  let end = out + length;
  let first = out / 4u;
  for (var w = first + (lane + H5Z_LANES - first % H5Z_LANES) % H5Z_LANES; w * 4u < end; w += H5Z_LANES) {
    let b = w * 4u;
    if (b >= out && end - b >= 4u) {
      H5Z_MEMORY[w] = h5z_src_word(at + (b - out));
    } else {
      var word = H5Z_MEMORY[w];
      for (var k = 0u; k < 4u; k++) {
        if (b + k >= out && b + k < end) { word = h5z_with_byte(word, k, h5z_src_byte(at + (b + k - out))); }
      }
      H5Z_MEMORY[w] = word;
    }
  }
}

// Word w of a match: what comes `offset` bytes earlier, which repeats where the match reaches into itself.
fn H5Z_NAME_matched(w: u32, out: u32, end: u32, offset: u32) -> u32 {
  let b = w * 4u;
  let whole = b >= out && end - b >= 4u;
  if (whole && offset >= end - out) {
    return H5Z_NAME_word(b - offset);
  }
  var word = 0u;
  if (!whole) { word = H5Z_MEMORY[w]; }
  for (var k = 0u; k < 4u; k++) {
    if (b + k >= out && b + k < end) {
      word = h5z_with_byte(word, k, H5Z_NAME_byte(out - offset + (b + k - out) % offset));
    }
  }
  return word;
}

fn H5Z_NAME_match(out: u32, length: u32, offset: u32, lane: u32) {
  let end = out + length;
  let first = out / 4u;
  let mine = (lane + H5Z_LANES - first % H5Z_LANES) % H5Z_LANES;
  var head = 0u;
  if (mine == 0u) { head = H5Z_NAME_matched(first, out, end, offset); }
  for (var w = first + select(mine, H5Z_LANES, mine == 0u); w * 4u < end; w += H5Z_LANES) {
    H5Z_MEMORY[w] = H5Z_NAME_matched(w, out, end, offset);
  }
  H5Z_BARRIER();
  if (mine == 0u) { H5Z_MEMORY[first] = head; }
}

// The rest of a length whose first part was 15: x: where the bytes after it are, y: the length, or more than `most`.
fn H5Z_NAME_length(at: u32, nin: u32, start: u32, least: u32, most: u32) -> vec2<u32> {
  var ip = start;
  var length = least;
  loop {
    if (ip >= nin || length > most) { return vec2(ip, 0xffffffffu); }
    let byte = h5z_src_byte(at + ip);
    ip++;
    length += byte;
    if (byte != 255u) { break; }
  }
  return vec2(ip, length);
}

fn H5Z_NAME(at: u32, nin: u32, out: u32, size: u32, lane: u32) -> bool {
  var ip = 0u;
  var op = 0u;
  H5Z_BARRIER();
  loop {
    if (ip >= nin) { return false; }
    let token = h5z_src_byte(at + ip);
    ip++;
    var literals = token >> 4u;
    if (literals == 15u) {
      let found = H5Z_NAME_length(at, nin, ip, literals, size);
      ip = found.x;
      literals = found.y;
    }
    if (literals > nin - ip || literals > size - op) { return false; }
    H5Z_NAME_literals(at + ip, out + op, literals, lane);
    ip += literals;
    op += literals;
    if (size - op < 12u || nin - ip < 8u) { break; }

    let offset = h5z_src_byte(at + ip) | (h5z_src_byte(at + ip + 1u) << 8u);
    ip += 2u;
    var length = (token & 15u) + 4u;
    if (length == 19u) {
      let found = H5Z_NAME_length(at, nin, ip, length, size);
      ip = found.x;
      length = found.y;
    }
    if (offset == 0u || offset > op || length > size - op || size - op - length < 5u) { return false; }
    H5Z_BARRIER();
    H5Z_NAME_match(out + op, length, offset, lane);
    op += length;
  }
  H5Z_BARRIER();
  return ip == nin && op == size;
}
