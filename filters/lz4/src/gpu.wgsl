// The LZ4 filter in WebGPU's words, both directions, a group for a run of blocks. Layout and rules are filter.c's. Decoding,
// blocks that do not end at a multiple of 4, which only files of an odd block size have, share words of dst: one group takes
// them all. Encoding has one level, whatever the cd_values say.
override H5Z_LANES: u32 = 32;
//#include <h5z/gpu.wgsl>
//#include <h5z/gpu/blocks.wgsl>
//#include <h5z/gpu/lz4.wgsl> H5Z_NAME=lz4_block H5Z_MEMORY=dst H5Z_BARRIER=storageBarrier
//#include <h5z/gpu/matches.wgsl> H5Z_ENTRIES=3968u
//#include <h5z/gpu/lz4_encode.wgsl> H5Z_NAME=lz4_encode_block H5Z_FROM=h5z_src
//#include <h5z/gpu/write_blocks.wgsl>

fn blocks_of(p: H5zPart) -> H5zBlocks {
  var s: H5zBlocks;
  let size = h5z_blocks_size(p);
  s.status = bitcast<i32>(size.y);
  if (s.status != 0) { return s; }
  s.size = size.x;
  s.block = h5z_src_be(p.at + 8u);
  if (s.size > p.room) {
    s.status = H5Z_E_OUTPUT;
  } else if (s.size > 0u && s.block == 0u) {
    s.status = H5Z_E_CORRUPT;
  } else {
    s.run = 1u;
    if (s.size > 0u) {
      s.count = (s.size - 1u) / s.block + 1u;
      s.last = s.size - (s.count - 1u) * s.block;
      s.run = select(s.count, (s.count - 1u) / batch.groups + 1u, s.block % 4u == 0u);
    }
  }
  return s;
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_lz4_decode_0(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                    @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let s = blocks_of(p);
  if (s.status == 0) {
    h5z_index(p, lane, s);
  } else {
    h5z_no_blocks(p, lane);
    h5z_answer(p, lane, 0u, s.status);
  }
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_lz4_decode_1(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                    @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let s = blocks_of(p);
  if (s.status != 0) { return; }
  var offset = h5z_part_of_index(p, lane).x;
  if (offset == H5Z_NO_BLOCKS) { return; }
  let first = p.part * s.run;
  let end = min(first + s.run, s.count);
  for (var i = first; i < end; i++) {
    let want = select(s.block, s.last, i + 1u == s.count);
    let block = h5z_block(p, offset);
    let out = p.out + i * s.block;
    var good = block.w == 1u;
    if (good && block.y == want) {
      lz4_block_literals(block.x, out, want, lane);
    } else if (good) {
      good = block.y <= 0x7fffffffu && want <= H5Z_LZ4_MOST && lz4_block(block.x, block.y, out, want, lane);
    }
    if (!good) {
      h5z_fail(p, lane, H5Z_E_CORRUPT);
      return;
    }
    offset = block.z;
  }
}

const DEFAULT_BLOCK = 0x40000000u;

// What the chunk's header will say; a slot has room for a length and for a block that LZ4 makes smaller.
fn blocks_to_write(p: H5zPart) -> H5zBlocks {
  var s: H5zBlocks;
  if (p.size > 0x7fffffffu) {
    s.status = H5Z_E_NOT_APPLICABLE; // other readers hold sizes in an int
    return s;
  }
  var block = 0u;
  if (batch.ncd > 0u) { block = cd[0]; }
  block = min(min(select(block, DEFAULT_BLOCK, block == 0u), H5Z_LZ4_MOST), p.size);
  s.size = p.size;
  h5z_cut(&s, p.size, block);
  if (s.count > h5z_own_words() / slot_of(s)) { s.status = H5Z_E_MEMORY; }
  return s;
}

// Words of a slot.
fn slot_of(s: H5zBlocks) -> u32 { return 1u + (s.block + 3u) / 4u; }

@compute @workgroup_size(H5Z_LANES)
fn h5z_lz4_encode_0(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                    @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let s = blocks_to_write(p);
  if (s.status != 0) { return; }
  let first = p.part * s.run;
  let end = min(first + s.run, s.count);
  for (var i = first; i < end; i++) {
    let size = select(s.block, s.last, i + 1u == s.count);
    let slot = h5z_own(p) + i * slot_of(s);
    let length = lz4_encode_block(p.at + i * s.block, size, 4u * (slot + 1u), size - 1u, lane);
    if (lane == 0u) { scratch[slot] = select(length, size, length == H5Z_NOTHING); }
  }
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_lz4_encode_1(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                    @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let s = blocks_to_write(p);
  if (s.status == 0) {
    h5z_lay_out(p, lane, s, slot_of(s));
  } else {
    h5z_answer(p, lane, 0u, s.status);
  }
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_lz4_encode_2(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                    @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let s = blocks_to_write(p);
  if (s.status == 0) { h5z_write(p, lane, s, slot_of(s), true); }
}
