// h5z/gpu/write_blocks.wgsl: chunks of blocks, each behind its length, written: the way back of blocks.wgsl, which it needs. The
// parts encode their runs of blocks into slots of scratch, a kernel; one lane of a chunk adds up where each run begins, the
// next; all parts move the blocks together, the third. H5zBlocks says of the chunk what its header will.
//
//     scratch   ... index of all chunks ... | chunk 0's own | chunk 1's own | ...         as many words for each chunk
//     its own   length 0, block 0 | length 1, block 1 | ... | what the filter has behind the slots
//
// A word of dst that two blocks share is written by the first one's lanes: a length has four bytes, so no third one has a part of it.

//#include <h5z/gpu/memory.wgsl> H5Z_NAME=h5z_in_scratch H5Z_MEMORY=scratch

// Words of scratch before the chunks' own, and how many each has.
fn h5z_index_words() -> u32 { return (batch.groups + 1u) * batch.nchunks * H5Z_SCRATCH; }
fn h5z_own_words() -> u32 { return (batch.nscratch - h5z_index_words()) / batch.nchunks; }
fn h5z_own(p: H5zPart) -> u32 { return h5z_index_words() + p.which * h5z_own_words(); }

// Fills in how many blocks there are and who takes them. `block` bytes each, `size` bytes of them in all.
fn h5z_cut(s: ptr<function, H5zBlocks>, size: u32, block: u32) {
  (*s).block = block;
  (*s).run = 1u;
  if (size == 0u) { return; }
  (*s).count = (size - 1u) / block + 1u;
  (*s).last = size - ((*s).count - 1u) * block;
  (*s).run = ((*s).count - 1u) / batch.groups + 1u;
}

// Where each run of blocks will begin, and the answer. `slot`: words of a slot.
fn h5z_lay_out(p: H5zPart, lane: u32, s: H5zBlocks, slot: u32) {
  if (p.part != 0u || lane != 0u) { return; }
  let index = h5z_scratch(p);
  var offset = H5Z_HEADER;
  for (var i = 0u; i < s.count; i++) {
    if (i % s.run == 0u) { scratch[index + i / s.run] = offset; }
    offset += 4u + scratch[h5z_own(p) + i * slot];
  }
  let size = offset + s.tail;
  let fits = size <= p.room;
  scratch[index + batch.groups] = select(H5Z_NO_BLOCKS, size, fits);
  h5z_answer(p, lane, size, select(H5Z_E_OUTPUT, 0, fits));
}

// Byte b of a length, most significant first.
fn h5z_be_byte(length: u32, b: u32) -> u32 { return (length >> (24u - 8u * b)) & 255u; }

// The chunk, from its slots. `copies`: a block whose length is its own size is in src, not in its slot.
fn h5z_write(p: H5zPart, lane: u32, s: H5zBlocks, slot: u32, copies: bool) {
  let index = h5z_part_of_index(p, lane);
  let size = index.y;
  if (size == H5Z_NO_BLOCKS) { return; }
  let out = p.out / 4u;
  if (p.part == 0u && lane == 0u) {
    dst[out] = 0u;
    dst[out + 1u] = h5z_be(p.size);
    dst[out + 2u] = h5z_be(s.block);
  }
  var offset = index.x;
  let first = p.part * s.run;
  let end = min(first + s.run, s.count);
  for (var i = first; i < end; i++) {
    let place = h5z_own(p) + i * slot;
    let length = scratch[place];
    let raw = copies && length == select(s.block, s.last, i + 1u == s.count);
    let bytes = select(4u * (place + 1u), p.at + i * s.block, raw);
    let next = offset + 4u + length;
    for (var w = (offset + 3u) / 4u + lane; 4u * w < next; w += H5Z_LANES) {
      let b = 4u * w;
      var word = 0u;
      if (b >= offset + 4u && next - b >= 4u) {
        let at = bytes + (b - offset - 4u);
        if (raw) { word = h5z_src_word(at); } else { word = h5z_in_scratch_word(at); }
      } else {
        if (size - b < 4u) { word = dst[out + w]; }
        for (var k = 0u; k < min(4u, size - b); k++) {
          let c = b + k;
          var byte = 0u;
          if (c < offset + 4u) {
            byte = h5z_be_byte(length, c - offset);
          } else if (c < next) {
            let at = bytes + (c - offset - 4u);
            if (raw) { byte = h5z_src_byte(at); } else { byte = h5z_in_scratch_byte(at); }
          } else if (i + 1u < s.count) {
            byte = h5z_be_byte(scratch[place + slot], c - next);
          } else {
            byte = h5z_src_byte(p.at + p.size - s.tail + (c - next));
          }
          word = h5z_with_byte(word, k, byte);
        }
      }
      dst[out + w] = word;
    }
    offset = next;
  }
  // Behind the last block, from the first word on that is no part of it.
  if (s.count > 0u && (first >= s.count || end < s.count)) { return; }
  if (s.count == 0u && p.part != 0u) { return; }
  let tail = (size - s.tail + 3u) / 4u;
  for (var w = tail + lane; 4u * w < size; w += H5Z_LANES) {
    let at = p.at + p.size - (size - 4u * w);
    if (size - 4u * w >= 4u) {
      dst[out + w] = h5z_src_word(at);
    } else {
      var word = dst[out + w];
      for (var k = 0u; k < size - 4u * w; k++) { word = h5z_with_byte(word, k, h5z_src_byte(at + k)); }
      dst[out + w] = word;
    }
  }
}
