// One raw chunk through a pipeline given on the command line: what to reach for when only the chunk is at hand.

import { createHash } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostCodec } from '@h5z/chunks';
import { type Codec, createPipeline, H5zError, type LoadOptions } from '@h5z/core';
import type { Registry } from '@h5z/registry';
import type { UsedFilter } from './digest.js';

const STANDARD_INPUT = 0;
const STANDARD_OUTPUT = 1;
/** Some systems refuse 2 GiB at once. */
const PIECE = 1 << 26;

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
    return readFileSync(path === '-' ? STANDARD_INPUT : path);
  } catch (cause) {
    const what = path === '-' ? 'standard input' : path;
    throw new H5zError('H5Z_FILE', `${what} cannot be read (${reason(cause)})`, { cause });
  }
}

/** Refuses to write over the file that is read, by whatever name. Where `input` is `-`, that is standard input's. */
export function refuseInput(path: string, input: string): void {
  const output = path === '-' ? undefined : statOf(path);
  const read = statOf(input === '-' ? STANDARD_INPUT : input);
  if (!output?.isFile() || output.dev !== read?.dev || output.ino !== read.ino) return;
  throw new H5zError('H5Z_FILE', `${path} is the file to read`, { remedy: 'give the new file another name' });
}

/** Nothing for what cannot be looked at: whoever opens it says so. */
function statOf(file: string | number): BigIntStats | undefined {
  try {
    return typeof file === 'number' ? fstatSync(file, { bigint: true }) : statSync(file, { bigint: true });
  } catch {
    return undefined;
  }
}

/** Writes to a file, which a failure removes, or to standard output for `-`. */
export async function writeOutput(path: string, ...pieces: readonly Uint8Array[]): Promise<void> {
  if (path === '-' && !fstatSync(STANDARD_OUTPUT).isFile()) {
    for (const data of pieces) {
      for (let at = 0; at < data.length; at += PIECE) await toReader(data.subarray(at, at + PIECE));
    }
    return;
  }
  try {
    if (path === '-') for (const data of pieces) writeFileSync(STANDARD_OUTPUT, data);
    else writeWhole(path, pieces);
  } catch (cause) {
    const what = path === '-' ? 'standard output' : path;
    throw new H5zError('H5Z_FILE', `${what} cannot be written (${reason(cause)})`, { cause });
  }
}

/** Waits until a pipe took it all. One that is closed or fails ends the command, as it does for every answer. */
function toReader(data: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(data, (error) => {
      if (!error) resolve();
    });
  });
}

function writeWhole(path: string, pieces: readonly Uint8Array[]): void {
  const file = openSync(path, 'w');
  try {
    for (const data of pieces) writeFileSync(file, data);
  } catch (error) {
    if (fstatSync(file).isFile()) rmSync(realpathSync.native(path), { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
