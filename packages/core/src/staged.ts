// The runner of pipelines that no host takes whole: the codecs one after the other, those that can off this thread.

import type { ChunkRange, ChunkRunner, EncodedChunk, RunnerOptions, StoredChunk } from './batch.js';
import { H5zError } from './errors.js';
import { checkSize, decodeStagesInto, inStageAsync, isSkipped, maskBit, type PreparedStages, sized } from './stages.js';

/** Work that does not leave this thread pauses after so many milliseconds, so that timers and signals get their turn. */
const SLICE_MS = 10;

/** What lies in files is read through {@link ChunkFile.read}. */
export function openStaged(prepared: PreparedStages, { threads, output }: RunnerOptions): ChunkRunner {
  const { stages } = prepared;
  const elsewhere = stages.some(({ codec }) => codec.variant === 'native');
  const pause = pauses();

  const decode = async (chunk: StoredChunk | ChunkRange): Promise<Uint8Array> => {
    const stored = await bytesOf(chunk);
    const steps = prepared.steps(chunk);
    await pause();
    let data = stored;
    for (const { stage, index, size } of steps) {
      const input = data;
      const work = () => stage.codec.decodeAsync(input, { cdValues: stage.cdValues, ...sized(size) });
      data = await inStageAsync(stage, index, work);
    }
    return checkSize(steps.length === 0 ? new Uint8Array(data) : data, chunk.size);
  };

  return {
    width: threads ?? (elsewhere ? (globalThis.navigator?.hardwareConcurrency ?? 2) : 1),
    decode,
    async scatter(chunk, place) {
      if (output === undefined) throw new H5zError('H5Z_E_INTERNAL', 'a chunk without an output');
      if (place.whole && !elsewhere) {
        const stored = await bytesOf(chunk);
        await pause();
        const { size } = output;
        decodeStagesInto(prepared, stored, output.out.subarray(place.to, place.to + size), { ...chunk, size });
      } else {
        output.copy(place, await decode(chunk));
      }
    },
    async encode(data): Promise<EncodedChunk> {
      await pause();
      let filterMask = 0;
      let current = data;
      for (const [index, stage] of stages.entries()) {
        const input = current;
        try {
          const work = () => stage.codec.encodeAsync(input, { cdValues: stage.cdValues });
          current = await inStageAsync(stage, index, work);
        } catch (error) {
          if (!isSkipped(stage, error)) throw error;
          filterMask |= maskBit(index);
        }
      }
      return { data: current === data ? new Uint8Array(data) : current, filterMask: filterMask >>> 0 };
    },
    close: () => undefined,
  };
}

/** The chunk's stored bytes, read where they are not there yet. */
export async function bytesOf(chunk: StoredChunk | ChunkRange): Promise<Uint8Array> {
  if ('data' in chunk) return chunk.data;
  const { file, address, length } = chunk;
  const data = await file.read(address, length);
  if (data.length === length) return data;
  throw shortRead(chunk, data.length);
}

/** Throws H5Z_PARAMETER for a range that no file has. */
export function checkRange({ address, length }: ChunkRange): void {
  const fine = [address, length, address + length].every((n) => Number.isSafeInteger(n) && n >= 0);
  if (fine && length <= 0xffffffff) return;
  throw new H5zError('H5Z_PARAMETER', `address and length of a chunk are ${address} and ${length}`, {
    remedy: 'pass what the chunk index says, in bytes',
  });
}

/** The error of a file that ends before its chunk does. */
export function shortRead({ file, address, length }: ChunkRange, read: number): H5zError {
  const name = file.path ?? 'the file';
  return new H5zError('H5Z_FILE', `${name} gave ${read} bytes of ${length} at ${address}`, {
    remedy: 'restore the file from a copy',
    details: { address, length, read },
  });
}

function pauses(): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < SLICE_MS) return undefined;
    return new Promise<void>((resolve) => {
      const go = () => {
        since = performance.now();
        resolve();
      };
      if (typeof globalThis.setImmediate === 'function') globalThis.setImmediate(go);
      else setTimeout(go, 0);
    });
  };
}
