// For cuda.test.ts, with --expose-gc: what JavaScript drops, the device gets back. Argument: the driver's library. Prints the
// bytes that are missing at the end, and those that a tensor kept though they had been freed.

import { setImmediate } from 'node:timers/promises';
import { openCuda } from '@h5z/native/cuda';

const device = openCuda({ library: process.argv[2] });
const before = device.memory().free;
const collect = async () => {
  for (let i = 0; i < 10; i++) {
    globalThis.gc();
    await setImmediate();
  }
};

function drop() {
  const stream = device.stream();
  const memory = device.allocate(1 << 20);
  const pinned = device.allocatePinned(1 << 20);
  stream.upload(pinned, 0, memory, 0, 1 << 20);
  stream.record(device.event());
}
for (let i = 0; i < 20; i++) drop();
await collect();

const tensors = [
  (() => {
    const memory = device.allocate(1000);
    const dlpack = memory.dlpack({ shape: [1000], type: 'uint', bits: 8 });
    memory.free();
    return dlpack;
  })(),
];
await collect();
const kept = before - device.memory().free;
tensors.pop();
await collect();
console.log(JSON.stringify({ kept, missing: before - device.memory().free }));
