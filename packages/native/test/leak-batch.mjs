// Run by batch.test.ts in a process of its own with --expose-gc and a small young generation, whose growth is no leak: 10^6
// small chunks through every form of a batch, then prints by how many bytes the resident set grew after a warm-up. argv: the
// library, rle.c compiled.

import { createPipeline } from '@h5z/core';
import { loadNative } from '@h5z/native';

const codec = loadNative(process.argv[2]);
const pipeline = createPipeline([{ id: 40001, cdValues: [1, 9], codec }]);
const data = new Uint8Array(1024).map((_, i) => i >> 5);
const stored = pipeline.encode(data).data;
const layout = { shape: [16, 64], chunk: [16, 64], itemSize: 1 };
const plain = new Uint8Array(1024);
const shared = pipeline.allocate(1024);

function* repeat(item, times) {
  for (let i = 0; i < times; i++) yield item;
}

async function work(chunks) {
  const each = chunks / 5;
  await pipeline.decodeMany(repeat({ data: stored, offset: [0, 0] }, each), { into: plain, layout });
  await pipeline.decodeMany(repeat({ data: stored, offset: [0, 0] }, each), { into: shared, layout });
  for await (const _ of pipeline.decodeEach(repeat(stored, each), { size: 1024 }));
  for await (const _ of pipeline.decodeEach(repeat(stored, each)));
  for await (const _ of pipeline.encodeEach(repeat(data, each)));
  await pipeline.decodeMany([stored.subarray(0, 3)]).catch(() => undefined);
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 50));
  globalThis.gc();
  return process.memoryUsage.rss();
}

await work(50_000);
const before = await work(50_000);
const after = await work(1_000_000);
console.log(after - before);
