// h5z/gpu/blocks.wgsl: chunks of blocks, each behind its length: blocks.h in WebGPU's words, whose picture it has. Offsets
// count from the chunk's first byte.

const H5Z_HEADER = 12u;
// In the chunk's scratch, in place of all offsets: nothing to decode.
const H5Z_NO_BLOCKS = 0xffffffffu;
// LZ4_MAX_INPUT_SIZE
const H5Z_LZ4_MOST = 0x7E000000u;

// What the header and the cd_values say, the same for all lanes.
struct H5zBlocks {
  status: i32,
  size: u32, // decoded bytes of the chunk
  block: u32, // decoded bytes of every block but the last, and how many
  count: u32,
  last: u32, // decoded bytes of the last block; raw bytes behind it
  tail: u32,
  run: u32, // blocks of a part
}

// The header's size, 64 bits of which a buffer has 32; x: the size, y: 0 or why not. A size that is more than 255 times
// the chunk's is a lie.
fn h5z_blocks_size(p: H5zPart) -> vec2<u32> {
  if (p.size < H5Z_HEADER) { return vec2(0u, bitcast<u32>(H5Z_E_CORRUPT)); }
  let high = h5z_src_be(p.at);
  let low = h5z_src_be(p.at + 4u);
  let half = (p.size & 0xffffu) * 255u + 254u;
  let upper = (p.size >> 16u) * 255u + (half >> 16u);
  let most = vec2(upper >> 16u, (upper << 16u) | (half & 0xffffu));
  if (high > most.x || (high == most.x && low > most.y)) { return vec2(0u, bitcast<u32>(H5Z_E_CORRUPT)); }
  return vec2(low, select(0u, bitcast<u32>(H5Z_E_OUTPUT), high != 0u));
}

fn h5z_no_blocks(p: H5zPart, lane: u32) {
  if (p.part != 0u || lane != 0u) { return; }
  let index = h5z_scratch(p);
  for (var i = 0u; i <= batch.groups; i++) { scratch[index + i] = H5Z_NO_BLOCKS; }
}

// Walks the blocks, writes down where each part begins, and answers.
fn h5z_index(p: H5zPart, lane: u32, s: H5zBlocks) {
  if (p.part != 0u || lane != 0u) { return; }
  let index = h5z_scratch(p);
  var offset = H5Z_HEADER;
  var in_run = 0u;
  var parts = 0u;
  var good = true;
  for (var i = 0u; i < s.count && good; i++) {
    if (in_run == 0u) {
      scratch[index + parts] = offset;
      parts++;
    }
    in_run++;
    if (in_run == s.run) { in_run = 0u; }
    good = p.size - offset >= 4u;
    if (good) {
      let length = h5z_src_be(p.at + offset);
      offset += 4u;
      good = length <= p.size - offset;
      if (good) { offset += length; }
    }
  }
  good = good && p.size - offset == s.tail;
  for (; parts < batch.groups; parts++) { scratch[index + parts] = H5Z_NO_BLOCKS; }
  scratch[index + batch.groups] = offset;
  if (!good) { h5z_no_blocks(p, lane); }
  h5z_answer(p, lane, s.size, select(H5Z_E_CORRUPT, 0, good));
}

var<workgroup> h5z_found: vec2<u32>;

// What h5z_index wrote down for this part: where its first block is, and the chunk's end of blocks. For all lanes.
fn h5z_part_of_index(p: H5zPart, lane: u32) -> vec2<u32> {
  if (lane == 0u) {
    let index = h5z_scratch(p);
    h5z_found = vec2(scratch[index + p.part], scratch[index + batch.groups]);
  }
  return workgroupUniformLoad(&h5z_found);
}

// The block whose length is at `offset`: x: where its bytes are, y: how many, z: the next one's offset, w: 1 = they are there.
fn h5z_block(p: H5zPart, offset: u32) -> vec4<u32> {
  if (offset > p.size || p.size - offset < 4u) { return vec4(0u); }
  let length = h5z_src_be(p.at + offset);
  if (length > p.size - offset - 4u) { return vec4(0u); }
  return vec4(p.at + offset + 4u, length, offset + 4u + length, 1u);
}
