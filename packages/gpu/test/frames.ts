// Files of detector frames for the tests: rings and noise with a dead gap, three frames of tiles, by any pipeline. Made by h5wasm
// and repacked by @h5z/chunks.

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as h5wasm from 'h5wasm-0.10/node';
import { builtRegistry } from '../../../tests/corpus/corpus.ts';
import { type ChosenStage, open, repack } from '../../chunks/dist/index.js';

export const SHAPE = [3, 130, 200] as const;
/** What detectors write where they have no pixels. */
export const DEAD = 0xffff;

/** Counts of frame n, C order. */
export function counts(n: number): Uint16Array<ArrayBuffer> {
  const [, height, width] = SHAPE;
  return Uint16Array.from({ length: height * width }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    if (y >= 60 && y < 66) return DEAD;
    const distance = Math.hypot(x - width / 2, y - height / 2);
    const ring = Math.cos(distance / (5 + n)) > 0.8 ? 300 - 2 * Math.floor(distance) : 0;
    return Math.max(0, ring + (((i * 7919 + n * 104729) >>> 3) % 5));
  });
}

/** Writes `folder`/`name` with the dataset /data, chunks of one frame or (`tiles`) of a part of it. Returns its path. */
export async function writeFrames(
  folder: string,
  name: string,
  stages: readonly ChosenStage[],
  tiles = false,
): Promise<string> {
  await h5wasm.ready;
  const plain = join(folder, `plain-${name}`);
  const file = new h5wasm.File(plain, 'w');
  const [, height, width] = SHAPE;
  const chunks = tiles ? [1, 50, 64] : [1, height, width];
  const data = Uint16Array.from(Array.from({ length: SHAPE[0] }, (_, n) => [...counts(n)]).flat());
  file.create_dataset({ name: 'data', data, dtype: '<H', shape: [...SHAPE], chunks });
  file.close();
  const path = join(folder, name);
  await repack(plain, path, { stages, registry: await builtRegistry(), overwrite: true });
  return path;
}

/** A copy of a file of frames with chunk `index` overwritten behind its header. Returns its path. */
export async function damage(path: string, index: number): Promise<string> {
  const copy = path.replace(/\.h5$/, '-damaged.h5');
  copyFileSync(path, copy);
  const file = await open(path);
  const chunk = (await file.dataset('/data').loadChunks()).at(index);
  file.close();
  if (chunk === undefined) throw new Error(`there is no chunk ${index}`);
  const bytes = readFileSync(copy);
  bytes.fill(0xff, chunk.address + 12, chunk.address + chunk.size);
  writeFileSync(copy, bytes);
  return copy;
}
