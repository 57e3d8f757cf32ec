// The WGSL kernels on SwiftShader, in Chromium and in Node: the golden chunks of other software, the same chunks damaged, tables
// of chunks that lie, whole pipelines with filter masks, and encoding. What they answer is held to the filters' own code: the
// same bytes, or the same error, and nothing written outside of a chunk's room.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import {
  type Codec,
  createPipeline,
  FILTER_ERRORS,
  type FilterDescription,
  isH5zError,
  loadWasm,
} from '../../core/dist/index.js';
import { damagedCopies, numbers } from '../../farm/src/damage.ts';
import { wholeWgsl } from '../../farm/src/wgsl.ts';
import { kernelNeeds } from '../dist/index.js';
import { ABSENT, runOn } from './hosts.ts';
import type { SuiteAnswer, SuiteChunk, SuiteJob, SuiteLaunch, SuiteResult, SuiteStage } from './suite.ts';

interface Case {
  readonly name: string;
  readonly file: string;
  readonly cdValues: readonly number[];
  readonly size: number;
  readonly sha256: string;
}
interface Filter {
  readonly name: string;
  readonly id: number;
  readonly description: FilterDescription;
  readonly cases: readonly Case[];
  readonly bad: readonly (Case & { readonly error: keyof typeof FILTER_ERRORS })[];
  readonly kernels: string;
  readonly codec: Codec;
}

const FILTERS = fileURLToPath(new URL('../../../filters/', import.meta.url));
const json = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T;
const names = readdirSync(FILTERS).filter((name) => existsSync(join(FILTERS, name, 'src/gpu.wgsl')));

async function load(name: string): Promise<Filter> {
  const folder = join(FILTERS, name);
  const description = json<FilterDescription>(join(folder, 'filter.json'));
  const { id } = description;
  const golden = json<Pick<Filter, 'cases' | 'bad'>>(join(folder, 'golden/index.json'));
  const codec = await loadWasm(readFileSync(join(folder, 'wasm', `${name}.wasm`)), { id });
  const kernels = wholeWgsl(join(folder, 'src/gpu.wgsl'));
  return { name, id, description, ...golden, kernels, codec };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const read = ({ name }: Filter, { file }: Case): Buffer => readFileSync(join(FILTERS, name, 'golden', file));
const { H5Z_E_PARAM, H5Z_E_CORRUPT, H5Z_E_OUTPUT, H5Z_E_UNSUPPORTED } = FILTER_ERRORS;

/** What the filter's own code makes of a chunk. */
function byCodec({ codec }: Filter, bytes: Uint8Array, cdValues: readonly number[], room: number): SuiteAnswer {
  const out = Buffer.alloc(room);
  try {
    const size = codec.decodeInto(bytes, out, { cdValues });
    // A pipeline's chunk that is smaller than its dataset says is corrupt.
    if (size !== room) return { status: H5Z_E_CORRUPT.value, size: 0, sha256: sha256(Buffer.alloc(0)) };
    return { status: 0, size, sha256: sha256(out) };
  } catch (error) {
    if (!isH5zError(error)) throw error;
    const status = FILTER_ERRORS[error.code as keyof typeof FILTER_ERRORS].value;
    return { status, size: 0, sha256: sha256(Buffer.alloc(0)) };
  }
}

/** A launch and what is to come of each of its chunks; undefined: a sound chunk that is left to the CPU. */
interface Trial {
  readonly what: string;
  readonly launch: SuiteLaunch;
  readonly expected: readonly (SuiteAnswer | undefined)[];
}

const stageOf = ({ id, name, description }: Filter, cdValues: readonly number[]): SuiteStage => ({
  id,
  name,
  cdValues,
  scratch: kernelNeeds(description, cdValues).scratch,
});
const chunkOf = (bytes: Uint8Array, room: number, more: Partial<SuiteChunk> = {}): SuiteChunk => ({
  data: Buffer.from(bytes).toString('base64'),
  room,
  ...more,
});
const failed = (status: number): SuiteAnswer => ({ status, size: 0, sha256: sha256(Buffer.alloc(0)) });

/** All golden chunks, sound and bad, in a launch for each set of cd_values. */
function goldenTrials(filter: Filter, shape: SuiteLaunch['shape']): Trial[] {
  const groups = new Map<string, (Case & { readonly error?: keyof typeof FILTER_ERRORS })[]>();
  for (const one of [...filter.cases, ...filter.bad])
    groups.set(one.cdValues.join(), [...(groups.get(one.cdValues.join()) ?? []), one]);
  return [...groups.values()].map((cases) => ({
    what: `${filter.name} [${cases[0]?.cdValues}] ${cases.map(({ name }) => name)}`,
    launch: {
      direction: 'decode',
      shape,
      stages: [stageOf(filter, cases[0]?.cdValues ?? [])],
      chunks: cases.map((one) => chunkOf(read(filter, one), one.size)),
    },
    expected: cases.map(({ size, sha256: digest, error }) =>
      error === undefined ? { status: 0, size, sha256: digest } : failed(FILTER_ERRORS[error].value),
    ),
  }));
}

/** Damaged copies of the small golden chunks, with sound ones between them. */
function damagedTrials(filter: Filter, most: number): Trial[] {
  const random = numbers(filter.id + 1);
  const small = filter.cases.filter(({ size }) => size > 0 && size <= 20_000);
  const some = small.filter((_, index) => index % Math.ceil(small.length / most) === 0);
  return some.map((one) => {
    const bytes = read(filter, one);
    const chunks = damagedCopies(bytes, 6, random).flatMap((copy) => [copy, bytes]);
    return {
      what: `${filter.name} ${one.name}, damaged`,
      launch: {
        direction: 'decode',
        shape: {},
        stages: [stageOf(filter, one.cdValues)],
        chunks: chunks.map((data) => chunkOf(data, one.size)),
      },
      expected: chunks.map((data) => byCodec(filter, data, one.cdValues, one.size)),
    };
  });
}

/** Chunks that lie outside of the buffers, a room that is too small, and stages that were skipped. */
function tableTrials(filter: Filter): Trial[] {
  const one = filter.cases.find((candidate) => candidate.size >= 64 && read(filter, candidate).length <= 4096);
  if (one === undefined) throw new Error('no small golden chunk');
  const bytes = read(filter, one);
  const sound = chunkOf(bytes, one.size);
  const good = { status: 0, size: one.size, sha256: one.sha256 };
  const skipped = chunkOf(bytes, bytes.length, { filterMask: 1 });
  const copied = { status: 0, size: bytes.length, sha256: sha256(bytes) };
  const pairs: [SuiteChunk, SuiteAnswer][] = [
    [sound, good],
    ...[1, 2, 3].flatMap((fault): [SuiteChunk, SuiteAnswer][] => [
      [{ ...sound, fault }, failed(H5Z_E_PARAM.value)],
      [sound, good],
    ]),
    [{ ...sound, room: one.size - 1 }, failed(H5Z_E_OUTPUT.value)],
    [skipped, copied],
    [{ ...skipped, room: bytes.length - 1 }, failed(H5Z_E_OUTPUT.value)],
    [{ ...skipped, room: bytes.length + 1 }, failed(H5Z_E_CORRUPT.value)],
    [sound, good],
  ];
  const launch = (some: [SuiteChunk, SuiteAnswer][], what: string): Trial => ({
    what: `${filter.name} ${one.name}, ${what}`,
    launch: {
      direction: 'decode',
      shape: { parts: 3 },
      stages: [stageOf(filter, one.cdValues)],
      chunks: some.map(([chunk]) => chunk),
    },
    expected: some.map(([, answer]) => answer),
  });
  return [launch(pairs, 'tables'), launch(pairs.slice(8, 11), 'no stage at all')];
}

const PIPELINES: readonly (readonly (readonly [name: string, cdValues: readonly number[]])[])[] = [
  [
    ['bitshuffle', [0, 4, 2, 0, 2]],
    ['fletcher32', []],
  ],
  [
    ['shuffle', [2]],
    ['lz4', [1024]],
  ],
  [
    ['shuffle', [2]],
    ['bitshuffle', [0, 4, 1, 0, 2]],
    ['fletcher32', []],
  ],
  [
    ['bitshuffle', [0, 4, 2]],
    ['lz4', []],
    ['lz4', [512]],
  ],
  [
    ['fletcher32', []],
    ['bitshuffle', [0, 4, 2, 0, 2]],
  ],
];

/** Pipelines of two and three stages, made by the codecs, with every filter mask that makes a difference. */
function pipelineTrials(filters: ReadonlyMap<string, Filter>): Trial[] {
  const random = numbers(77);
  const data = Buffer.from(Uint16Array.from({ length: 3000 }, (_, i) => (i % 50 < 40 ? i >> 6 : random(3000))).buffer);
  const of = (name: string, cdValues: readonly number[]): { filter: Filter; cdValues: readonly number[] } => ({
    filter: filters.get(name) as Filter,
    cdValues,
  });
  const pipelines = PIPELINES.map((stages) => stages.map(([name, cdValues]) => of(name, cdValues)));
  return pipelines.map((stages) => {
    const all = Array.from({ length: 1 << stages.length }, (_, mask) => {
      const used = stages.filter((_, index) => ((mask >> index) & 1) === 0);
      const loaded = used.map(({ filter, cdValues }) => ({ id: filter.id, cdValues, codec: filter.codec }));
      return { mask, bytes: createPipeline(loaded).encode(data).data };
    });
    const cut = all.map(({ mask, bytes }) => ({ mask, bytes: bytes.subarray(0, bytes.length - 1) }));
    const chunks = all.flatMap((one, i) => [one, cut[i] ?? one]);
    return {
      what: stages.map(({ filter }) => filter.name).join(' + '),
      launch: {
        direction: 'decode',
        shape: {},
        stages: stages.map(({ filter, cdValues }) => stageOf(filter, cdValues)),
        chunks: chunks.map(({ mask, bytes }) => chunkOf(bytes, data.length, { filterMask: mask })),
      },
      expected: chunks.map((_, i) =>
        i % 2 === 0 ? { status: 0, size: data.length, sha256: sha256(data) } : failed(H5Z_E_CORRUPT.value),
      ),
    };
  });
}

function check(result: SuiteResult, trials: readonly Trial[], filters: ReadonlyMap<string, Filter>): void {
  expect(result.software).toBe(true);
  expect(result.strayed.map((launch) => trials[launch]?.what)).toEqual([]);
  expect(result.refused.map((said) => said.replace(/^.*?: /, ''))).toEqual([
    'read: ...; stay inside, at multiples of 4 bytes',
    'send: ...; stay inside, at multiples of 4 bytes',
    'the pipeline was closed; prepare another one',
  ]);
  let refused = 0;
  let all = 0;
  trials.forEach(({ what, expected, launch }, index) => {
    const mayRefuse = launch.stages.some(({ name, cdValues }) => {
      const description = filters.get(name)?.description;
      return description !== undefined && kernelNeeds(description, cdValues).refusal !== undefined;
    });
    expected.forEach((answer, chunk) => {
      const found = result.answers[index]?.[chunk];
      all++;
      if (mayRefuse && found?.status === H5Z_E_UNSUPPORTED.value) refused++;
      else
        expect([found?.status, found?.size, found?.sha256], `${what}, chunk ${chunk}`).toEqual(
          Object.values(answer ?? {}),
        );
    });
  });
  expect(refused).toBeLessThan(all * 0.4);
}

/** Chunks that are encoded in one launch, and what is to come of each. */
interface Encoding {
  readonly what: string;
  readonly launch: SuiteLaunch;
  readonly originals: readonly Original[];
}
interface Original {
  readonly what: string;
  readonly data: Uint8Array;
  /** 0, or why the filter's own code does not encode it either. */
  readonly status: number;
  /** Undoes the stages on the processor. */
  readonly decode: (bytes: Uint8Array) => Uint8Array;
  readonly cdValues: readonly number[];
  /** What the filter's own code makes of it. */
  readonly stored: number;
}

/** One set of cd_values and arrays; `room` is the most bytes of a chunk of that many, by default what the codec says. */
function encoding(
  filter: Filter,
  cdValues: readonly number[],
  arrays: readonly (readonly [what: string, data: Uint8Array, room?: number])[],
  shape: SuiteLaunch['shape'],
): Encoding {
  const { codec, description } = filter;
  const refused = kernelNeeds(description, cdValues).refusal !== undefined;
  const bounds = arrays.map(([, data]) => statusOr(() => codec.encodeBound(data.length, cdValues)));
  const bound = Math.max(16, ...bounds);
  const originals = arrays.map(([what, data, room], i): Original => {
    const stored = statusOr(() => codec.encode(data, { cdValues }).length);
    const short = stored > (room ?? bounds[i] ?? 0) ? H5Z_E_OUTPUT.value : 0;
    return {
      what: `${filter.name} [${cdValues}] ${what}, ${data.length} bytes`,
      data,
      status: refused ? H5Z_E_UNSUPPORTED.value : stored < 0 ? stored : short,
      decode: (bytes) => codec.decode(bytes, { cdValues, size: data.length }),
      cdValues,
      stored,
    };
  });
  return {
    what: `${filter.name} [${cdValues}]`,
    launch: {
      direction: 'encode',
      shape,
      stages: [{ ...stageOf(filter, cdValues), bound }],
      chunks: arrays.map(([, data, room], i) => chunkOf(data, room ?? Math.max(0, bounds[i] ?? 0))),
    },
    originals,
  };
}

/** The number, or the status of the error instead. */
function statusOr(work: () => number): number {
  try {
    return work();
  } catch (error) {
    if (!isH5zError(error)) throw error;
    return FILTER_ERRORS[error.code as keyof typeof FILTER_ERRORS].value;
  }
}

/** What the golden chunks decode to, a launch for each set of cd_values. */
function goldenEncodings(filter: Filter, shape: SuiteLaunch['shape']): Encoding[] {
  const groups = new Map<string, Case[]>();
  for (const one of filter.cases) groups.set(one.cdValues.join(), [...(groups.get(one.cdValues.join()) ?? []), one]);
  return [...groups.values()].map((cases) => {
    const cdValues = cases[0]?.cdValues ?? [];
    const decoded = (one: Case) => filter.codec.decode(read(filter, one), { cdValues, size: one.size });
    return encoding(
      filter,
      cdValues,
      cases.map((one) => [one.name, decoded(one)]),
      shape,
    );
  });
}

const ENCODED_BLOCKS: Readonly<Record<string, readonly (readonly number[])[]>> = {
  lz4: [[0], [7], [1024], [4096], [65536]],
  bitshuffle: [1, 2, 3, 4, 6, 8, 12, 16]
    .map((elem) => [0, 4, elem, 0, 2])
    .concat([
      [0, 4, 2, 8, 2],
      [0, 4, 2, 8192, 2],
      [0, 4, 4, 96, 2],
      [0, 4, 4, 0, 0],
      [0, 4, 1, 24, 0],
    ]),
  fletcher32: [[]],
};

/** Counts, text, constants and noise of awkward sizes, with more room than they need, as much and one byte less. */
function arrayEncodings(filter: Filter, every: number): Encoding[] {
  const random = numbers(filter.id + 2);
  const make: Readonly<Record<string, (i: number) => number>> = {
    counts: (i) => (i % 2 === 0 ? (Math.floor(i / 1000) * 5 + random(4)) & 255 : 0),
    text: (i) => 97 + ((i * i) % 7) * (Math.floor(i / 90) % 3),
    constant: () => 42,
    noise: () => random(256),
  };
  const blocks = (ENCODED_BLOCKS[filter.name] ?? []).filter((_, index) => index % every === 0);
  return blocks.map((cdValues) => {
    const elem = filter.name === 'bitshuffle' ? (cdValues[2] ?? 1) : 1;
    const whole = (size: number): number => Math.floor(size / elem) * elem;
    const sizes = [
      ...[0, 1, 7, 8, 9, 12, 13, 33].map((n) => n * elem),
      whole(300 + random(700)),
      whole(9000 + random(9000)),
    ];
    const of = (what: string, size: number): [string, Uint8Array] => [
      what,
      Uint8Array.from({ length: size }, (_, i) => make[what]?.(i) ?? 0),
    ];
    const arrays = Object.keys(make).flatMap((what) => sizes.map((size) => of(what, size)));
    arrays.push(of('counts', whole(40_000)));
    // Nothing to find in noise: it is as long as the codec's, to the byte.
    const [, noise] = of('noise', whole(3000));
    const exact = filter.codec.encode(noise, { cdValues }).length;
    const odd = elem > 1 ? [['no multiple', new Uint8Array(4 * elem + 1), 6 * elem + 100] as const] : [];
    const rooms = [exact, exact - 1, 13, 11, 0].map((room) => [`noise, room ${room}`, noise, room] as const);
    return encoding(filter, cdValues, [...arrays, ...rooms, ...odd], {});
  });
}

/** Pipelines in the direction of encoding, with every filter mask. */
function pipelineEncodings(filters: ReadonlyMap<string, Filter>): Encoding[] {
  const random = numbers(78);
  const data = Buffer.from(Uint16Array.from({ length: 3000 }, (_, i) => (i % 50 < 40 ? i >> 6 : random(3000))).buffer);
  return PIPELINES.map((stages) => {
    const masks = Array.from({ length: 1 << stages.length }, (_, mask) => mask);
    const originals = masks.map((mask): Original => {
      const used = stages.filter((_, index) => ((mask >> index) & 1) === 0);
      const loaded = used.map(([name, cdValues]) => {
        const { id, codec } = filters.get(name) as Filter;
        return { id, cdValues, codec };
      });
      const pipeline = createPipeline(loaded);
      const { data: stored, filterMask } = pipeline.encode(data);
      const names = used.map(([name]) => name).join(' + ');
      // A stage that cannot take what the one before made is skipped by the codecs, and is an error here.
      const status = filterMask === 0 ? 0 : FILTER_ERRORS.H5Z_E_NOT_APPLICABLE.value;
      const decode = (bytes: Uint8Array) => pipeline.decode(bytes, { size: data.length });
      return { what: names, data, status, decode, cdValues: [], stored: stored.length };
    });
    return {
      what: stages.map(([name]) => name).join(' + '),
      launch: {
        direction: 'encode',
        shape: {},
        stages: stages.map(([name, cdValues]) => stageOf(filters.get(name) as Filter, cdValues)),
        chunks: masks.map((filterMask) => chunkOf(data, 2 * data.length, { filterMask })),
      },
      originals,
    };
  });
}

const bytesOf = (answer: SuiteAnswer | undefined): Buffer => Buffer.from(answer?.data ?? '', 'base64');

/** The answers of a host to launches with a name. Returns the bytes encoded here and by the codecs, of what could be made smaller. */
function checkEncoded(result: SuiteResult, encodings: readonly Encoding[]): [here: number, there: number] {
  expect(result.strayed.map((launch) => encodings[launch]?.what)).toEqual([]);
  const sums: [number, number] = [0, 0];
  encodings.forEach(({ originals }, index) => {
    originals.forEach(({ what, data, status, decode, stored }, chunk) => {
      const answer = result.answers[index]?.[chunk];
      expect(answer?.status, what).toBe(status);
      if (status !== 0) return;
      const bytes = bytesOf(answer);
      expect(sha256(decode(bytes)), what).toBe(sha256(data));
      if (stored >= data.length || data.length < 4096) return;
      sums[0] += bytes.length;
      sums[1] += stored;
    });
  });
  return sums;
}

const SUITE = "export { runSuite as main } from './suite.ts';";

/** All that a host has to do, by name: one program does it, so that every kernel is compiled once. */
interface Work {
  readonly trials: ReadonlyMap<string, readonly Trial[]>;
  readonly encodings: ReadonlyMap<string, readonly Encoding[]>;
}
type Host = 'chromium' | 'dawn';

function workOf(host: Host, filters: ReadonlyMap<string, Filter>): Work {
  const trials = new Map<string, Trial[]>();
  const encodings = new Map<string, Encoding[]>();
  // Shapes make no other code in a page.
  const shapes = host === 'dawn' ? [{ lanes: 1, parts: 3 }, { lanes: 8, parts: 2 }, {}] : [{}];
  for (const filter of filters.values()) {
    const { name } = filter;
    trials.set(
      `${name} golden`,
      shapes.flatMap((shape) => goldenTrials(filter, shape)),
    );
    trials.set(`${name} damaged`, [...damagedTrials(filter, host === 'dawn' ? 25 : 5), ...tableTrials(filter)]);
    if (!filter.kernels.includes(`h5z_${name}_encode`)) continue;
    const shaped = host === 'dawn' ? [{ lanes: 8, parts: 2 }, {}] : [{}];
    encodings.set(
      `${name} golden`,
      shaped.flatMap((shape) => goldenEncodings(filter, shape)),
    );
    encodings.set(`${name} arrays`, arrayEncodings(filter, host === 'dawn' ? 1 : 4));
  }
  trials.set('pipelines', pipelineTrials(filters));
  encodings.set('pipelines', pipelineEncodings(filters));
  return { trials, encodings };
}

/** Runs all of it; the answers by the names of `trials` and `encodings`. */
async function run(
  host: Host,
  filters: Iterable<Filter>,
  { trials, encodings }: Work,
): Promise<{ trials: Map<string, SuiteResult>; encodings: Map<string, SuiteResult> }> {
  const kernels = Object.fromEntries([...filters].map(({ name, kernels: text }) => [name, text]));
  const launches = [...trials.values(), ...encodings.values()].flatMap((some) => some.map(({ launch }) => launch));
  const result = await runOn<SuiteResult>(host, SUITE, { kernels, launches } satisfies SuiteJob);
  let at = 0;
  const partsOf = (groups: ReadonlyMap<string, readonly unknown[]>) =>
    new Map(
      [...groups].map(([name, { length }]) => {
        const first = at;
        at += length;
        const strayed = result.strayed.map((launch) => launch - first).filter((n) => n >= 0 && n < length);
        return [name, { ...result, strayed, answers: result.answers.slice(first, first + length) }];
      }),
    );
  return { trials: partsOf(trials), encodings: partsOf(encodings) };
}

const filters = new Map<string, Filter>();
const works = new Map<Host, Work>();
const results = new Map<Host, ReturnType<typeof run>>();
// Both at the same time, and nobody waits longer than for the slower one.
beforeAll(async () => {
  for (const name of names) filters.set(name, await load(name));
  for (const host of ['dawn', 'chromium'] as const) {
    if (ABSENT[host] !== undefined) continue;
    const work = workOf(host, filters);
    const result = run(host, filters.values(), work);
    result.catch(() => undefined); // thrown where it is waited for
    works.set(host, work);
    results.set(host, result);
  }
});

async function trialsOf(host: Host, name: string): Promise<[SuiteResult, readonly Trial[]]> {
  const found = (await results.get(host))?.trials.get(name);
  return [found as SuiteResult, works.get(host)?.trials.get(name) ?? []];
}

async function encodingsOf(host: Host, name: string): Promise<[SuiteResult, readonly Encoding[]]> {
  const found = (await results.get(host))?.encodings.get(name);
  return [found as SuiteResult, works.get(host)?.encodings.get(name) ?? []];
}

test('the filters with kernels in WGSL are those whose filter.json says so', () => {
  const said = readdirSync(FILTERS).filter((name) => {
    const { variants } = json<{ variants: { webgpu?: { mode: string } } }>(join(FILTERS, name, 'filter.json'));
    return (variants.webgpu?.mode ?? 'none') !== 'none';
  });
  expect(names.length).toBeGreaterThan(3);
  expect(said).toEqual(names);
});

describe.each(['dawn', 'chromium'] as const)('kernels in WGSL, %s', (host) => {
  if (ABSENT[host] !== undefined) {
    test.skip(`skipped: ${ABSENT[host]}`, () => {});
    return;
  }

  beforeAll(async () => {
    await results.get(host);
  });

  test.each(names)('%s: golden chunks, sound and bad, in launches of any shape', async (name) => {
    const [result, trials] = await trialsOf(host, `${name} golden`);
    expect(trials.length).toBeGreaterThan(0);
    check(result, trials, filters);
  });

  test.each(names)('%s: damaged chunks have their own errors, and those between them are right', async (name) => {
    const [result, trials] = await trialsOf(host, `${name} damaged`);
    check(result, trials, filters);
    const errors = trials.flatMap(({ expected }) => expected.filter((one) => one?.status === H5Z_E_CORRUPT.value));
    const bad = filters.get(name)?.bad ?? [];
    if (bad.some(({ error }) => error === 'H5Z_E_CORRUPT')) expect(errors.length).toBeGreaterThan(5);
  });

  test('pipelines of several stages with filter masks', async () => {
    const [result, trials] = await trialsOf(host, 'pipelines');
    check(result, trials, filters);
  });

  test.each(names)('%s: golden arrays encoded', async (name) => {
    const [result, encodings] = await encodingsOf(host, `${name} golden`);
    expect(encodings.flatMap(({ originals }) => originals.filter(({ status }) => status === 0)).length).toBeGreaterThan(
      3,
    );
    checkEncoded(result, encodings);
  });

  test.each(
    Object.keys(ENCODED_BLOCKS),
  )('%s: arrays of awkward sizes encoded, in all the room they need', async (name) => {
    const [result, encodings] = await encodingsOf(host, `${name} arrays`);
    const [here, there] = checkEncoded(result, encodings);
    // One lane for each position finds what LZ4's own search does, but for what it skips.
    expect(here).toBeLessThanOrEqual(there * 1.25);
    const short = encodings.flatMap(({ originals }) => originals.filter(({ status }) => status === H5Z_E_OUTPUT.value));
    expect(short.length).toBeGreaterThanOrEqual(4 * encodings.length);
  });

  test.for(['lz4', 'bitshuffle'])('%s: hdf5plugin reads what was encoded', async (name, { skip }) => {
    if (env.python === undefined) return skip(need('python'));
    const { id } = filters.get(name) as Filter;
    const sums: string[] = [];
    const chunks: unknown[] = [];
    for (const group of ['golden', 'arrays']) {
      const [result, encodings] = await encodingsOf(host, `${name} ${group}`);
      encodings.forEach(({ originals }, index) => {
        originals.forEach(({ data, status, cdValues }, chunk) => {
          if (status !== 0 || data.length === 0) return;
          const elementSize = name === 'bitshuffle' ? (cdValues[2] ?? 1) : 1;
          const client = name === 'bitshuffle' ? cdValues.slice(3, 6) : cdValues;
          const bytes = result.answers[index]?.[chunk]?.data;
          chunks.push({ id, client, elementSize, elements: data.length / elementSize, data: bytes });
          sums.push(sha256(data));
        });
      });
    }
    const folder = mkdtempSync(join(tmpdir(), 'h5z-encoded-'));
    try {
      writeFileSync(join(folder, 'job.json'), JSON.stringify(chunks));
      const script = fileURLToPath(new URL('encoded.py', import.meta.url));
      const { stdout } = await promisify(execFile)(env.python, [script, join(folder, 'job.json')], {
        maxBuffer: 1 << 24,
      });
      expect(JSON.parse(stdout)).toEqual(sums);
      expect(sums.length).toBeGreaterThan(20);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('pipelines of several stages encoded, with filter masks', async () => {
    const [result, encodings] = await encodingsOf(host, 'pipelines');
    checkEncoded(result, encodings);
  });
});
