// The allocated chunks of a dataset as typed arrays: 10^7 of them take 320 MB where objects would take gigabytes.

import type { Chunk } from './types.js';

/** Doubles per chunk: number in the grid of chunks, address, stored bytes, filter mask. */
const FIELDS = 4;

/**
 * Allocated chunks in C order of their places, each once. A {@link Chunk} is made when asked for, and is the caller's.
 * Throws an H5zError made by `twice` when two chunks claim one place.
 */
export class ChunkList implements Iterable<Chunk> {
  readonly length: number;
  /** Chunks along each dimension of the dataset, allocated or not. */
  readonly grid: readonly number[];
  readonly #blocks: readonly Float64Array[];
  /** Chunks of a block; the last may have fewer. */
  readonly #each: number;
  readonly #chunk: readonly number[];

  /** @internal `blocks`: all but the last of one length. They are this list's from now on. */
  constructor(
    blocks: readonly Float64Array[],
    shape: readonly number[],
    chunk: readonly number[],
    twice: (offset: readonly number[]) => Error,
  ) {
    this.length = blocks.reduce((sum, { length }) => sum + length, 0) / FIELDS;
    this.#blocks = blocks;
    this.#each = Math.max(1, (blocks[0]?.length ?? 0) / FIELDS);
    this.grid = shape.map((n, i) => Math.ceil(n / (chunk[i] ?? 1)));
    this.#chunk = chunk;
    this.#sort();
    for (let i = 1; i < this.length; i++) {
      if (this.#field(i, 0) === this.#field(i - 1, 0)) throw twice(this.#offset(this.#field(i, 0)));
    }
  }

  /** The chunk at a place of this list, undefined outside it. Negative places count from the end. */
  at(index: number): Chunk | undefined {
    const i = index < 0 ? this.length + index : index;
    if (!(i >= 0 && i < this.length)) return undefined;
    return {
      offset: this.#offset(this.#field(i, 0)),
      address: this.#field(i, 1),
      size: this.#field(i, 2),
      filterMask: this.#field(i, 3),
    };
  }

  /** The chunk whose first element is at `offset` (elements), undefined when it is not allocated or no chunk starts there. */
  find(offset: readonly number[]): Chunk | undefined {
    if (offset.length !== this.grid.length) return undefined;
    let number = 0;
    for (const [i, at] of offset.entries()) {
      const place = at / (this.#chunk[i] ?? 1);
      if (!(Number.isInteger(place) && place >= 0 && place < (this.grid[i] ?? 0))) return undefined;
      number = number * (this.grid[i] ?? 0) + place;
    }
    const i = this.#lower(number);
    return i < this.length && this.#field(i, 0) === number ? this.at(i) : undefined;
  }

  /**
   * The allocated chunks that a box touches, in C order: `first` and `last` are places in the grid of chunks, both counted.
   * Takes time by the chunks and rows of the box, never by what is not allocated.
   */
  *within(first: readonly number[], last: readonly number[]): Generator<Chunk, void, undefined> {
    for (const index of this.#indexesWithin(first, last)) yield this.at(index) as Chunk;
  }

  /** How many {@link within} gives. Makes no objects. */
  countWithin(first: readonly number[], last: readonly number[]): number {
    if (first.every((at) => at <= 0) && last.every((at, i) => at >= (this.grid[i] ?? 0) - 1)) return this.length;
    let count = 0;
    for (const _ of this.#indexesWithin(first, last)) count++;
    return count;
  }

  *#indexesWithin(first: readonly number[], last: readonly number[]): Generator<number, void, undefined> {
    if (this.length === 0 || first.some((at, i) => at > (last[i] ?? 0))) return;
    const rank = this.grid.length;
    const numberOf = (place: readonly number[]) => place.reduce((sum, at, i) => sum * (this.grid[i] ?? 0) + at, 0);
    const rows = first.slice(0, -1).reduce((product, at, i) => product * ((last[i] ?? 0) - at + 1), 1);
    if (rows > this.length) {
      // A box with more rows than there are chunks: look at the chunks between its corners.
      const end = this.#lower(numberOf(last) + 1);
      for (let i = this.#lower(numberOf(first)); i < end; i++) {
        const places = this.#offset(this.#field(i, 0)).map((at, dim) => at / (this.#chunk[dim] ?? 1));
        if (places.every((at, dim) => at >= (first[dim] ?? 0) && at <= (last[dim] ?? 0))) yield i;
      }
      return;
    }
    const at = [...first];
    for (let dim = 0; dim >= 0; ) {
      const number = numberOf(at);
      const end = number + (last[rank - 1] ?? 0) - (first[rank - 1] ?? 0);
      for (let i = this.#lower(number); i < this.length && this.#field(i, 0) <= end; i++) yield i;
      for (dim = rank - 2; dim >= 0; dim--) {
        at[dim] = (at[dim] ?? 0) + 1;
        if ((at[dim] ?? 0) <= (last[dim] ?? 0)) break;
        at[dim] = first[dim] ?? 0;
      }
    }
  }

  *[Symbol.iterator](): Generator<Chunk, void, undefined> {
    for (let i = 0; i < this.length; i++) yield this.at(i) as Chunk;
  }

  /** Whether `test` holds for every chunk. */
  every(test: (chunk: Chunk) => unknown): boolean {
    for (const chunk of this) if (!test(chunk)) return false;
    return true;
  }

  /** How many chunks have a stage skipped (a filter mask that is not 0). Makes no objects. */
  countMasked(): number {
    let count = 0;
    for (let i = 0; i < this.length; i++) if (this.#field(i, 3) !== 0) count++;
    return count;
  }

  #field(index: number, field: number): number {
    const block = Math.floor(index / this.#each);
    return this.#blocks[block]?.[(index - block * this.#each) * FIELDS + field] ?? 0;
  }

  #offset(number: number): number[] {
    const offset = new Array<number>(this.grid.length);
    let rest = number;
    for (let i = this.grid.length - 1; i >= 0; i--) {
      const count = this.grid[i] ?? 1;
      const place = rest % count;
      offset[i] = place * (this.#chunk[i] ?? 1);
      rest = (rest - place) / count;
    }
    return offset;
  }

  /** First index whose number is at least this. */
  #lower(number: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#field(middle, 0) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** By number. Chunk indexes give them in order already, but for damaged ones. */
  #sort(): void {
    let inOrder = true;
    for (let i = 1; i < this.length && inOrder; i++) inOrder = this.#field(i, 0) >= this.#field(i - 1, 0);
    if (inOrder) return;
    // order[i]: where the chunk lies now that belongs to place i. Each cycle of moves is done in place.
    const order = Uint32Array.from({ length: this.length }, (_, i) => i);
    order.sort((a, b) => this.#field(a, 0) - this.#field(b, 0));
    for (let start = 0; start < this.length; start++) {
      const first = [0, 1, 2, 3].map((field) => this.#field(start, field));
      for (let to = start; order[to] !== to; ) {
        const from = order[to] ?? 0;
        for (let field = 0; field < FIELDS; field++) {
          this.#put(to, field, from === start ? (first[field] ?? 0) : this.#field(from, field));
        }
        order[to] = to;
        to = from;
      }
    }
  }

  #put(index: number, field: number, value: number): void {
    const block = Math.floor(index / this.#each);
    const records = this.#blocks[block];
    if (records !== undefined) records[(index - block * this.#each) * FIELDS + field] = value;
  }
}
