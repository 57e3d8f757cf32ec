// The kernels of every filter that has some, compiled for this processor with AddressSanitizer and UBSan, and once more as OpenCL C:
// on the golden chunks of other software, on the same chunks damaged, and on tables of chunks that lie. What they answer is held to the filter's own
// code: the same bytes, or the same error.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Codec, FILTER_ERRORS, type FilterDescription, isH5zError, loadWasm } from '../../core/dist/index.js';
import { damagedCopies, numbers } from '../../farm/src/damage.ts';
import { kernelNeeds } from '../../gpu/dist/index.js';
import { type Engine, type KernelAnswer, kernels, type Launch, NO_ENGINE } from './gpu.ts';

interface Chunk {
  readonly name: string;
  readonly file: string;
  readonly cdValues: number[];
  readonly size: number;
}
interface Golden {
  readonly id: number;
  readonly cases: readonly (Chunk & { readonly sha256: string })[];
  readonly bad: readonly (Chunk & { readonly error: keyof typeof FILTER_ERRORS })[];
}

const FILTERS = fileURLToPath(new URL('../../../filters/', import.meta.url));
const json = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;
const withKernels = readdirSync(FILTERS)
  .filter((name) => existsSync(join(FILTERS, name, 'src/gpu.c')))
  .map((name) => ({ name, folder: join(FILTERS, name) }));

const { H5Z_E_CORRUPT, H5Z_E_PARAM, H5Z_E_OUTPUT, H5Z_E_VERSION, H5Z_E_UNSUPPORTED, H5Z_E_MEMORY } = Object.fromEntries(
  Object.entries(FILTER_ERRORS).map(([code, { value }]) => [code, value]),
) as Record<keyof typeof FILTER_ERRORS, number>;

/** Parts of a chunk and lanes of a group; the seed is the order in which lanes take their turns. */
const SHAPES = [
  { parts: 1, lanes: 1, seed: 1 },
  { parts: 2, lanes: 8, seed: 2 },
  { parts: 1, lanes: 32, seed: 3 },
  { parts: 5, lanes: 64, seed: 4 },
];

/** Bytes for encoders: noise, one byte, what repeats after a few bytes or after many, and a mixture. */
const MADE: readonly ((size: number, random: (below: number) => number) => Buffer)[] = [
  (size, random) => Buffer.from(Array.from({ length: size }, () => random(256))),
  (size) => Buffer.alloc(size, 7),
  (size, random) => {
    const period = Buffer.from(Array.from({ length: 1 + random(40) }, () => random(256)));
    return Buffer.from(Array.from({ length: size }, (_, i) => period[i % period.length] ?? 0));
  },
  (size, random) => {
    const period = Array.from({ length: 300 + random(3000) }, () => random(256));
    return Buffer.from(Array.from({ length: size }, (_, i) => period[i % period.length] ?? 0));
  },
  (size, random) => Buffer.from(Array.from({ length: size }, (_, i) => (i % 97 < 60 ? i >> 6 : random(3)) & 255)),
];

const NUMBERS: (typeof MADE)[0] = (size, random) => Buffer.from(Array.from({ length: size }, () => random(0x7f)));

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const ENGINES: readonly { engine: Engine; where: string }[] = [
  { engine: 'host', where: 'under sanitizers' },
  { engine: 'opencl', where: 'as OpenCL C' },
];
const onEngines = ENGINES.flatMap((engine) => withKernels.map((filter) => ({ ...engine, ...filter })));

describe.each(onEngines)('kernels of $name $where', ({ name, folder, engine }) => {
  const golden = json<Golden>(join(folder, 'golden/index.json'));
  const description = json<FilterDescription>(join(folder, 'filter.json'));
  const { id, lossy, variants } = description;
  const read = ({ file }: Chunk): Buffer => readFileSync(join(folder, 'golden', file));
  const encodes = /^H5Z_KERNEL void \w+_encode/m.test(readFileSync(join(folder, 'src/gpu.c'), 'utf8'));
  let decode: ReturnType<typeof kernels>;
  let encode: ReturnType<typeof kernels> | undefined;
  let codec: Codec;

  beforeAll(async () => {
    if (NO_ENGINE[engine] !== undefined) return;
    decode = kernels(folder, 'decode', engine);
    codec = await loadWasm(readFileSync(join(folder, 'wasm', `${name}.wasm`)), { id });
  });
  beforeEach(({ skip }) => {
    if (NO_ENGINE[engine] !== undefined) skip(NO_ENGINE[engine]);
  });

  /** Whether a kernel of this filter may leave a sound chunk to the CPU. */
  const mayRefuse = (status: number): boolean => status === H5Z_E_UNSUPPORTED && variants.cuda?.mode === 'partial';

  /** What the filter's own code makes of a chunk. */
  function byCodec(bytes: Uint8Array, cdValues: readonly number[], room: number): KernelAnswer {
    const out = Buffer.alloc(room);
    try {
      return { status: 0, bytes: out.subarray(0, codec.decodeInto(bytes, out, { cdValues })) };
    } catch (error) {
      if (!isH5zError(error)) throw error;
      return { status: FILTER_ERRORS[error.code as keyof typeof FILTER_ERRORS].value, bytes: Buffer.alloc(0) };
    }
  }

  test('decode the golden chunks, whatever the shape of the launch', () => {
    const groups = new Map<string, Golden['cases'][number][]>();
    for (const one of golden.cases) groups.set(one.cdValues.join(), [...(groups.get(one.cdValues.join()) ?? []), one]);
    const launches = [...groups.values()].flatMap((cases) =>
      SHAPES.map((shape) => ({ cases, shape, cdValues: cases[0]?.cdValues ?? [] })),
    );
    const answers = decode(
      launches.map(({ cases, shape, cdValues }) => ({
        ...shape,
        cdValues,
        largeBlocks: true,
        chunks: cases.map((one) => ({ bytes: read(one), room: one.size + (shape.seed % 2) * 7 })),
      })),
    );
    let left = 0;
    launches.forEach(({ cases, shape, cdValues }, launch) => {
      const refused = kernelNeeds(description, cdValues).refusal !== undefined;
      cases.forEach((one, index) => {
        const { status, bytes } = answers[launch]?.[index] as KernelAnswer;
        const what = `${one.name}, ${shape.lanes} lanes`;
        if (mayRefuse(status)) left += refused ? 0 : 1;
        else expect([status, sha256(bytes)], what).toEqual([0, one.sha256]);
      });
    });
    // Frames of several chunks, dictionaries and two filters at once, of which cd_values say nothing.
    expect(left).toBeLessThanOrEqual(golden.cases.length * SHAPES.length * 0.1);
  });

  test('refuse what the filter refuses, for the same reason', () => {
    const answers = decode(
      golden.bad.flatMap(({ cdValues, size, ...chunk }) =>
        [1, 32].map((lanes) => ({
          cdValues,
          lanes,
          seed: lanes,
          parts: 2,
          largeBlocks: true,
          chunks: [{ bytes: read({ cdValues, size, ...chunk }), room: size }],
        })),
      ),
    );
    golden.bad.forEach(({ name, error }, index) => {
      for (const [answer] of answers.slice(index * 2, index * 2 + 2))
        if (!mayRefuse(answer?.status ?? 0)) expect(answer?.status, name).toBe(FILTER_ERRORS[error].value);
    });
  });

  test('answer for each damaged chunk as the filter does, and decode the sound ones between them', () => {
    const random = numbers(id + 1);
    const launches: { launch: Launch; sound: Chunk & { sha256: string } }[] = [];
    for (const sound of golden.cases.filter(({ size }) => size <= 20_000)) {
      const bytes = read(sound);
      const damaged = damagedCopies(bytes, 6, random).map((one) => ({ bytes: one, room: sound.size }));
      const chunks = damaged.flatMap((one) => [one, { bytes, room: sound.size }]);
      const shape = SHAPES[launches.length % SHAPES.length];
      launches.push({
        sound,
        launch: { ...shape, cdValues: sound.cdValues, chunks, seed: random(1 << 20), largeBlocks: true },
      });
    }
    const answers = decode(launches.map(({ launch }) => launch));
    let errors = 0;
    launches.forEach(({ launch, sound }, index) => {
      launch.chunks.forEach(({ bytes, room }, chunk) => {
        const answer = answers[index]?.[chunk] as KernelAnswer;
        if (mayRefuse(answer.status)) return;
        const expected = byCodec(bytes, launch.cdValues, room);
        const what = `${sound.name}, chunk ${chunk}: ${Buffer.from(bytes).toString('hex').slice(0, 400)}`;
        expect([answer.status, sha256(answer.bytes)], what).toEqual([expected.status, sha256(expected.bytes)]);
        if (chunk % 2 === 1) expect(sha256(answer.bytes), what).toBe(sound.sha256);
        else if (answer.status === H5Z_E_CORRUPT) errors++;
      });
    });
    // A filter without any redundancy takes all of its own length.
    if (golden.bad.some(({ error }) => error === 'H5Z_E_CORRUPT')) expect(errors).toBeGreaterThan(10);
  });

  test('believe no table: a chunk outside the buffers has its own error, the others are decoded', () => {
    const one = golden.cases.find(({ size, file }) => size >= 64 && read({ file } as Chunk).length <= 4096);
    if (one === undefined) throw new Error('no small golden chunk');
    const [bytes, room] = [read(one), one.size];
    const whole = { bytes, room };
    const faults = [1, 2, 3, 4].flatMap((fault) => [{ ...whole, fault }, whole]);
    const skipped = { bytes, room: bytes.length, skip: true };
    const chunks = [
      whole,
      ...faults,
      { bytes, room: room - 1 },
      skipped,
      { ...skipped, room: bytes.length - 1 },
      whole,
    ];
    for (const [answer] of [decode([{ cdValues: one.cdValues, chunks, lanes: 8, parts: 3 }])]) {
      const found = answer?.map(({ status }) => status);
      const expected = [0, H5Z_E_PARAM, 0, H5Z_E_PARAM, 0, H5Z_E_PARAM, 0, H5Z_E_VERSION, 0];
      expect(found).toEqual([...expected, H5Z_E_OUTPUT, 0, H5Z_E_OUTPUT, 0]);
      expect(answer?.[chunks.length - 3]?.bytes.equals(bytes)).toBe(true);
      expect(sha256(answer?.at(-1)?.bytes ?? bytes)).toBe(one.sha256);
    }
  });

  test('blocks too large for shared memory ask for scratch', () => {
    const launches = golden.cases.map((one) => ({
      cdValues: one.cdValues,
      lanes: 8,
      chunks: [{ bytes: read(one), room: one.size }],
    }));
    decode(launches).forEach(([answer], index) => {
      const { sha256: digest, name: what } = golden.cases[index] as Golden['cases'][number];
      const { status, bytes } = answer as KernelAnswer;
      if (!mayRefuse(status) && status !== H5Z_E_MEMORY) expect([status, sha256(bytes)], what).toEqual([0, digest]);
    });
  });

  test('encode into no more room than there is, and believe no table', ({ skip }) => {
    if (!encodes) skip('decodes only');
    encode ??= kernels(folder, 'encode', engine);
    const small = golden.cases.filter(({ size }) => size > 0 && size <= 3000).slice(0, 24);
    const launches = small.map((one, index): Launch => {
      const bytes = byCodec(read(one), one.cdValues, one.size).bytes;
      const rooms = [bytes.length * 2 + 4096, 0, 3, 11, 12, bytes.length >> 1, bytes.length - 1, bytes.length + 1];
      const chunks = rooms.map((room) => ({ bytes, room }));
      const faults = [1, 2, 3, 4].map((fault) => ({ ...(chunks[0] as (typeof chunks)[0]), fault }));
      return {
        cdValues: one.cdValues,
        chunks: [...chunks, ...faults],
        ...(SHAPES[index % SHAPES.length] as (typeof SHAPES)[0]),
        largeBlocks: true,
      };
    });
    let short = 0;
    encode(launches).forEach((answers, index) => {
      const [roomy, ...others] = answers as [KernelAnswer, ...KernelAnswer[]];
      const what = small[index]?.name;
      if (roomy.status === H5Z_E_UNSUPPORTED) return;
      expect(roomy.status, what).toBe(0);
      others.slice(0, -4).forEach(({ status, bytes }) => {
        if (status === H5Z_E_OUTPUT) short++;
        else expect([status, bytes.length], what).toEqual([0, roomy.bytes.length]);
      });
      expect(others.slice(-4).map(({ status }) => status)).toEqual([
        H5Z_E_PARAM,
        H5Z_E_PARAM,
        H5Z_E_PARAM,
        H5Z_E_VERSION,
      ]);
    });
    expect(short).toBeGreaterThan(10);
  });

  test('what is encoded decodes to the same bytes, or is what the filter makes where that is lossy', ({ skip }) => {
    if (!encodes) skip('decodes only');
    encode ??= kernels(folder, 'encode', engine);
    const random = numbers(id + 2);
    const originals = golden.cases.map((one) => byCodec(read(one), one.cdValues, one.size).bytes);
    const launches = golden.cases.flatMap(({ cdValues }, index) => {
      const own = originals[index] as Buffer;
      // Bytes below 0x7f are no infinity and no NaN, whichever end they begin at.
      const made = lossy ? NUMBERS : (MADE[index % MADE.length] as (typeof MADE)[0]);
      // Every case in one shape, and something made up in the next one; long ones with few lanes, whose turns take the time.
      const shapeOf = (turn: number): (typeof SHAPES)[0] =>
        SHAPES[own.length > 20_000 ? turn : (index + turn) % SHAPES.length] as (typeof SHAPES)[0];
      return [own, made(own.length, random)].map((bytes, turn) => {
        const chunks = [{ bytes, room: bytes.length * 2 + 4096 }];
        return { ...shapeOf(turn), cdValues, largeBlocks: true, chunks };
      });
    });
    let encoded = 0;
    const bytesMade = { kernels: 0, codec: 0 };
    encode(launches).forEach(([answer], index) => {
      const { status, bytes } = answer as KernelAnswer;
      // Encoders may do less than decoders: zfp's only fixed rates.
      if (status === H5Z_E_UNSUPPORTED) return;
      const { cdValues, chunks } = launches[index] as Launch;
      const original = chunks[0]?.bytes ?? bytes;
      const again = byCodec(bytes, cdValues, original.length);
      const what = golden.cases[index >> 1]?.name;
      if (lossy) expect([status, sha256(bytes)], what).toEqual([0, sha256(codec.encode(original, { cdValues }))]);
      else expect([status, again.status, sha256(again.bytes)], what).toEqual([0, 0, sha256(original)]);
      bytesMade.kernels += bytes.length;
      bytesMade.codec += codec.encode(original, { cdValues }).length;
      encoded++;
    });
    // Made by many lanes, and so of fewer matches; more than that would be none found.
    expect(bytesMade.kernels / bytesMade.codec).toBeLessThan(1.2);
    expect(encoded).toBeGreaterThan(0);
  });
});

describe.each(ENGINES)('what runs kernels $where finds', ({ engine }) => {
  beforeEach(({ skip }) => {
    if (NO_ENGINE[engine] !== undefined) skip(NO_ENGINE[engine]);
  });

  /** Reverses chunks of up to 64 bytes by way of shared memory, with `middle` between writing and reading that. */
  function reversing(middle: string): ReturnType<typeof kernels> {
    const folder = mkdtempSync(join(tmpdir(), 'h5z-kernel-'));
    mkdirSync(join(folder, 'src'));
    const lines = [
      '#include <h5z/gpu.h>',
      'H5Z_KERNEL void h5z_mine_decode(h5z_gpu_batch b) {',
      '  H5Z_SHARED(uint8_t, bytes, 64);',
      '  h5z_gpu_part p;',
      '  if (!h5z_gpu_begin(&b, &p)) return;',
      '  for (uint64_t i = h5z_lane(); i < p.size; i += h5z_lanes()) bytes[i] = p.in[i];',
      `  ${middle}`,
      '  for (uint64_t i = h5z_lane(); i < p.size; i += h5z_lanes()) p.out[i] = bytes[p.size - 1 - i];',
      '  h5z_gpu_answer(&b, &p, p.size, 0);',
      '}',
    ];
    writeFileSync(join(folder, 'src/gpu.c'), `${lines.join('\n')}\n`);
    return kernels(folder, 'decode', engine);
  }
  const bytes = Buffer.from(Array.from({ length: 64 }, (_, index) => index));
  const launch = (size: number, lanes: number, seed: number): Launch => ({
    cdValues: [],
    lanes,
    seed,
    chunks: [{ bytes: bytes.subarray(0, size), room: size }],
  });
  const orders = [1, 2, 3, 4, 5].flatMap((seed) => [8, 64].map((lanes) => launch(64, lanes, seed)));
  const reversed = Buffer.from(bytes).reverse();

  test('nothing wrong with a kernel that waits', () => {
    for (const [answer] of reversing('h5z_sync();')(orders)) expect(answer?.bytes.equals(reversed)).toBe(true);
  });

  test('a barrier that is missing', () => {
    // Where shared memory is not filled anew, what an earlier launch left there would do.
    const run = reversing('');
    for (const order of orders) expect(run([order])[0]?.[0]?.bytes.equals(reversed)).toBe(false);
  });

  test.each([
    ['src', '((H5Z_GLOBAL uint8_t *)p.in)[0] = 1;', 'a kernel wrote to src'],
    ['the table', '((H5Z_GLOBAL h5z_gpu_chunk *)b.chunks)->room = 1;', 'a kernel wrote to the table'],
    [
      'what is beyond a room',
      'p.out[p.room] = 1;',
      engine === 'host' ? 'use-after-poison' : 'behind the last room changed',
    ],
    [
      'what is beyond scratch',
      'b.scratch[b.nscratch] = 1;',
      engine === 'host' ? 'heap-buffer-overflow' : 'a byte around',
    ],
  ])('a write to %s', (_, write, says) => {
    expect(() => reversing(`${write} h5z_sync();`)([launch(62, 8, 1)])).toThrow(says);
  });

  test('lanes that part at a barrier', ({ skip }) => {
    if (engine === 'opencl') skip('OpenCL says nothing of them');
    expect(() => reversing('if (h5z_lane() < 3) h5z_sync();')(orders)).toThrow('part at a barrier');
  });

  test('shared memory that is too small', ({ skip }) => {
    if (engine === 'opencl') skip('OpenCL says nothing of it');
    const run = reversing('if (p.size == 63) bytes[64] = 0; h5z_sync();');
    expect(run([launch(62, 4, 1)])).toHaveLength(1);
    expect(() => run([launch(63, 4, 1)])).toThrow('heap-buffer-overflow');
  });
});
