// The fletcher32 filter in WebGPU's words, both directions: gpu.c's twin, which has the sums. Layout and rules are filter.c's. A
// lane takes two of the checksum's words of 16 bits at a time.
override H5Z_LANES: u32 = 64;
//#include <h5z/gpu.wgsl>

const CHECKSUM = 4u;

var<workgroup> sums: array<vec2<u32>, H5Z_LANES>;

// The same modulo 65535, of 16 bits; 0 only where the sum is 0.
fn reduced(sum: vec2<u32>) -> vec2<u32> {
  let once = (sum & vec2(0xffffu)) + (sum >> vec2(16u));
  return (once & vec2(0xffffu)) + (once >> vec2(16u));
}

// Word i of `words`, in both sums.
fn added(sum: vec2<u32>, word: u32, i: u32, words: u32) -> vec2<u32> {
  if (i >= words) { return sum; }
  let weight = reduced(vec2(words - i, 0u)).x;
  return reduced(sum + reduced(vec2(word, weight * word)));
}

// Copies `size` bytes and leaves this part's sums of them in scratch.
fn copy_and_add(p: H5zPart, size: u32, lane: u32) {
  let words = size / 2u + size % 2u;
  var sum = vec2(0u);
  for (var b = 4u * h5z_lane(p, lane); b < size; b += 4u * h5z_lanes()) {
    let some = min(4u, size - b);
    var x = 0u;
    if (some == 4u) {
      x = h5z_src_word(p.at + b);
      dst[(p.out + b) / 4u] = x;
    } else {
      var last = dst[(p.out + b) / 4u];
      for (var k = 0u; k < some; k++) {
        let byte = h5z_src_byte(p.at + b + k);
        x |= byte << (8u * k);
        last = h5z_with_byte(last, k, byte);
      }
      dst[(p.out + b) / 4u] = last;
    }
    sum = added(sum, ((x & 255u) << 8u) | ((x >> 8u) & 255u), b / 2u, words);
    sum = added(sum, ((x >> 8u) & 0xff00u) | (x >> 24u), b / 2u + 1u, words);
  }
  sums[lane] = sum;
  workgroupBarrier();
  if (lane != 0u) { return; }
  for (var i = 1u; i < H5Z_LANES; i++) { sum = reduced(sum + sums[i]); }
  let mine = h5z_scratch(p) + H5Z_SCRATCH * p.part;
  scratch[mine] = sum.x;
  scratch[mine + 1u] = sum.y;
}

// The chunk's checksum, from the sums of all its parts.
fn checksum_of(p: H5zPart) -> u32 {
  let parts = h5z_scratch(p);
  var sum = vec2(0u);
  for (var i = 0u; i < batch.groups; i++) {
    sum = reduced(sum + vec2(scratch[parts + H5Z_SCRATCH * i], scratch[parts + H5Z_SCRATCH * i + 1u]));
  }
  return (sum.y << 16u) | sum.x;
}

fn decode_status(p: H5zPart) -> i32 {
  if (p.size < CHECKSUM) { return H5Z_E_CORRUPT; }
  return select(0, H5Z_E_OUTPUT, p.size - CHECKSUM > p.room);
}

fn encode_status(p: H5zPart) -> i32 {
  return select(0, H5Z_E_OUTPUT, p.room < CHECKSUM || p.size > p.room - CHECKSUM);
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_fletcher32_decode_0(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                           @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let status = decode_status(p);
  h5z_answer(p, lane, p.size - CHECKSUM, status);
  if (status == 0) { copy_and_add(p, p.size - CHECKSUM, lane); }
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_fletcher32_decode_1(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                           @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go || decode_status(p) != 0 || p.part != 0u || lane != 0u) { return; }
  let checksum = checksum_of(p);
  let stored = h5z_src_word(p.at + p.size - CHECKSUM);
  let old = ((checksum & 0x00ff00ffu) << 8u) | ((checksum >> 8u) & 0x00ff00ffu); // HDF5 1.6.2 and before, little-endian
  if (stored != checksum && stored != old) { h5z_fail(p, lane, H5Z_E_CORRUPT); }
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_fletcher32_encode_0(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                           @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go) { return; }
  let status = encode_status(p);
  h5z_answer(p, lane, p.size + CHECKSUM, status);
  if (status == 0) { copy_and_add(p, p.size, lane); }
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_fletcher32_encode_1(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                           @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  if (!p.go || encode_status(p) != 0 || p.part != 0u || lane != 0u) { return; }
  let checksum = checksum_of(p);
  for (var k = 0u; k < CHECKSUM; k++) {
    let b = p.out + p.size + k;
    dst[b / 4u] = h5z_with_byte(dst[b / 4u], b & 3u, (checksum >> (8u * k)) & 255u);
  }
}
