// The shuffle filter in WebGPU's words, both directions: gpu.c's twin. Layout and rules are filter.c's.
//
// Decoding, a lane takes four neighbouring elements, which are whole words, and from each row the word that has their bytes; where
// an element is one, three, five ... bytes it takes byte by byte. Encoding goes by words of the result.
override H5Z_LANES: u32 = 64;
//#include <h5z/gpu.wgsl>

// The checks of both directions; elements have 0 bytes where there is nothing to do.
fn element(p: H5zPart, lane: u32) -> u32 {
  if (!p.go) { return 0u; }
  var elem = 0u;
  if (batch.ncd == 1u) { elem = cd[0]; }
  let status = select(select(0, H5Z_E_OUTPUT, p.size > p.room), H5Z_E_PARAM, elem == 0u);
  h5z_answer(p, lane, p.size, status);
  return select(0u, elem, status == 0);
}

// Byte i of the rows or of the elements of n elements, from the other order; behind them as it is.
fn moved(p: H5zPart, i: u32, elem: u32, n: u32, to_rows: bool) -> u32 {
  if (i >= n * elem) { return h5z_src_byte(p.at + i); }
  let other = select(i % elem * n + i / elem, i % n * elem + i / n, to_rows);
  return h5z_src_byte(p.at + other);
}

// Words of the result from byte `start` on, a multiple of 4, byte by byte.
fn by_bytes(p: H5zPart, start: u32, elem: u32, n: u32, to_rows: bool, lane: u32) {
  for (var b = start + 4u * h5z_lane(p, lane); b < p.size; b += 4u * h5z_lanes()) {
    let some = min(4u, p.size - b);
    var word = 0u;
    if (some < 4u) { word = dst[(p.out + b) / 4u]; }
    for (var k = 0u; k < some; k++) { word = h5z_with_byte(word, k, moved(p, b + k, elem, n, to_rows)); }
    dst[(p.out + b) / 4u] = word;
  }
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_shuffle_decode(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                      @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  let elem = element(p, lane);
  if (elem == 0u) { return; }
  let n = p.size / elem;
  var done = 0u; // elements
  if (elem == 2u || (elem % 4u == 0u && elem <= p.size)) {
    done = n / 4u * 4u;
    for (var e = 4u * h5z_lane(p, lane); e < done; e += 4u * h5z_lanes()) {
      let out = (p.out + e * elem) / 4u;
      let row = p.at + e;
      if (elem == 2u) {
        let a = h5z_src_word(row);
        let b = h5z_src_word(row + n);
        dst[out] = (a & 255u) | ((b & 255u) << 8u) | ((a & 0xff00u) << 8u) | ((b & 0xff00u) << 16u);
        dst[out + 1u] = ((a >> 16u) & 255u) | ((b >> 8u) & 0xff00u) | ((a >> 8u) & 0xff0000u) | (b & 0xff000000u);
      } else {
        for (var k = 0u; k < elem; k += 4u) {
          let rows = vec4(h5z_src_word(row + k * n), h5z_src_word(row + (k + 1u) * n),
                          h5z_src_word(row + (k + 2u) * n), h5z_src_word(row + (k + 3u) * n));
          for (var i = 0u; i < 4u; i++) {
            let bytes = (rows >> vec4(8u * i)) & vec4(255u);
            dst[out + (i * elem + k) / 4u] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
          }
        }
      }
    }
  }
  by_bytes(p, done * elem, elem, n, false, lane);
}

@compute @workgroup_size(H5Z_LANES)
fn h5z_shuffle_encode(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                      @builtin(local_invocation_index) lane: u32) {
  let p = h5z_begin(group, groups, lane);
  let elem = element(p, lane);
  if (elem == 0u) { return; }
  by_bytes(p, 0u, elem, p.size / elem, true, lane);
}
