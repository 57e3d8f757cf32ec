// The checksum of HDF5's metadata (format specification: "Jenkins' lookup3"), so that tests can damage what it covers.

const rotated = (n: number, by: number) => (n << by) | (n >>> (32 - by));

/** Bob Jenkins' public-domain hashlittle() with initial value 0. */
export function checksum(bytes: Uint8Array): number {
  let a = (0xdeadbeef + bytes.length) | 0;
  let b = a;
  let c = a;
  const word = (at: number) => {
    let n = 0;
    for (let i = 0; i < 4; i++) n |= (bytes[at + i] ?? 0) << (8 * i);
    return n;
  };
  let at = 0;
  for (; bytes.length - at > 12; at += 12) {
    a = (a + word(at)) | 0;
    b = (b + word(at + 4)) | 0;
    c = (c + word(at + 8)) | 0;
    for (const by of [4, 6, 8, 16, 19, 4]) {
      const old = [a, b, c] as const;
      // a -= c; a ^= rot(c, by); c += b; and so on with the three in turn.
      const first = ((old[0] - old[2]) | 0) ^ rotated(old[2], by);
      const third = (old[2] + old[1]) | 0;
      [a, b, c] = [old[1], third, first];
    }
  }
  if (at === bytes.length) return c >>> 0;
  a = (a + word(at)) | 0;
  b = (b + word(at + 4)) | 0;
  c = (c + word(at + 8)) | 0;
  for (const by of [14, 11, 25, 16, 4, 14, 24]) {
    // c ^= b; c -= rot(b, by); then a with c, b with a.
    c = ((c ^ b) - rotated(b, by)) | 0;
    [a, b, c] = [b, c, a];
  }
  return b >>> 0;
}
