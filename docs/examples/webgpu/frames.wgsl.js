// The page's own kernels: they read pixels where the decoder left them, chunk after chunk, and nothing is copied in between.

export const FRAMES = `
struct Frame {
  width: u32,
  height: u32,
  chunk_width: u32,
  chunk_height: u32,
  across: u32, // chunks side by side
  stride: u32, // bytes from one chunk to the next
  start: u32, // byte of the frame in each of its chunks
  kind: u32, // 0: f32; else bytes of an unsigned integer, and 8 more when it is signed
}
@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
// The brightest pixel; then for every whole distance from the middle: sum of counts (two words), number of pixels, nothing.
@group(0) @binding(2) var<storage, read_write> found: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> total: array<u32>;
@group(0) @binding(4) var<storage, read> shown: array<u32>;

// Counts below 0 are no counts: detectors mark pixels that saw nothing with the largest number there is.
fn pixel(x: u32, y: u32) -> f32 {
  let size = select(frame.kind & 7u, 4u, frame.kind == 0u);
  let chunk = (y / frame.chunk_height) * frame.across + x / frame.chunk_width;
  let at = chunk * frame.stride + frame.start + ((y % frame.chunk_height) * frame.chunk_width + x % frame.chunk_width) * size;
  let bits = pixels[at / 4u] >> ((at % 4u) * 8u);
  if (frame.kind == 0u) { return bitcast<f32>(bits); }
  let unused = 32u - size * 8u;
  if (frame.kind > 8u) { return f32(bitcast<i32>(bits << unused) >> unused); }
  let count = (bits << unused) >> unused;
  return select(f32(count), -1.0, count == 0xffffffffu >> unused);
}

fn distance_of(x: u32, y: u32) -> u32 {
  return u32(length(vec2(f32(x), f32(y)) - vec2(f32(frame.width - 1u), f32(frame.height - 1u)) / 2.0));
}

@compute @workgroup_size(8, 8)
fn measure(@builtin(global_invocation_id) at: vec3<u32>) {
  if (at.x >= frame.width || at.y >= frame.height) { return; }
  let value = pixel(at.x, at.y);
  if (!(value >= 0.0)) { return; }
  atomicMax(&found[0], bitcast<u32>(value));
  let ring = 4u + 4u * distance_of(at.x, at.y);
  let counts = u32(round(value));
  let before = atomicAdd(&found[ring], counts);
  if (before + counts < before) { atomicAdd(&found[ring + 1u], 1u); }
  atomicAdd(&found[ring + 2u], 1u);
}

@compute @workgroup_size(8, 8)
fn add(@builtin(global_invocation_id) at: vec3<u32>) {
  if (at.x >= frame.width || at.y >= frame.height) { return; }
  let value = pixel(at.x, at.y);
  let i = at.y * frame.width + at.x;
  // A pixel that saw nothing in one frame has no sum.
  if (!(value >= 0.0) || total[i] == 0xffffffffu) { total[i] = 0xffffffffu; } else { total[i] += u32(round(value)); }
}

@vertex
fn corner(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
  return vec4(f32(i & 1u) * 4.0 - 1.0, f32(i >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn grey(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
  let value = pixel(u32(at.x), u32(at.y));
  let brightest = bitcast<f32>(shown[0]);
  if (!(value >= 0.0)) { return vec4(0.1, 0.1, 0.3, 1.0); }
  return vec4(vec3(log2(1.0 + value) / log2(1.0 + max(brightest, 1.0))), 1.0);
}
`;
