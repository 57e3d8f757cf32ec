// One raw chunk through a pipeline given on the command line: what to reach for when only the chunk is at hand.

import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { hostCodec } from '@h5z/chunks';
import { type Codec, createPipeline, H5zError, type LoadOptions } from '@h5z/core';
import type { Registry } from '@h5z/registry';
import type { UsedFilter } from './digest.js';

/** A stage as `--filter ID --cd 1,2` gives it. */
export interface GivenStage {
  readonly id: number;
  cdValues: readonly number[];
}

export interface DecodeRequest {
  /** In pipeline order: as they encoded. */
  readonly stages: readonly GivenStage[];
  readonly registry: Registry;
  readonly via?: 'native' | 'wasm';
  /** The decoded size in bytes. */
  readonly size?: number;
  readonly filterMask?: number;
}

export interface Decoded {
  readonly data: Uint8Array;
  readonly filters: readonly UsedFilter[];
  readonly sha256: string;
  readonly seconds: number;
}

/** Decodes one chunk. */
export async function decodeChunk(chunk: Uint8Array, request: DecodeRequest): Promise<Decoded> {
  const { registry, via, size, filterMask = 0 } = request;
  const load: LoadOptions = via ? { only: via } : {};
  const codecs: Codec[] = [];
  for (const { id } of request.stages) {
    const host = registry.get(id) === undefined ? await hostCodec(id) : undefined;
    codecs.push(host ?? (await registry.load(id, load)));
  }
  const pipeline = createPipeline(request.stages.map((stage, i) => ({ ...stage, codec: codecs[i] as Codec })));
  const started = performance.now();
  const data = pipeline.decode(chunk, { filterMask, ...(size === undefined ? {} : { size }) });
  return {
    data,
    filters: codecs.map(({ id, name, variant }) => ({ id, name, variant })),
    sha256: createHash('sha256').update(data).digest('hex'),
    seconds: (performance.now() - started) / 1000,
  };
}

/** The bytes of a file, or of standard input for `-`. */
export function readInput(path: string): Uint8Array {
  try {
    return readFileSync(path === '-' ? 0 : path);
  } catch (cause) {
    const what = path === '-' ? 'standard input' : path;
    throw new H5zError('H5Z_FILE', `${what} cannot be read (${reason(cause)})`, { cause });
  }
}

/** Writes to a file, or to standard output for `-`. */
export function writeOutput(path: string, ...pieces: readonly Uint8Array[]): void {
  try {
    const file = path === '-' ? 1 : openSync(path, 'w');
    for (const data of pieces) writeFileSync(file, data);
    if (file !== 1) closeSync(file);
  } catch (cause) {
    const what = path === '-' ? 'standard output' : path;
    throw new H5zError('H5Z_FILE', `${what} cannot be written (${reason(cause)})`, { cause });
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
