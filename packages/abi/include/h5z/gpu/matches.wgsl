// h5z/gpu/matches.wgsl: what the encoders of lz4_encode.wgsl share: where four bytes were seen last, and how the lanes of a
// group agree. H5Z_ENTRIES: entries of the table, of 4 bytes each of the group's memory.

// Position + 1 of the last four bytes of that hash, 0: none yet.
var<workgroup> h5z_seen: array<atomic<u32>, H5Z_ENTRIES>;
var<workgroup> h5z_least: atomic<u32>;
var<workgroup> h5z_agreed: u32;

const H5Z_NOTHING = 0xffffffffu;

fn h5z_hash(bytes: u32) -> u32 { return (((bytes * 2654435761u) >> 16u) * H5Z_ENTRIES) >> 16u; }

// For all lanes, before the first match of a block.
fn h5z_forget(lane: u32) {
  for (var i = lane; i < H5Z_ENTRIES; i += H5Z_LANES) { atomicStore(&h5z_seen[i], 0u); }
  if (lane == 0u) { atomicStore(&h5z_least, H5Z_NOTHING); }
  workgroupBarrier();
}

// The least of what the lanes say, for all of them.
fn h5z_least_of(value: u32, lane: u32) -> u32 {
  atomicMin(&h5z_least, value);
  workgroupBarrier();
  if (lane == 0u) { h5z_agreed = atomicExchange(&h5z_least, H5Z_NOTHING); }
  return workgroupUniformLoad(&h5z_agreed);
}

// Bytes behind a token of a length whose part in it is `least` at most, and byte i of those.
fn h5z_length_size(length: u32, least: u32) -> u32 { return select(0u, (length - least) / 255u + 1u, length >= least); }
fn h5z_length_byte(length: u32, least: u32, i: u32) -> u32 {
  return select(255u, (length - least) % 255u, i == (length - least) / 255u);
}
