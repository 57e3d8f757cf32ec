// The golden chunks of every filter through every built variant: what others encoded decodes to its digest, what is
// damaged is refused with its code, and nothing is ever written past the room that was given.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Codec, isH5zError, loadWasm } from '../../packages/core/dist/index.js';
import { currentPlatform } from '../../packages/core/dist/node.js';
import { loadNative } from '../../packages/native/dist/index.js';
import { type FilterFolder, filtersUnderTest } from '../support/packed.ts';

interface Chunk {
  readonly name: string;
  readonly file: string;
  readonly cdValues: number[];
  /** Decoded bytes; of a bad chunk, the room it is given. */
  readonly size: number;
}

interface Good extends Chunk {
  readonly elementSize: number;
  /** Of the decoded values; absent when decoders may differ, and then `near` is there. */
  readonly sha256?: string;
  /** The original values of a lossy chunk, and the farthest that a decoded one may lie from its own. */
  readonly near?: { readonly file: string; readonly type: NumberType; readonly maxError: number };
  /** Its cd_values are too few or too old to encode with. */
  readonly readOnly?: boolean;
  readonly tool: string;
  readonly version: string;
  readonly command: string;
  readonly note?: string;
}

interface Bad extends Chunk {
  readonly error: string;
}

interface Index {
  readonly id: number;
  readonly cases: Good[];
  readonly bad: Bad[];
}

interface Variant {
  readonly name: string;
  load(): Codec | Promise<Codec>;
}

const CANARY = 0x5a;

/** Every built form of a filter that has one; a declared one that was not built fails its tests. */
function variantsOf({ name, folder, description }: FilterFolder): Variant[] {
  const platform = currentPlatform();
  const suffix = { win32: 'dll', darwin: 'dylib' }[platform.split('-')[0] ?? ''] ?? 'so';
  const library = join(folder, 'prebuilds', platform, `libh5z_${name}.${suffix}`);
  const wasm = (file: string) => () => loadWasm(readFileSync(join(folder, 'wasm', file)), { id: description.id });
  return [
    ...(description.variants.native ? [{ name: 'native', load: () => loadNative(library) }] : []),
    ...(description.variants.wasm
      ? [
          { name: 'wasm', load: wasm(`${name}.wasm`) },
          { name: 'wasm, decode only', load: wasm(`${name}.decode.wasm`) },
        ]
      : []),
  ];
}

/** The code of the error that `work` throws; undefined when it throws none, and whatever is no H5zError goes on. */
function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (!isH5zError(error)) throw error;
    expect(error.message.length).toBeGreaterThan(20);
    return error.code;
  }
}

/** Readers of numbers by their numpy names. */
const NUMBERS = {
  f4: [4, (view: DataView, at: number, little: boolean) => view.getFloat32(at, little)],
  f8: [8, (view: DataView, at: number, little: boolean) => view.getFloat64(at, little)],
  i1: [1, (view: DataView, at: number) => view.getInt8(at)],
  i2: [2, (view: DataView, at: number, little: boolean) => view.getInt16(at, little)],
  i4: [4, (view: DataView, at: number, little: boolean) => view.getInt32(at, little)],
  i8: [8, (view: DataView, at: number, little: boolean) => Number(view.getBigInt64(at, little))],
  u1: [1, (view: DataView, at: number) => view.getUint8(at)],
  u2: [2, (view: DataView, at: number, little: boolean) => view.getUint16(at, little)],
  u4: [4, (view: DataView, at: number, little: boolean) => view.getUint32(at, little)],
  u8: [8, (view: DataView, at: number, little: boolean) => Number(view.getBigUint64(at, little))],
} as const;

/** `>` before the name: big-endian. */
type NumberType = keyof typeof NUMBERS | `>${keyof typeof NUMBERS}`;

/** The largest difference between numbers of two chunks; NaN agrees with NaN only. */
function farthest(a: Uint8Array, b: Uint8Array, type: NumberType): number {
  const [size, read] = NUMBERS[type.replace('>', '') as keyof typeof NUMBERS];
  const little = !type.startsWith('>');
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  const [left, right] = [a, b].map((bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
  let most = 0;
  for (let at = 0; at + size <= a.length; at += size) {
    const [x, y] = [read(left as DataView, at, little), read(right as DataView, at, little)];
    const apart = Object.is(x, y) || x === y ? 0 : Math.abs(x - y);
    most = Number.isNaN(apart) ? Number.POSITIVE_INFINITY : Math.max(most, apart);
  }
  return most;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Positions to spoil: all of a short chunk, about 200 of a long one. */
function positions(length: number): number[] {
  const step = Math.ceil(length / 200) || 1;
  return Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step);
}

describe.each(filtersUnderTest())('golden chunks of $name', (filter) => {
  const folder = join(filter.folder, 'golden');
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Index;
  const read = (chunk: Chunk): Uint8Array => new Uint8Array(readFileSync(join(folder, chunk.file)));

  test('every chunk says who made it, and none is ours', () => {
    expect(index.id).toBe(filter.description.id);
    expect(index.cases.length).toBeGreaterThan(0);
    expect(index.bad.length).toBeGreaterThan(0);
    for (const good of index.cases) {
      expect([good.tool, good.version, good.command], good.name).not.toContain('');
      expect(good.tool, good.name).not.toContain('h5z');
    }
    for (const chunk of [...index.cases, ...index.bad])
      expect(existsSync(join(folder, chunk.file)), chunk.file).toBe(true);
    for (const good of index.cases) {
      expect(good.sha256 ?? good.near, `${good.name} says what it decodes to`).toBeDefined();
      if (filter.description.lossy && good.near === undefined && good.note === undefined)
        expect.fail(`${good.name}: of a lossy chunk say how near the original it must be, or note why not`);
    }
  });

  describe.each(variantsOf(filter))('$name', (variant) => {
    let codec: Codec;
    beforeAll(async () => {
      codec = await variant.load();
    });

    /** Decodes into `room` bytes between canaries and looks after these. */
    function decodeInto(bytes: Uint8Array, cdValues: readonly number[], room: number, before = CANARY): Uint8Array {
      const arena = new Uint8Array(room + 64).fill(CANARY);
      if (before !== CANARY) arena.fill(before, 32, 32 + room);
      try {
        const n = codec.decodeInto(bytes, arena.subarray(32, 32 + room), { cdValues });
        return arena.slice(32, 32 + n);
      } finally {
        const around = [...arena.subarray(0, 32), ...arena.subarray(32 + room)];
        expect(around.every((byte) => byte === CANARY)).toBe(true);
      }
    }

    test.each(index.cases)('decodes $name', (good) => {
      const bytes = read(good);
      const { cdValues, size } = good;
      const decoded = codec.decode(bytes, { cdValues, size });
      expect(sha256(decoded)).toBe(good.sha256 ?? sha256(decoded));
      if (good.near !== undefined) {
        const original = new Uint8Array(readFileSync(join(folder, good.near.file)));
        expect(farthest(decoded, original, good.near.type)).toBeLessThanOrEqual(good.near.maxError);
      }
      expect(sha256(decodeInto(bytes, cdValues, size + 7))).toBe(sha256(decoded));
      expect(sha256(codec.decode(bytes, { cdValues }))).toBe(sha256(decoded));
      expect([size, undefined]).toContain(codec.decodedSize(bytes, cdValues));
      if (size > 0) expect(codeOf(() => decodeInto(bytes, cdValues, size - 1))).toBe('H5Z_E_OUTPUT');
    });

    test.each(index.bad)('refuses $name', ({ cdValues, size, error, ...chunk }) => {
      const bytes = read({ cdValues, size, ...chunk });
      expect(codeOf(() => decodeInto(bytes, cdValues, size))).toBe(error);
      expect(codeOf(() => codec.decode(bytes, { cdValues, size }))).toBe(error);
    });

    test('a cut chunk never passes for a whole one', () => {
      for (const good of index.cases) {
        const bytes = read(good);
        for (const length of positions(bytes.length)) {
          let decoded: Uint8Array | undefined;
          const code = codeOf(() => {
            decoded = decodeInto(bytes.subarray(0, length), good.cdValues, good.size);
          });
          // What was cut may have held no data (a skippable frame); else it is an error or shows in the length.
          if (decoded?.length === good.size)
            expect(sha256(decoded), `${good.name} cut to ${length}`).toBe(good.sha256 ?? 'an error');
          else expect(decoded === undefined ? code : 'short').toMatch(/^(H5Z_E_(CORRUPT|OUTPUT|UNSUPPORTED)|short)$/);
        }
      }
    });

    test('damaged bytes and odd cd_values give bytes or an error with a code, within the room and never of it', () => {
      for (const good of index.cases) {
        const bytes = read(good);
        for (const at of positions(bytes.length)) {
          const spoilt = bytes.slice();
          spoilt[at] = (spoilt[at] ?? 0) ^ (1 << (at % 8));
          codeOf(() => {
            const decoded = decodeInto(spoilt, good.cdValues, good.size);
            // What lay in the room may be another's: none of it may pass for decoded.
            const again = decodeInto(spoilt, good.cdValues, good.size, ~CANARY & 255);
            expect(Buffer.compare(decoded, again), `${good.name} with byte ${at} spoilt`).toBe(0);
          });
        }
        for (const n of [0, 1, 2, 33]) {
          const odd = Array.from({ length: n }, (_, i) => good.cdValues[i] ?? 0xdeadbeef + i);
          expect([undefined, 'H5Z_E_PARAM', 'H5Z_E_CORRUPT', 'H5Z_E_VERSION']).toContain(
            codeOf(() => decodeInto(bytes, odd, good.size)),
          );
        }
      }
    });

    test('what it encodes, it decodes', () => {
      for (const good of index.cases.filter(({ size }) => size > 0)) {
        const { cdValues, size } = good;
        const data = codec.decode(read(good), { cdValues, size });
        if (!codec.canEncode) {
          expect(codeOf(() => codec.encode(data, { cdValues }))).toBe('H5Z_READ_ONLY');
          continue;
        }
        if (good.readOnly) {
          expect(codeOf(() => codec.encode(data, { cdValues }))).toBe('H5Z_E_PARAM');
          continue;
        }
        // What would not become smaller, a filter may leave to HDF5 to store as it is.
        if (read(good).length >= size && codeOf(() => codec.encode(data, { cdValues })) === 'H5Z_E_NOT_APPLICABLE')
          continue;
        const packed = codec.encode(data, { cdValues });
        expect(packed.length).toBeLessThanOrEqual(codec.encodeBound(size, cdValues));
        const back = codec.decode(packed, { cdValues, size });
        if (!filter.description.lossy) expect(sha256(back), good.name).toBe(sha256(data));
        const canary = new Uint8Array(packed.length + 32).fill(CANARY);
        codeOf(() => codec.encodeInto(data, canary.subarray(0, packed.length - 1), { cdValues }));
        expect(canary.subarray(packed.length - 1).every((byte) => byte === CANARY)).toBe(true);
      }
    });
  });
});
