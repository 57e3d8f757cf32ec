// An n-dimensional dataset in the slowest and plainest way, for tests of what reads and writes chunks.

import fc from 'fast-check';
import type { Layout } from '../../dist/index.js';

export interface Case {
  /** Shape of the whole dataset. */
  readonly dataset: readonly number[];
  readonly layout: Required<Layout>;
  /** Every chunk's offset, in a random order. */
  readonly offsets: readonly (readonly number[])[];
}

/** Datasets of few elements and any rank, with a slice of each that may lie anywhere. */
export const cases: fc.Arbitrary<Case> = fc
  .array(fc.record({ size: fc.integer({ min: 1, max: 7 }), chunk: fc.integer({ min: 1, max: 5 }) }), { maxLength: 4 })
  .chain((dims) =>
    fc
      .record({
        starts: fc.tuple(...dims.map(({ size }) => fc.nat({ max: size - 1 }))),
        ends: fc.tuple(...dims.map(({ size }) => fc.nat({ max: size }))),
        itemSize: fc.constantFrom(1, 2, 3, 8),
        whole: fc.boolean(),
      })
      .chain(({ starts, ends, itemSize, whole }) => {
        const dataset = dims.map(({ size }) => size);
        const chunk = dims.map((dim) => dim.chunk);
        const origin = whole ? dims.map(() => 0) : starts;
        const shape = whole ? dataset : starts.map((start, i) => Math.max(0, (ends[i] ?? 0) - start));
        const offsets = boxes(dims.map(({ size, chunk: step }) => Math.ceil(size / step))).map((at) =>
          at.map((n, i) => n * (chunk[i] ?? 1)),
        );
        return fc
          .shuffledSubarray(offsets, { minLength: offsets.length })
          .map((shuffled) => ({ dataset, layout: { shape, chunk, itemSize, origin }, offsets: shuffled }));
      }),
  );

/** Every index of an array of this shape, last dimension fastest. */
export function boxes(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, n) => all.flatMap((at) => Array.from({ length: n }, (_, i) => [...at, i])),
    [[]],
  );
}

/** The bytes of the element at `at`: they tell it from every other. */
export function element(at: readonly number[], itemSize: number): number[] {
  const id = at.reduce((sum, n) => sum * 11 + n + 1, 1);
  return Array.from({ length: itemSize }, (_, i) => (id >> (8 * (i % 3))) & 0xff);
}

/** An output of `length` bytes with other people's bytes around it, which `untouched` tells of. */
export function guarded(length: number, shared: boolean): { into: Uint8Array; untouched(): boolean } {
  const room = shared ? new SharedArrayBuffer(length + 8) : new ArrayBuffer(length + 8);
  const all = new Uint8Array(room).fill(0xee);
  const around = [all.subarray(0, 3), all.subarray(3 + length)];
  return {
    into: all.subarray(3, 3 + length),
    untouched: () => around.every((part) => part.every((byte) => byte === 0xee)),
  };
}

/** A chunk in full; what sticks out of the dataset is padding. */
export function chunkAt(offset: readonly number[], { layout, dataset }: Case): Uint8Array {
  return Uint8Array.from(
    boxes(layout.chunk).flatMap((within) => {
      const at = within.map((n, i) => n + (offset[i] ?? 0));
      const inside = at.every((n, i) => n < (dataset[i] ?? 0));
      return inside ? element(at, layout.itemSize) : new Array<number>(layout.itemSize).fill(0xdd);
    }),
  );
}

/** What the slice holds. */
export function expected({ layout }: Case): Uint8Array {
  return Uint8Array.from(
    boxes(layout.shape).flatMap((within) =>
      element(
        within.map((n, i) => n + (layout.origin[i] ?? 0)),
        layout.itemSize,
      ),
    ),
  );
}
