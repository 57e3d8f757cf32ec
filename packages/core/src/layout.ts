// Where chunks lie in an n-dimensional output: clipped at its edges, copied in the longest runs that are whole in both.

import { H5zError } from './errors.js';

/** HDF5's most dimensions. */
const MAX_RANK = 32;

/**
 * What an output holds of a dataset, all in elements, slowest dimension first: a box of `shape` elements whose first element
 * is the dataset's element `origin`.
 */
export interface Layout {
  /** Shape of the output. */
  readonly shape: readonly number[];
  /** Shape of every chunk, edge chunks included: HDF5 pads them. */
  readonly chunk: readonly number[];
  /** Bytes of one element. */
  readonly itemSize: number;
  /** Where the output's element 0 lies in the dataset. Default: at its element 0. */
  readonly origin?: readonly number[];
}

/** The part of one chunk that lies in the output. */
export interface ChunkPlace {
  /** Byte of the output and of the chunk where it starts. */
  readonly to: number;
  readonly from: number;
  /** Bytes of a run: contiguous in both. */
  readonly run: number;
  /** How often a run repeats along each dimension before it, with the steps in bytes, fastest last. */
  readonly counts: readonly number[];
  readonly toSteps: readonly number[];
  readonly fromSteps: readonly number[];
  /** The whole chunk is one run: decode straight into the output. */
  readonly whole: boolean;
}

/** An output as runners see it. */
export interface Output {
  readonly layout: Layout;
  readonly origin: readonly number[];
  /** Exactly the bytes that the layout says. */
  readonly out: Uint8Array;
  /** Made for the batch: nobody else has `out` or its buffer until the batch has ended. */
  readonly own: boolean;
  /** Bytes of one chunk. */
  readonly size: number;
  /** Copies the part of a decoded chunk that `place` says. */
  copy(place: ChunkPlace, data: Uint8Array): void;
}

/** A checked layout over the bytes of an output. */
export class Placer implements Output {
  readonly layout: Layout;
  readonly out: Uint8Array;
  readonly own: boolean;
  readonly size: number;
  readonly origin: readonly number[];
  readonly #outSteps: readonly number[];
  readonly #chunkSteps: readonly number[];

  /**
   * Without `into`, over what `make` gives for so many bytes, or new zeroed memory. Throws H5Z_PARAMETER for a layout that is none or an `into` that is smaller
   * than it says, H5Z_E_MEMORY where there is no such memory.
   */
  constructor(layout: Layout, into?: ArrayBufferView, make?: (bytes: number) => Uint8Array | undefined) {
    const { shape, chunk, itemSize, origin = shape.map(() => 0) } = layout;
    const rank = shape.length;
    if (!Number.isSafeInteger(itemSize) || itemSize < 1)
      refuse(`itemSize is ${itemSize}`, 'pass the bytes of an element');
    if (rank > MAX_RANK) refuse(`shape has ${rank} dimensions`, `use at most ${MAX_RANK}`);
    if (chunk.length !== rank || origin.length !== rank) {
      refuse(
        `shape, chunk and origin have ${rank}, ${chunk.length} and ${origin.length} dimensions`,
        'pass as many in each',
      );
    }
    checkCounts('shape', shape, 0);
    checkCounts('chunk', chunk, 1);
    checkCounts('origin', origin, 0);
    this.#outSteps = stepsOf('shape', shape, itemSize);
    this.#chunkSteps = stepsOf('chunk', chunk, itemSize);
    this.size = (this.#chunkSteps[0] ?? itemSize) * (chunk[0] ?? 1);
    const bytes = (this.#outSteps[0] ?? itemSize) * (shape[0] ?? 1);
    if (!Number.isSafeInteger(this.size))
      refuse(`a chunk of ${chunk.join('x')} elements is too large`, 'check its shape');
    if (into !== undefined && !(into.byteLength >= bytes)) {
      refuse(
        `\`into\` has ${into.byteLength} bytes, and ${shape.join('x')} elements take ${bytes}`,
        'pass a larger array',
      );
    }
    this.layout = layout;
    this.origin = origin;
    this.own = into === undefined;
    this.out =
      into === undefined ? (make?.(bytes) ?? zeros(bytes)) : new Uint8Array(into.buffer, into.byteOffset, bytes);
  }

  /** Undefined when nothing of the chunk at `offset` (elements of the dataset) lies in the output. */
  place(offset: readonly number[] | undefined): ChunkPlace | undefined {
    const { shape, chunk, itemSize } = this.layout;
    const rank = shape.length;
    if (offset?.length !== rank || !offset.every((at) => Number.isSafeInteger(at) && at >= 0)) {
      refuse(`offset is ${JSON.stringify(offset)}`, `pass the chunk's first element as ${rank} whole numbers`);
    }
    let to = 0;
    let from = 0;
    let whole = true;
    const counts = new Array<number>(rank);
    for (let i = 0; i < rank; i++) {
      const start = (offset[i] ?? 0) - (this.origin[i] ?? 0);
      const size = chunk[i] ?? 1;
      const first = Math.max(start, 0);
      const count = Math.min(start + size, shape[i] ?? 0) - first;
      if (count <= 0) return undefined;
      counts[i] = count;
      whole &&= count === size;
      to += first * (this.#outSteps[i] ?? 0);
      from += (first - start) * (this.#chunkSteps[i] ?? 0);
    }
    let dim = rank - 1;
    let run = itemSize * (counts[dim] ?? 1);
    while (dim > 0 && counts[dim] === chunk[dim] && counts[dim] === shape[dim]) run *= counts[--dim] ?? 1;
    const outer = Math.max(dim, 0);
    const repeated = counts.slice(0, outer);
    return {
      to,
      from,
      run,
      counts: repeated,
      toSteps: this.#outSteps,
      fromSteps: this.#chunkSteps,
      whole: whole && repeated.every((count) => count === 1),
    };
  }

  copy(place: ChunkPlace, data: Uint8Array): void {
    const { run, counts, toSteps, fromSteps } = place;
    let { to, from } = place;
    const index = new Array<number>(counts.length).fill(0);
    for (;;) {
      this.out.set(data.subarray(from, from + run), to);
      let dim = counts.length - 1;
      for (; dim >= 0; dim--) {
        const next = (index[dim] ?? 0) + 1;
        to += toSteps[dim] ?? 0;
        from += fromSteps[dim] ?? 0;
        if (next < (counts[dim] ?? 0)) {
          index[dim] = next;
          break;
        }
        to -= next * (toSteps[dim] ?? 0);
        from -= next * (fromSteps[dim] ?? 0);
        index[dim] = 0;
      }
      if (dim < 0) return;
    }
  }
}

function zeros(bytes: number): Uint8Array {
  try {
    return new Uint8Array(new ArrayBuffer(bytes)); // small arrays alone would lie in memory that moves
  } catch (cause) {
    throw new H5zError('H5Z_E_MEMORY', `${bytes} bytes do not fit in one array`, {
      cause,
      remedy: 'take a part of it',
    });
  }
}

/** Repeats the bytes of one element, or zeros, over `bytes`. Returns them. */
export function fill(bytes: Uint8Array, element: Uint8Array | undefined): Uint8Array {
  if (element === undefined || element.every((byte) => byte === 0)) return bytes.fill(0);
  bytes.set(element.subarray(0, bytes.length));
  for (let done = Math.min(element.length, bytes.length); done < bytes.length; done *= 2) {
    bytes.copyWithin(done, 0, Math.min(done, bytes.length - done));
  }
  return bytes;
}

function stepsOf(what: string, dims: readonly number[], itemSize: number): number[] {
  const steps = new Array<number>(dims.length);
  let step = itemSize;
  for (let i = dims.length - 1; i >= 0; i--) {
    steps[i] = step;
    step *= dims[i] ?? 1;
  }
  if (!Number.isSafeInteger(step)) refuse(`${what} of ${dims.join('x')} elements is too large`, 'read a smaller slice');
  return steps;
}

function checkCounts(what: string, dims: readonly number[], least: number): void {
  if (dims.every((n) => Number.isSafeInteger(n) && n >= least)) return;
  refuse(`${what} is ${dims.join('x')}`, `pass whole numbers of elements, at least ${least}`);
}

function refuse(problem: string, remedy: string): never {
  throw new H5zError('H5Z_PARAMETER', problem, { remedy });
}
