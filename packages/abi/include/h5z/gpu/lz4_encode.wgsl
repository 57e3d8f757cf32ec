// h5z/gpu/lz4_encode.wgsl: one LZ4 block, encoded by the lanes of one group together. Needs matches.wgsl; included once for each
// memory that it is encoded from, which H5Z_FROM_word and H5Z_FROM_byte read:
//
//     fn H5Z_NAME(at: u32, size: u32, out: u32, most: u32, lane: u32) -> u32
//
// `size` bytes from `at` on, to scratch from byte `out` on; the number of bytes there, or H5Z_NOTHING where that would be more
// than `most`. Every lane looks for a match at one of as many neighbouring positions; the first match is taken, its length
// measured and written by all. Positions before and in a match are remembered, those behind it not yet, so that the result is
// the same on every device with as many lanes. What other lanes wrote to the memory comes behind a barrier of the caller's.

// A sequence behind `done` bytes: literals from `at` on and the match behind them, of 0 bytes at the end. Bytes with it. The lane
// number w % H5Z_LANES is the only one that ever writes word w of scratch, which needs no barrier for what two sequences share.
fn H5Z_NAME_sequence(at: u32, literals: u32, length: u32, offset: u32, out: u32, done: u32, most: u32, lane: u32) -> u32 {
  let before = 1u + h5z_length_size(literals, 15u);
  let matched = select(0u, 2u + h5z_length_size(length, 19u), length > 0u);
  // Of a block that LZ4 may have: no sum overflows.
  if (before + literals + matched > most - done) { return H5Z_NOTHING; }
  let token = (min(literals, 15u) << 4u) | select(0u, min(length - 4u, 15u), length > 0u);
  let start = out + done;
  let first = start + before; // of the literals
  let last = first + literals;
  let end = last + matched;
  for (var w = start / 4u + (lane + H5Z_LANES - start / 4u % H5Z_LANES) % H5Z_LANES; w * 4u < end; w += H5Z_LANES) {
    let b = w * 4u;
    if (b >= first && b + 4u <= last) {
      scratch[w] = H5Z_FROM_word(at + (b - first));
      continue;
    }
    var word = scratch[w];
    for (var c = max(b, start); c < min(b + 4u, end); c++) {
      var byte = token;
      if (c >= last + 2u) {
        byte = h5z_length_byte(length, 19u, c - last - 2u);
      } else if (c >= last && matched > 0u) {
        byte = (offset >> (8u * (c - last))) & 255u;
      } else if (c >= first) {
        byte = H5Z_FROM_byte(at + (c - first));
      } else if (c > start) {
        byte = h5z_length_byte(literals, 15u, c - start - 1u);
      }
      word = h5z_with_byte(word, c & 3u, byte);
    }
    scratch[w] = word;
  }
  return done + before + literals + matched;
}

fn H5Z_NAME(at: u32, size: u32, out: u32, most: u32, lane: u32) -> u32 {
  h5z_forget(lane);
  var done = 0u;
  var literals = 0u; // where those that are not written yet begin
  loop {
    var start = size;
    var offset = 0u;
    // A match begins at least 12 bytes before the end, and the last 5 bytes are literals.
    for (var here = literals; size > 12u && here <= size - 12u; here += H5Z_LANES) {
      let mine = here + lane;
      var entry = 0u;
      var found = H5Z_NOTHING;
      if (mine <= size - 12u) {
        let bytes = H5Z_FROM_word(at + mine);
        entry = h5z_hash(bytes);
        let seen = atomicLoad(&h5z_seen[entry]);
        if (seen > 0u && mine - (seen - 1u) <= 0xffffu && H5Z_FROM_word(at + (seen - 1u)) == bytes) {
          found = (lane << 16u) | (mine - (seen - 1u));
        }
      }
      let first = h5z_least_of(found, lane);
      if (mine <= size - 12u && lane <= (first >> 16u)) { atomicMax(&h5z_seen[entry], mine + 1u); }
      workgroupBarrier();
      if (first != H5Z_NOTHING) {
        start = here + (first >> 16u);
        offset = first & 0xffffu;
        break;
      }
    }

    var length = 0u;
    if (offset > 0u) {
      let longest = size - 5u - start;
      var least = H5Z_NOTHING;
      for (var measured = 4u; least == H5Z_NOTHING; measured += 4u * H5Z_LANES) {
        let next = measured + 4u * lane;
        var end = H5Z_NOTHING;
        if (next >= longest) {
          end = longest;
        } else {
          let differs = H5Z_FROM_word(at + start + next) ^ H5Z_FROM_word(at + start + next - offset);
          if (differs != 0u) { end = min(longest, next + countTrailingZeros(differs) / 8u); }
        }
        least = h5z_least_of(end, lane);
      }
      length = least;
    }
    done = H5Z_NAME_sequence(at + literals, start - literals, length, offset, out, done, most, lane);
    if (length == 0u || done == H5Z_NOTHING) { break; }
    literals = start + length;
    for (var i = start + 1u + lane; i < literals && i <= size - 12u; i += H5Z_LANES) {
      atomicMax(&h5z_seen[h5z_hash(H5Z_FROM_word(at + i))], i + 1u);
    }
    workgroupBarrier();
  }
  workgroupBarrier();
  return done;
}
