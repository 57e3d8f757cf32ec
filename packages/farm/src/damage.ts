// Damaged chunks for tests of kernels, the same in every run.

/** xorshift: a function that gives whole numbers from 0 to `below` (exclusive). The seed is not 0. */
export function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** `count` copies of a chunk, each with one more byte changed than the one before, every third one cut too. */
export function damagedCopies(bytes: Uint8Array, count: number, random: (below: number) => number): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const copy = Buffer.from(bytes);
    for (let times = 0; times <= index && copy.length > 0; times++) copy[random(copy.length)] = random(256);
    return index % 3 === 2 ? copy.subarray(0, random(copy.length + 1)) : copy;
  });
}
