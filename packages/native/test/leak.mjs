// Run by native.test.ts in a process of its own with --expose-gc and a small young generation, whose growth is no leak:
// 100,000 chunks through every method, then prints by how many bytes the resident set grew after a warm-up. argv: the
// library, rle.c compiled.

import { loadNative } from '@h5z/native';

const [path] = process.argv.slice(2);
const cdValues = new Uint32Array([1, 9]);
const unknown = new Uint32Array([1, 255]);
const data = new Uint8Array(65536).map((_, i) => i >> 6);
const out = new Uint8Array(data.length);
const codec = loadNative(path);
const chunk = codec.encode(data, { cdValues });
const sizeless = codec.encode(data, { cdValues: unknown });

async function work(chunks) {
  for (let i = 0; i < chunks; i += 10) {
    codec.decode(chunk, { cdValues });
    codec.decode(sizeless, { cdValues: unknown });
    codec.decodeInto(chunk, out, { cdValues });
    codec.encode(data, { cdValues });
    codec.encodeInto(data, out, { cdValues });
    codec.derive([9], { typeClass: 'integer', typeSize: 4, chunk: [10] });
    await codec.decodeAsync(chunk, { cdValues });
    await codec.encodeAsync(data, { cdValues });
    try {
      codec.decode(chunk.subarray(0, 7), { cdValues });
    } catch {}
    await codec.decodeAsync(chunk, { cdValues, size: 10 }).catch(() => undefined);
    if (i % 1000 === 0) loadNative(path);
  }
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 50));
  globalThis.gc();
  return process.memoryUsage.rss();
}

/** The least of three rounds: what garbage a round leaves behind differs, what leaks is in all of them. */
async function least() {
  return Math.min(await work(10_000), await work(10_000), await work(10_000));
}

await work(20_000);
const before = await least();
await work(100_000);
console.log((await least()) - before);
