// Damages files of the corpus and digests them; run as a process of its own, so that a hang or a crash is seen from
// outside. Arguments: a JSON list of files. Prints counts; a result that is neither a digest nor an H5zError ends it.

import { readFileSync, writeFileSync } from 'node:fs';
import { digestFile } from '../../packages/cli/dist/index.js';
import { builtRegistry } from './corpus.ts';

const [list = '[]', scratch = ''] = process.argv.slice(2);
const registry = await builtRegistry();
const counts = { files: 0, digests: 0, errors: 0, internal: 0 };

/** A small generator with a fixed seed: the same damage every time. */
let state = 0x2545f491;
function random(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

async function check(bytes: Uint8Array, label: string): Promise<void> {
  writeFileSync(scratch, bytes);
  counts.files++;
  for await (const digest of digestFile(scratch, { via: 'wasm', registry })) {
    if (digest.sha256 !== undefined) counts.digests++;
    else if (digest.error?.code.startsWith('H5Z_') && digest.error.message.includes(scratch)) counts.errors++;
    else throw new Error(`${label}: ${JSON.stringify(digest)}`);
    if (digest.error?.code === 'H5Z_E_INTERNAL') counts.internal++;
  }
}

for (const path of JSON.parse(list) as string[]) {
  const whole = readFileSync(path);
  for (const part of [0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99]) {
    const cut = Math.floor(whole.length * part);
    await check(whole.subarray(0, cut), `${path} cut at ${cut}`);
  }
  await check(whole.subarray(0, whole.length - 1), `${path} without its last byte`);
  for (let round = 0; round < 60; round++) {
    const bytes = Uint8Array.from(whole);
    // Half of the damage goes where metadata usually lies: the first 4 kB.
    for (let flips = 1 + random(4); flips > 0; flips--) {
      const at = random(round % 2 ? bytes.length : Math.min(bytes.length, 4096));
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
    }
    await check(bytes, `${path} with flipped bits, round ${round}`);
  }
}
process.stdout.write(JSON.stringify(counts));
