// What every filter must do, in every built variant: encode and decode all sizes and types, agree with the other
// variants, and answer bad input with an error and nothing else. The list of filters is `ls filters/`.

import { readFileSync, statSync } from 'node:fs';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import {
  type Codec,
  createPipeline,
  fromStoredValues,
  isH5zError,
  type Parameter,
  toClientValues,
} from '../../packages/core/dist/index.js';
import { filters } from './filters.ts';
import {
  chunkOf,
  dataset,
  ELEMENTS,
  type Element,
  type Mode,
  modesOf,
  numbersOf,
  PATTERNS,
  randomNumbers,
  SHAPES,
  sizesOf,
} from './modes.ts';
import { isRefusal, type Outcome, outcome, same } from './outcome.ts';

// Long enough for the slowest level on the slowest machine; only a hang meets it.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const CANARY = 0xa5;
const GUARD = 32;

/** `size` bytes with guards on both sides; `check` fails when a guard was touched. */
function guarded(size: number): { out: Uint8Array; intact: () => boolean } {
  const whole = new Uint8Array(size + 2 * GUARD).fill(CANARY);
  const out = whole.subarray(GUARD, GUARD + size);
  const guards = [whole.subarray(0, GUARD), whole.subarray(GUARD + size)];
  return { out, intact: () => guards.every((guard) => guard.every((byte) => byte === CANARY)) };
}

/** `encodeBound`; undefined when the module is one that cannot say. */
function boundBy(codec: Codec, size: number, cdValues: Uint32Array): number | undefined {
  try {
    return codec.encodeBound(size, cdValues);
  } catch (error) {
    if (isH5zError(error) && error.code === 'H5Z_READ_ONLY') return undefined;
    throw error;
  }
}

const product = (chunk: readonly number[]) => chunk.reduce((n, dim) => n * dim, 1);

/** What a lossy filter's number promises, and how far the decoded values are from that (filter.schema.json, `bounds`). */
function errorOf(bounds: NonNullable<Parameter['bounds']>, limit: number, values: number[], decoded: number[]) {
  const errors = values.map((value, i) => Math.abs(value - (decoded[i] ?? Number.NaN)));
  const range = values.reduce((a, b) => Math.max(a, b), -Infinity) - values.reduce((a, b) => Math.min(a, b), Infinity);
  const worst = (list: number[]) =>
    list.reduce((most, value) => (value > most || Number.isNaN(value) ? value : most), 0);
  switch (bounds) {
    case 'absolute':
      return { reached: worst(errors), allowed: limit };
    case 'range':
      return { reached: worst(errors), allowed: limit === 0 ? 0 : limit * range }; // a range may be infinite
    case 'pointwise':
      return { reached: worst(errors.map((error, i) => error - limit * Math.abs(values[i] ?? 0))), allowed: 0 };
    case 'psnr': {
      const most = worst(errors) || 1; // its square, and the range, may be beyond the largest number
      const mean = errors.reduce((sum, error) => sum + (error / most) ** 2, 0) / errors.length;
      return { reached: most * Math.sqrt(mean), allowed: range / 10 ** (limit / 20) };
    }
  }
}

interface Case {
  readonly label: string;
  readonly stored: Uint32Array;
  readonly data: Uint8Array;
  readonly encoded: Uint8Array;
}

/** Encodes what `mode` accepts of a chunk; undefined when the filter says that it is not for such data. */
function encodeCase(
  codec: Codec,
  mode: Mode,
  element: Element,
  chunk: readonly number[],
  data: Uint8Array,
): Case | undefined {
  const label = `${mode.label}, ${chunk.join(' x ')} x ${element.label}`;
  let stored = new Uint32Array(0);
  const derived = outcome(() => {
    stored = Uint32Array.from(codec.derive(mode.client, dataset(element, chunk)));
    return 0;
  }, `${label}: derive`);
  if ('code' in derived) {
    if (!isRefusal(derived.code)) throw new Error(`${label}: derive says ${derived.code}`);
    return undefined;
  }
  const encoded = outcome(() => codec.encode(data, { cdValues: stored }), `${label}: encode`);
  if ('code' in encoded) {
    if (!isRefusal(encoded.code)) throw new Error(`${label}: encode says ${encoded.code}`);
    return undefined;
  }
  return { label, stored, data, encoded: encoded.bytes };
}

for (const filter of filters) {
  const { description } = filter;
  describe(`${description.name} (${description.id})`, () => {
    const codecs = new Map<string, Codec>();
    beforeAll(async () => {
      for (const variant of filter.variants) codecs.set(variant.name, await variant.load());
    });
    const codec = (name: string): Codec => {
      const found = codecs.get(name);
      if (!found) throw new Error(`${name} is not loaded`);
      return found;
    };
    const names = filter.variants.map((variant) => variant.name);
    const encoders = names.filter((name) => name !== 'wasm-decode');
    const modes = modesOf(description);

    /**
     * The element types that a mode is tried with: all, but where a filter has hundreds of combinations they take turns, and
     * every word and number still meets every type in some combination. The defaults meet them all.
     */
    function elementsFor(mode: Mode, encoder: (typeof encoders)[number]): readonly Element[] {
      const turns = Math.ceil(modes.length / 100);
      const turn = modes.indexOf(mode) + encoders.indexOf(encoder);
      return turn === 0 ? ELEMENTS : ELEMENTS.filter((_, i) => (i + turn) % turns === 0);
    }

    test('says who it is, in every variant', () => {
      for (const [name, found] of codecs) {
        expect([found.id, found.name, found.canEncode]).toEqual([
          description.id,
          description.name,
          name !== 'wasm-decode',
        ]);
        expect(found.variant).toBe(name === 'native' ? 'native' : 'wasm');
      }
    });

    describe.each(encoders)('encoded by %s', (encoder) => {
      test.each(modes)('$label: every variant gives back what went in', (mode) => {
        let accepted = 0;
        for (const element of elementsFor(mode, encoder)) {
          for (const chunk of chunksFor(mode, element, encoder)) {
            for (const pattern of PATTERNS) {
              const data = chunkOf(pattern, product(chunk), element);
              accepted += roundTrip(mode, element, chunk, data, encoder) ? 1 : 0;
            }
          }
        }
        if (Object.keys(mode.options).length === 0) expect(accepted).toBeGreaterThan(0);
      });

      test('one MiB and a bit', () => {
        const mode = modes[0] as Mode;
        for (const element of ELEMENTS.filter(({ size }) => [1, 4, 7].includes(size))) {
          const n = Math.ceil(2 ** 20 / element.size) + 3;
          for (const pattern of PATTERNS) roundTrip(mode, element, [n], chunkOf(pattern, n, element), encoder);
        }
      });
    });

    /** Lines of all the mode's sizes; shapes with more dimensions too where the filter takes notice of them. */
    function chunksFor(mode: Mode, element: Element, encoder: string): (readonly number[])[] {
      const stored = (chunk: readonly number[]) => {
        try {
          return String(codec(encoder).derive(mode.client, dataset(element, chunk)));
        } catch {
          return 'refused';
        }
      };
      const lines = sizesOf(mode).map((n) => [n]);
      return [...lines, ...SHAPES.filter((shape) => stored(shape) !== stored([product(shape)]))];
    }

    function roundTrip(
      mode: Mode,
      element: Element,
      chunk: readonly number[],
      data: Uint8Array,
      encoder: string,
    ): boolean {
      const source = codec(encoder);
      const made = encodeCase(source, mode, element, chunk, data);
      if (made === undefined) return false;
      const { label, stored, encoded } = made;
      const fail = (what: string) => new Error(`${description.name} ${label}: ${what}`);
      const bound = source.encodeBound(data.length, stored);
      if (encoded.length > bound) throw fail(`${encoder} wrote ${encoded.length} bytes, its bound is ${bound}`);
      if (String(source.derive(stored, dataset(element, chunk))) !== String(stored)) {
        throw fail('derive changes its own stored values');
      }
      const client = description.restore ? source.restore(stored) : undefined;
      const words = fromStoredValues(description, stored, client);
      // A filter that packs its parameters may tell them in other words, as long as these mean the same.
      const meant = () => {
        const options = description.parameters.flatMap(({ name }) => (name in words ? [[name, words[name]]] : []));
        return source.derive(toClientValues(description, Object.fromEntries(options)), dataset(element, chunk));
      };
      for (const [option, value] of Object.entries(mode.options)) {
        if (words[option] === value || (description.restore && String(meant()) === String(stored))) continue;
        throw fail(`stored values read ${option} = ${words[option]}, not ${value}`);
      }
      for (const name of names) {
        // What a decode-only module says bounds the later stages of a pipeline: it is right or not said.
        const said = boundBy(codec(name), data.length, stored);
        if (said !== undefined && said !== bound)
          throw fail(`${name} bounds the encoded size by ${said}, not ${bound}`);
      }
      const exact = guarded(encoded.length);
      const tight = outcome(() => source.encodeInto(data, exact.out, { cdValues: stored }), `${label}: encodeInto`);
      if (!exact.intact()) throw fail(`${encoder} wrote past the output when encoding`);
      if (
        !('code' in tight) &&
        !description.lossy &&
        !same(codec(encoder).decode(exact.out, { cdValues: stored, size: data.length }), data)
      ) {
        throw fail(`${encoder} encodes otherwise when the output is just large enough`);
      }
      let first: Uint8Array | undefined;
      for (const name of names) {
        const decoder = codec(name);
        const size = decoder.decodedSize(encoded, stored);
        if (size !== undefined && size !== data.length) throw fail(`${name} expects ${size} bytes of ${data.length}`);
        const decoded = decoder.decode(encoded, { cdValues: stored, size: data.length });
        if (decoded.length !== data.length) throw fail(`${name} decodes ${decoded.length} bytes of ${data.length}`);
        if (!description.lossy && !same(decoded, data)) throw fail(`${name} decodes other bytes than went in`);
        first ??= decoded;
        if (!same(decoded, first)) throw fail(`${name} and ${names[0]} decode to different bytes`);
        const room = guarded(data.length);
        const written = decoder.decodeInto(encoded, room.out, { cdValues: stored });
        if (written !== data.length || !same(room.out, first)) throw fail(`${name} decodeInto differs from decode`);
        if (!room.intact()) throw fail(`${name} wrote past the output`);
      }
      for (const parameter of description.parameters) {
        const limit = words[parameter.name];
        const numbers = numbersOf(data, element);
        if (!parameter.bounds || typeof limit !== 'number' || !numbers?.every(Number.isFinite)) continue;
        const decoded = numbersOf(first as Uint8Array, element) as number[];
        const { reached, allowed } = errorOf(parameter.bounds, limit, numbers, decoded);
        if (!(reached <= allowed)) throw fail(`error ${reached} where ${parameter.name} allows ${allowed}`);
      }
      return true;
    }

    describe('bad input', () => {
      const chunks = new Map<string, Case[]>();
      beforeAll(() => {
        const encoder = encoders[0];
        if (encoder === undefined) throw new Error('no variant of this filter can encode');
        for (const mode of modes) {
          const cases = [ELEMENTS[0], ELEMENTS[3]].flatMap((element) =>
            element ? [firstCase(mode, element, encoder)] : [],
          );
          chunks.set(
            mode.label,
            cases.filter((made) => made !== undefined),
          );
        }
      });

      /** A chunk to damage, of the first shape that the filter takes. */
      function firstCase(mode: Mode, element: Element, encoder: string): Case | undefined {
        for (const chunk of [[1237], ...SHAPES]) {
          for (const pattern of ['counts', 'smooth'] as const) {
            const data = chunkOf(pattern, product(chunk), element);
            const made = encodeCase(codec(encoder), mode, element, chunk, data);
            if (made) return made;
          }
        }
        return undefined;
      }

      /**
       * Decodes in every variant into a guarded output. The two WebAssembly modules must agree on everything; native need
       * not on damaged chunks, of which codecs notice more or less by the width of the words they read (zstd does).
       */
      function everywhere(chunk: Uint8Array, cdValues: Uint32Array, size: number, label: string): Outcome {
        let any: Outcome | undefined;
        let first: { name: string; result: Outcome } | undefined;
        for (const name of names) {
          const room = guarded(size);
          const result = outcome(() => {
            const n = codec(name).decodeInto(chunk, room.out, { cdValues });
            if (n > size) throw new Error(`${label}: ${name} says ${n} of ${size} bytes`);
            return room.out.slice(0, n);
          }, `${name}: ${label}`);
          if (!room.intact()) throw new Error(`${label}: ${name} wrote past the output`);
          any ??= result;
          if (name === 'native') continue;
          first ??= { name, result };
          const agree =
            'bytes' in result && 'bytes' in first.result
              ? same(result.bytes, first.result.bytes)
              : 'code' in result && 'code' in first.result;
          if (!agree)
            throw new Error(`${label}: ${name} and ${first.name} disagree: ${show(result)} and ${show(first.result)}`);
        }
        if (!any) throw new Error('no variants');
        return any;
      }
      const show = (result: Outcome) => ('code' in result ? result.code : `${result.bytes.length} bytes`);
      const each = (mode: Mode, work: (made: Case) => void) => {
        for (const made of chunks.get(mode.label) ?? []) work(made);
      };

      test.each(modes)('$label: a truncated chunk never passes for a whole one', (mode) => {
        each(mode, ({ stored, data, encoded, label }) => {
          const lengths = new Set([
            ...Array(40).keys(),
            encoded.length - 1,
            ...Array.from({ length: 60 }, (_, i) => Math.floor((encoded.length * i) / 60)),
          ]);
          for (const length of [...lengths].filter((value) => value >= 0 && value < encoded.length)) {
            const chunk = encoded.slice(0, length);
            const result = everywhere(chunk, stored, data.length, `${label} cut to ${length}`);
            if ('bytes' in result) expect(result.bytes.length, `${label} cut to ${length}`).toBeLessThan(data.length);
            for (const name of names) {
              const pipeline = createPipeline([{ id: description.id, cdValues: stored, codec: codec(name) }]);
              const whole = outcome(() => pipeline.decode(chunk, { size: data.length }), label);
              expect('code' in whole, `${label} cut to ${length}, ${name}`).toBe(true);
            }
          }
        });
      });

      test.each(modes)('$label: flipped bits give an error or other bytes, and nothing else', (mode) => {
        each(mode, ({ stored, data, encoded, label }) => {
          const next = randomNumbers(encoded.length);
          for (let i = 0; i < 250; i++) {
            const bit = i < 128 ? i % (encoded.length * 8) : next() % (encoded.length * 8);
            const chunk = encoded.slice();
            chunk[bit >> 3] = (chunk[bit >> 3] ?? 0) ^ (1 << (bit & 7));
            everywhere(chunk, stored, data.length, `${label} bit ${bit} flipped`);
          }
        });
      });

      test.each(modes)('$label: headers that ask for the world, noise, and nothing at all', (mode) => {
        each(mode, ({ stored, data, encoded, label }) => {
          for (const length of [4, 8, 12, 16]) {
            for (const byte of [0xff, 0x7f, 0x00]) {
              const chunk = encoded.slice();
              chunk.fill(byte, 0, Math.min(length, chunk.length));
              everywhere(chunk, stored, data.length, `${label} first ${length} bytes ${byte}`);
            }
          }
          const next = randomNumbers(7);
          for (const length of [0, 1, 11, 12, 13, 100, 3000]) {
            everywhere(Uint8Array.from({ length }, next), stored, data.length, `${label} ${length} bytes of noise`);
          }
          everywhere(new Uint8Array(0), stored, 0, `${label} nothing into nothing`);
        });
      });

      test.each(modes)('$label: an output one byte short is an error', (mode) => {
        each(mode, ({ stored, data, encoded, label }) => {
          const result = everywhere(encoded, stored, data.length - 1, `${label} capacity one short`);
          expect(show(result), label).toMatch(/^H5Z_E_/);
          for (const name of names) {
            const room = guarded(data.length - 1);
            const short = outcome(() => codec(name).decodeInto(encoded, room.out, { cdValues: stored }), label);
            expect(show(short), `${label} ${name}`).toMatch(/^H5Z_E_/);
            const limited = outcome(
              () => codec(name).decode(encoded, { cdValues: stored, size: data.length - 1 }),
              label,
            );
            expect(show(limited), `${label} ${name}`).toMatch(/^H5Z_E_/);
          }
          for (const name of encoders) {
            const room = guarded(encoded.length - 1);
            outcome(() => codec(name).encodeInto(data, room.out, { cdValues: stored }), `${label} ${name}`);
            expect(room.intact(), `${label}: ${name} wrote past the output when encoding`).toBe(true);
          }
        });
      });

      test.each(modes)('$label: cd_values missing, too few, 33, extreme', (mode) => {
        each(mode, ({ stored, data, encoded, label }) => {
          const counts = [...Array(stored.length).keys()].map((count) => stored.slice(0, count));
          const long = Uint32Array.from({ length: 33 }, (_, i) => stored[i] ?? 0);
          const extremes = [...stored.keys()].flatMap((i) =>
            [0, 1, 0x7fffffff, 0x80000000, 0xffffffff].map((value) => stored.with(i, value)),
          );
          for (const cdValues of [...counts, long, ...extremes, Uint32Array.from({ length: 33 }, () => 0xffffffff)]) {
            everywhere(encoded, cdValues, data.length, `${label} cd_values ${[...cdValues]}`);
            for (const name of encoders) {
              const what = `${label} ${name} cd_values ${[...cdValues]}`;
              outcome(() => codec(name).encodeBound(data.length, cdValues), what);
              const bounded = outcome(() => codec(name).encode(data, { cdValues }), what);
              if ('bytes' in bounded) everywhere(bounded.bytes, cdValues, data.length, what);
              outcome(() => codec(name).derive(cdValues, dataset(ELEMENTS[0] as Element, [1237])).length, what);
            }
          }
        });
      });

      test('an empty chunk to encode', () => {
        for (const name of encoders) outcome(() => codec(name).encode(new Uint8Array(0), { cdValues: [] }), name);
      });
    });

    describe.runIf(description.variants.wasm)('the WebAssembly modules', () => {
      const module = (name: string) => {
        const file = filter.variants.find((variant) => variant.name === name)?.file ?? '';
        return { size: statSync(file).size, module: new WebAssembly.Module(readFileSync(file)) };
      };
      const exportsOf = (name: string) =>
        WebAssembly.Module.exports(module(name).module)
          .map((entry) => entry.name)
          .sort();
      const isEmscripten = (name: string) =>
        /^(_initialize|__trap|__indirect_function_table|_?emscripten_stack_(restore|alloc|get_current|get_free))$/.test(
          name,
        );
      const DECODER = [
        'h5z_alloc',
        'h5z_decode',
        'h5z_decoded_size',
        'h5z_encode_bound',
        'h5z_explain',
        'h5z_info',
        'h5z_reset',
        'h5z_restore',
        'memory',
      ];
      const ENCODER = ['h5z_derive', 'h5z_encode'];
      const ours = (names: string[]) => names.filter((name) => !isEmscripten(name));

      test.each(['wasm', 'wasm-decode'])('%s imports nothing', (name) => {
        expect(WebAssembly.Module.imports(module(name).module)).toEqual([]);
      });

      test('the full module exports the ABI, the decode-only one no encoder', () => {
        expect(ours(exportsOf('wasm'))).toEqual([...DECODER, ...ENCODER].sort());
        expect(ours(exportsOf('wasm-decode'))).toEqual(DECODER);
      });

      test('the decode-only module is the smaller one', () => {
        expect(module('wasm-decode').size).toBeLessThan(module('wasm').size);
      });
    });
  });
}
