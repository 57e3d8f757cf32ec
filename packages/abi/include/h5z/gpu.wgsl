// h5z/gpu.wgsl: what a kernel in WGSL is written in: gpu.h in WebGPU's words. filters/shuffle/src/gpu.wgsl is an example; the
// rules of kernels are gpu.h's, and both twins are held to the same golden bytes and answers. What is different:
//
//   - Memory is words of 32 bits, least significant byte first, and two lanes must not write to the same word: a chunk's
//     place in dst starts at a multiple of 4, and the bytes up to the next multiple of 4 behind its room are its own too.
//   - Sizes and offsets have 32 bits.
//   - What lanes decide before a barrier must be uniform for the compiler: it comes from `src`, `chunks`, `before`, `cd` and
//     `batch`, or out of workgroupUniformLoad.
//
// A file of kernels says how many lanes a group has (override H5Z_LANES), and its entry points are called as gpu.h's
// are. `//#include <h5z/...> WORD=text` stands for that file with its words replaced (packages/farm/src/wgsl.ts): the text in a
// package is whole.

const H5Z_E_PARAM = -1;
const H5Z_E_CORRUPT = -2;
const H5Z_E_OUTPUT = -3;
const H5Z_E_UNSUPPORTED = -4;
const H5Z_E_MEMORY = -6;
const H5Z_E_NOT_APPLICABLE = -7;

// Words of scratch that every launch has for each part of each chunk, and once more for each chunk.
const H5Z_SCRATCH = 2u;

struct H5zBatch {
  nsrc: u32, // bytes of src and dst
  ndst: u32,
  nscratch: u32, // words of scratch
  nchunks: u32,
  groups: u32, // parts of a chunk
  ncd: u32,
}

struct H5zChunk {
  src: u32, // its bytes, as many as `before` says
  dst: u32, // where the result goes, and the room there, in bytes
  room: u32,
  skip: u32, // 1: this filter was skipped for this chunk: bytes are copied
}

@group(0) @binding(0) var<uniform> batch: H5zBatch;
@group(0) @binding(1) var<storage, read> src: array<u32>;
@group(0) @binding(2) var<storage, read_write> dst: array<u32>;
@group(0) @binding(3) var<storage, read> chunks: array<H5zChunk>;
// Two words for each chunk: its bytes, 0 after an error; 0 or one of the codes above.
@group(0) @binding(4) var<storage, read> before: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> after: array<atomic<u32>>;
@group(0) @binding(6) var<storage, read_write> scratch: array<u32>;
@group(0) @binding(7) var<storage, read> cd: array<u32>;

// What a group works on: part `part` of chunk `which`. The same for all lanes of the group.
struct H5zPart {
  go: bool, // false: answered already, or not there
  which: u32,
  part: u32,
  at: u32, // first byte in src
  size: u32,
  out: u32, // first byte in dst
  room: u32,
}

fn h5z_within(at: u32, length: u32, size: u32) -> bool {
  return at <= size && length <= size - at;
}

// The chunk's answer. Every lane may call it; one of them writes it down.
fn h5z_answer(p: H5zPart, lane: u32, size: u32, status: i32) {
  if (p.part != 0u || lane != 0u) { return; }
  atomicStore(&after[2u * p.which], select(0u, size, status == 0));
  atomicStore(&after[2u * p.which + 1u], bitcast<u32>(status));
}

// An error that a part found after the chunk had its answer.
fn h5z_fail(p: H5zPart, lane: u32, status: i32) {
  if (lane != 0u) { return; }
  atomicStore(&after[2u * p.which], 0u);
  atomicStore(&after[2u * p.which + 1u], bitcast<u32>(status));
}

fn h5z_src_byte(at: u32) -> u32 {
  return (src[at >> 2u] >> ((at & 3u) * 8u)) & 255u;
}

// Four bytes of src, at any address.
fn h5z_src_word(at: u32) -> u32 {
  let shift = (at & 3u) * 8u;
  let low = src[at >> 2u];
  if (shift == 0u) { return low; }
  return (low >> shift) | (src[(at >> 2u) + 1u] << (32u - shift));
}

// A number of four bytes, most significant first, and back.
fn h5z_be(x: u32) -> u32 {
  return (x << 24u) | ((x & 0xff00u) << 8u) | ((x >> 8u) & 0xff00u) | (x >> 24u);
}

fn h5z_src_be(at: u32) -> u32 { return h5z_be(h5z_src_word(at)); }

// `word` with byte k (0 is the least significant) replaced.
fn h5z_with_byte(word: u32, k: u32, byte: u32) -> u32 {
  return (word & ~(255u << (k * 8u))) | (byte << (k * 8u));
}

// Bytes of src to dst, from a multiple of 4 on, shared among `lanes` lanes of which this one is number `lane`.
fn h5z_copy(at: u32, out: u32, length: u32, lane: u32, lanes: u32) {
  let words = length / 4u;
  for (var i = lane; i < words; i += lanes) { dst[out / 4u + i] = h5z_src_word(at + 4u * i); }
  if (lane != 0u || length % 4u == 0u) { return; }
  var last = dst[out / 4u + words];
  for (var k = 0u; k < length % 4u; k++) { last = h5z_with_byte(last, k, h5z_src_byte(at + 4u * words + k)); }
  dst[out / 4u + words] = last;
}

// Where this lane is among all lanes of its chunk, and how many those are.
fn h5z_lane(p: H5zPart, lane: u32) -> u32 { return p.part * H5Z_LANES + lane; }
fn h5z_lanes() -> u32 { return batch.groups * H5Z_LANES; }

// The chunk's own words of scratch: H5Z_SCRATCH for each part, and H5Z_SCRATCH more.
fn h5z_scratch(p: H5zPart) -> u32 { return (batch.groups + 1u) * p.which * H5Z_SCRATCH; }

// Which chunk, and whether the filter has anything to do: not after an error, not with a table that lies, and not where the
// filter was skipped; those are answered here.
fn h5z_begin(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> H5zPart {
  var p: H5zPart;
  let number = group.x + group.y * groups.x;
  if (batch.groups == 0u || number / batch.groups >= batch.nchunks) { return p; }
  p.which = number / batch.groups;
  p.part = number % batch.groups;
  let chunk = chunks[p.which];
  p.at = chunk.src;
  p.size = before[p.which].x;
  p.out = chunk.dst;
  p.room = chunk.room;
  let status = bitcast<i32>(before[p.which].y);
  if (status != 0) {
    h5z_answer(p, lane, 0u, status);
    return p;
  }
  let index = (batch.groups + 1u) * batch.nchunks * H5Z_SCRATCH;
  if (!h5z_within(p.at, p.size, batch.nsrc) || !h5z_within(p.out, p.room, batch.ndst) || p.out % 4u != 0u ||
      batch.nscratch < index) {
    h5z_answer(p, lane, 0u, H5Z_E_PARAM);
    return p;
  }
  if (chunk.skip == 0u) {
    p.go = true;
    return p;
  }
  if (p.size > p.room) {
    h5z_answer(p, lane, 0u, H5Z_E_OUTPUT);
    return p;
  }
  h5z_copy(p.at, p.out, p.size, h5z_lane(p, lane), h5z_lanes());
  h5z_answer(p, lane, p.size, 0);
  return p;
}
