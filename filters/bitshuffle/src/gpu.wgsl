// The bitshuffle filter in WebGPU's words, without compression and with LZ4, both directions. Layout and rules are filter.c's. LZ4
// blocks of up to 8 KiB are decoded in a group's own memory, larger ones through scratch; all are encoded from scratch.
override H5Z_LANES: u32 = 32;
//#include <h5z/gpu.wgsl>
//#include <h5z/gpu/blocks.wgsl>

const CODEC_NONE = 0u;
const CODEC_LZ4 = 2u;
const CODEC_ZSTD = 3u;
const SHARED_BLOCK = 8192u;

var<workgroup> rows: array<u32, SHARED_BLOCK / 4u>;

//#include <h5z/gpu/lz4.wgsl> H5Z_NAME=lz4_in_rows H5Z_MEMORY=rows H5Z_BARRIER=workgroupBarrier
//#include <h5z/gpu/lz4.wgsl> H5Z_NAME=lz4_in_scratch H5Z_MEMORY=scratch H5Z_BARRIER=storageBarrier

// The bits of eight bytes, transposed; x holds the first four.
fn transposed(bytes: vec2<u32>) -> vec2<u32> {
  var x = bytes;
  var t = (x ^ (x >> vec2(7u))) & vec2(0x00AA00AAu);
  x ^= t ^ (t << vec2(7u));
  t = (x ^ (x >> vec2(14u))) & vec2(0x0000CCCCu);
  x ^= t ^ (t << vec2(14u));
  let swap = (x.x ^ ((x.x >> 28u) | (x.y << 4u))) & 0xF0F0F0F0u;
  return vec2(x.x ^ swap, x.y ^ (swap >> 4u));
}

// Four words by their bytes: k: byte k of each, the first word's least significant.
fn bytes_of(words: array<vec2<u32>, 4>) -> array<vec2<u32>, 4> {
  let even = vec2(0x00ff00ffu);
  let half = vec2(0xffffu);
  let ab02 = (words[0] & even) | ((words[1] & even) << vec2(8u));
  let cd02 = (words[2] & even) | ((words[3] & even) << vec2(8u));
  let ab13 = ((words[0] >> vec2(8u)) & even) | (words[1] & ~even);
  let cd13 = ((words[2] >> vec2(8u)) & even) | (words[3] & ~even);
  return array((ab02 & half) | (cd02 << vec2(16u)), (ab13 & half) | (cd13 << vec2(16u)),
               (ab02 >> vec2(16u)) | (cd02 & ~half), (ab13 >> vec2(16u)) | (cd13 & ~half));
}

// How many neighbouring bytes of an element are transposed together: it is one or two bytes, or whole words; 0: bit by bit.
fn planes_of(elem: u32) -> u32 { return select(select(0u, 4u, elem % 4u == 0u), elem, elem <= 2u); }

// Those bytes of eight elements of src, from byte `at` on: k: byte k of the first four elements and of the other four.
fn eight(at: u32, elem: u32) -> array<vec2<u32>, 4> {
  var words: array<vec2<u32>, 4>;
  for (var e = 0u; e < min(elem, 4u); e++) {
    let b = at + e * max(elem, 4u);
    words[e] = vec2(h5z_src_word(b), h5z_src_word(b + 4u * elem));
  }
  if (elem == 1u) { return words; }
  if (elem == 2u) { words = array(words[0], words[0] >> vec2(16u), words[1], words[1] >> vec2(16u)); }
  return bytes_of(words);
}

// Its way back, to dst from word `out` on.
fn put_eight(out: u32, elem: u32, bytes: array<vec2<u32>, 4>) {
  var words = bytes;
  if (elem > 1u) { words = bytes_of(bytes); }
  if (elem == 2u) {
    words[0] |= words[1] << vec2(16u);
    words[1] = words[2] | (words[3] << vec2(16u));
  }
  for (var e = 0u; e < min(elem, 4u); e++) {
    let w = out + e * max(elem / 4u, 1u);
    dst[w] = words[e].x;
    dst[w + elem] = words[e].y;
  }
}

//#include <h5z/gpu/matches.wgsl> H5Z_ENTRIES=3968u
//#include <h5z/gpu/lz4_encode.wgsl> H5Z_NAME=lz4_from_scratch H5Z_FROM=h5z_in_scratch
//#include <h5z/gpu/write_blocks.wgsl>
//#include "transpose.wgsl" H5Z_NAME=from_src H5Z_FROM=h5z_src
//#include "transpose.wgsl" H5Z_NAME=from_rows H5Z_FROM=lz4_in_rows
//#include "transpose.wgsl" H5Z_NAME=from_scratch H5Z_FROM=h5z_in_scratch
//#include "rows.wgsl" H5Z_NAME=to_dst H5Z_MEMORY=dst
//#include "rows.wgsl" H5Z_NAME=to_scratch H5Z_MEMORY=scratch

struct Settings {
  status: i32,
  elem: u32, // bytes
  block: u32, // elements
  codec: u32,
}

fn automatic_block(elem: u32) -> u32 { return max(8192u / elem / 8u * 8u, 128u); }

fn parse() -> Settings {
  var s: Settings;
  s.status = H5Z_E_PARAM;
  if (batch.ncd < 3u) { return s; }
  s.elem = cd[2];
  if (s.elem == 0u) { return s; }
  s.block = automatic_block(s.elem);
  if (batch.ncd > 3u) { s.block = select(s.block, cd[3], cd[3] > 0u); }
  if (batch.ncd > 4u) { s.codec = cd[4]; }
  if (s.block % 8u != 0u) { return s; }
  if (s.codec == CODEC_ZSTD) { s.status = H5Z_E_UNSUPPORTED; }
  if (s.codec == CODEC_NONE || s.codec == CODEC_LZ4) { s.status = 0; }
  return s;
}

// Chunks without compression, both directions: the parts take a block each in turn.
fn transpose(p: H5zPart, s: Settings, encode: bool, lane: u32) {
  let n = p.size / s.elem / 8u * 8u;
  let count = n / s.block + select(0u, 1u, n % s.block > 0u);
  for (var i = p.part; i < count; i += batch.groups) {
    let at = i * s.block; // elements
    let some = min(s.block, n - at);
    let out = (p.out + at * s.elem) / 4u;
    if (encode) {
      to_dst(p.at + at * s.elem, out, some, s.elem, lane);
    } else {
      from_src(p.at + at * s.elem, out, some, s.elem, lane);
    }
  }
  h5z_copy(p.at + n * s.elem, p.out + n * s.elem, p.size - n * s.elem, h5z_lane(p, lane), h5z_lanes());
}

// What a chunk with LZ4 says of itself.
fn blocks_of(p: H5zPart, s: Settings) -> H5zBlocks {
  var blocks: H5zBlocks;
  let size = h5z_blocks_size(p);
  blocks.status = bitcast<i32>(size.y);
  if (blocks.status == 0 && size.x % s.elem != 0u) { blocks.status = H5Z_E_CORRUPT; }
  if (blocks.status == 0 && size.x > p.room) { blocks.status = H5Z_E_OUTPUT; }
  if (blocks.status != 0) { return blocks; }
  blocks.size = size.x;
  var block = h5z_src_be(p.at + 8u) / s.elem;
  if (block == 0u) { block = automatic_block(s.elem); }
  if (block % 8u != 0u) {
    blocks.status = H5Z_E_CORRUPT;
    return blocks;
  }
  let n = blocks.size / s.elem;
  let last = n % block / 8u * 8u;
  // More elements than the chunk has are no block of it, and their bytes might not fit into 32 bits.
  blocks.block = select(0u, block * s.elem, block <= n);
  blocks.count = n / block + select(0u, 1u, last > 0u);
  blocks.last = select(blocks.block, last * s.elem, last > 0u);
  blocks.tail = n % 8u * s.elem;
  blocks.run = 1u;
  if (blocks.count > 0u) { blocks.run = (blocks.count - 1u) / batch.groups + 1u; }
  var largest = 0u;
  if (blocks.count == 1u) { largest = blocks.last; }
  if (blocks.count > 1u) { largest = blocks.block; }
  let index = (batch.groups + 1u) * batch.nchunks * H5Z_SCRATCH;
  if (largest > H5Z_LZ4_MOST) {
    blocks.status = H5Z_E_CORRUPT;
  } else if (largest > SHARED_BLOCK && batch.nscratch - index < batch.ndst / 4u) {
    blocks.status = H5Z_E_MEMORY;
  }
  return blocks;
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_bitshuffle_decode_0(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                           @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let s = parse();
  if (s.status == 0 && s.codec == CODEC_NONE) {
    let status = select(select(0, H5Z_E_OUTPUT, p.size > p.room), H5Z_E_CORRUPT, p.size % s.elem != 0u);
    h5z_answer(p, lane, p.size, status);
    if (status == 0) { transpose(p, s, false, lane); }
    return;
  }
  var status = s.status;
  if (status == 0) {
    let blocks = blocks_of(p, s);
    status = blocks.status;
    if (status == 0) { h5z_index(p, lane, blocks); }
  }
  if (status != 0) {
    h5z_no_blocks(p, lane);
    h5z_answer(p, lane, 0u, status);
  }
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_bitshuffle_decode_1(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                           @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let s = parse();
  if (s.status != 0 || s.codec == CODEC_NONE) { return; }
  let blocks = blocks_of(p, s);
  if (blocks.status != 0) { return; }
  let index = h5z_part_of_index(p, lane);
  if (index.y == H5Z_NO_BLOCKS) { return; }
  h5z_copy(p.at + index.y, p.out + blocks.size - blocks.tail, blocks.tail, h5z_lane(p, lane), h5z_lanes());
  var offset = index.x;
  if (offset == H5Z_NO_BLOCKS) { return; }

  let large = (batch.groups + 1u) * batch.nchunks * H5Z_SCRATCH * 4u + p.out; // byte of scratch
  let first = p.part * blocks.run;
  let end = min(first + blocks.run, blocks.count);
  for (var i = first; i < end; i++) {
    let want = select(blocks.block, blocks.last, i + 1u == blocks.count);
    let at = i * blocks.block;
    let block = h5z_block(p, offset);
    var good = block.w == 1u && block.y <= 0x7fffffffu;
    if (want <= SHARED_BLOCK) {
      if (good) { good = lz4_in_rows(block.x, block.y, 0u, want, lane); }
      if (good) { from_rows(0u, (p.out + at) / 4u, want / s.elem, s.elem, lane); }
    } else {
      if (good) { good = lz4_in_scratch(block.x, block.y, large + at, want, lane); }
      if (good) { from_scratch(large + at, (p.out + at) / 4u, want / s.elem, s.elem, lane); }
    }
    if (!good) {
      h5z_fail(p, lane, H5Z_E_CORRUPT);
      return;
    }
    offset = block.z;
  }
}

// What the header of a chunk with LZ4 will say.
fn blocks_to_write(p: H5zPart, s: Settings) -> H5zBlocks {
  var blocks: H5zBlocks;
  // Other readers hold sizes in an int, and the header the block's bytes in 32 bits.
  blocks.status = H5Z_E_NOT_APPLICABLE;
  if (p.size > 0x7fffffffu || s.block > 0xffffffffu / s.elem) { return blocks; }
  let block = s.block * s.elem;
  let n = p.size / s.elem;
  blocks.tail = n % 8u * s.elem;
  blocks.size = p.size;
  h5z_cut(&blocks, p.size - blocks.tail, block);
  if (largest_of(blocks) > H5Z_LZ4_MOST) { return blocks; }
  blocks.status = 0;
  let rows = p.size / 4u;
  let last = slot_words(blocks.last);
  let own = h5z_own_words();
  if (rows > own || last > own - rows || (blocks.count > 1u && blocks.count - 1u > (own - rows - last) / slot_of(blocks))) {
    blocks.status = H5Z_E_MEMORY;
  }
  return blocks;
}

// Bytes of the largest block there is.
fn largest_of(blocks: H5zBlocks) -> u32 {
  return select(select(blocks.block, blocks.last, blocks.count == 1u), 0u, blocks.count == 0u);
}

// Words of a slot: a length, and what LZ4 makes of `size` bytes at most.
fn slot_words(size: u32) -> u32 { return 1u + (size + size / 255u + 11u) / 4u; }
fn slot_of(blocks: H5zBlocks) -> u32 { return slot_words(largest_of(blocks)); }

// Word of scratch where the rows of block i begin, behind the slots, of which the last one is as small as its block.
fn rows_at(p: H5zPart, blocks: H5zBlocks, i: u32) -> u32 {
  return h5z_own(p) + (blocks.count - 1u) * slot_of(blocks) + slot_words(blocks.last) + i * (blocks.block / 4u);
}

// Rows of bits.
@compute @workgroup_size(H5Z_LANES)
fn h5z_bitshuffle_encode_0(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                           @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let s = parse();
  if (s.status != 0 || p.size % s.elem != 0u) { return; }
  if (s.codec == CODEC_NONE) {
    if (p.size <= p.room) { transpose(p, s, true, lane); }
    return;
  }
  let blocks = blocks_to_write(p, s);
  if (blocks.status != 0) { return; }
  for (var i = p.part; i < blocks.count; i += batch.groups) {
    let size = select(blocks.block, blocks.last, i + 1u == blocks.count);
    to_scratch(p.at + i * blocks.block, rows_at(p, blocks, i), size / s.elem, s.elem, lane);
  }
}

// The same for chunks that the first kernel made rows of bits of; others have a status.
fn blocks_with_lz4(p: H5zPart) -> H5zBlocks {
  let s = parse();
  if (s.status == 0 && s.codec == CODEC_LZ4 && p.size % s.elem == 0u) { return blocks_to_write(p, s); }
  var none: H5zBlocks;
  none.status = H5Z_E_PARAM;
  return none;
}

// Slots with LZ4.
@compute @workgroup_size(H5Z_LANES)
fn h5z_bitshuffle_encode_1(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                           @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let blocks = blocks_with_lz4(p);
  if (blocks.status != 0) { return; }
  let words = slot_of(blocks);
  let first = p.part * blocks.run;
  let end = min(first + blocks.run, blocks.count);
  for (var i = first; i < end; i++) {
    let size = select(blocks.block, blocks.last, i + 1u == blocks.count);
    let slot = h5z_own(p) + i * words;
    let length = lz4_from_scratch(4u * rows_at(p, blocks, i), size, 4u * (slot + 1u), 4u * (slot_words(size) - 1u), lane);
    if (lane == 0u) { scratch[slot] = length; }
  }
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_bitshuffle_encode_2(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                           @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let s = parse();
  var status = s.status;
  if (status == 0 && p.size % s.elem != 0u) { status = H5Z_E_NOT_APPLICABLE; }
  if (status == 0 && s.codec == CODEC_LZ4) {
    let blocks = blocks_to_write(p, s);
    if (blocks.status == 0) {
      h5z_lay_out(p, lane, blocks, slot_of(blocks));
      return;
    }
    status = blocks.status;
  }
  if (status == 0 && p.size > p.room) { status = H5Z_E_OUTPUT; }
  h5z_answer(p, lane, p.size, status);
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_bitshuffle_encode_3(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                           @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let blocks = blocks_with_lz4(p);
  if (blocks.status == 0) { h5z_write(p, lane, blocks, slot_of(blocks), false); }
}
