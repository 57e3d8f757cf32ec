// The bitshuffle filter in WebGPU's words: without compression in both directions, and decoding of LZ4: gpu.c's twin, whose ways
// it goes. Layout and rules are filter.c's.
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

//#include "transpose.wgsl" H5Z_NAME=from_src H5Z_BYTE=h5z_src_byte
//#include "transpose.wgsl" H5Z_NAME=from_rows H5Z_BYTE=lz4_in_rows_byte
//#include "transpose.wgsl" H5Z_NAME=from_scratch H5Z_BYTE=lz4_in_scratch_byte

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

// Word w of a block of n elements' rows, which begin at byte `at` of src as elements.
fn rows_word(at: u32, w: u32, n: u32, elem: u32) -> u32 {
  let row = n / 8u;
  var word = 0u;
  for (var j = 0u; j < 4u; j++) {
    let r = (4u * w + j) / row;
    let g = (4u * w + j) % row;
    for (var e = 0u; e < 8u; e++) {
      word |= ((h5z_src_byte(at + (g * 8u + e) * elem + r / 8u) >> (r % 8u)) & 1u) << (8u * j + e);
    }
  }
  return word;
}

// Chunks without compression, both directions: the parts take a block each in turn.
fn transpose(p: H5zPart, s: Settings, to_rows: bool, lane: u32) {
  let n = p.size / s.elem / 8u * 8u;
  let count = n / s.block + select(0u, 1u, n % s.block > 0u);
  for (var i = p.part; i < count; i += batch.groups) {
    let at = i * s.block; // elements
    let some = min(s.block, n - at);
    let out = (p.out + at * s.elem) / 4u;
    if (to_rows) {
      for (var w = lane; w < some / 4u * s.elem; w += H5Z_LANES) {
        dst[out + w] = rows_word(p.at + at * s.elem, w, some, s.elem);
      }
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

@compute @workgroup_size(H5Z_LANES)
fn h5z_bitshuffle_encode(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                         @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let s = parse();
  var status = s.status;
  if (status == 0 && s.codec != CODEC_NONE) { status = H5Z_E_UNSUPPORTED; }
  if (status == 0 && p.size % s.elem != 0u) { status = H5Z_E_NOT_APPLICABLE; }
  if (status == 0 && p.size > p.room) { status = H5Z_E_OUTPUT; }
  h5z_answer(p, lane, p.size, status);
  if (status == 0) { transpose(p, s, true, lane); }
}
