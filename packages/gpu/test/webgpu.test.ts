// The WGSL kernels on SwiftShader, in Chromium and in Node: the golden chunks of other software, the same chunks damaged, tables
// of chunks that lie, whole pipelines with filter masks, and encoding. What they answer is held to the filters' own code: the
// same bytes, or the same error, and nothing written outside of a chunk's room.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
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
  readonly partial: boolean;
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
  const { id, variants } = description;
  const golden = json<Pick<Filter, 'cases' | 'bad'>>(join(folder, 'golden/index.json'));
  const codec = await loadWasm(readFileSync(join(folder, 'wasm', `${name}.wasm`)), { id });
  const kernels = wholeWgsl(join(folder, 'src/gpu.wgsl'));
  return { name, id, description, partial: variants.webgpu?.mode === 'partial', ...golden, kernels, codec };
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

/** Pipelines of two and three stages, made by the codecs, with every filter mask that makes a difference. */
function pipelineTrials(filters: ReadonlyMap<string, Filter>): Trial[] {
  const random = numbers(77);
  const data = Buffer.from(Uint16Array.from({ length: 3000 }, (_, i) => (i % 50 < 40 ? i >> 6 : random(3000))).buffer);
  const of = (name: string, cdValues: readonly number[]): { filter: Filter; cdValues: readonly number[] } => ({
    filter: filters.get(name) as Filter,
    cdValues,
  });
  const pipelines = [
    [of('bitshuffle', [0, 4, 2, 0, 2]), of('fletcher32', [])],
    [of('shuffle', [2]), of('lz4', [1024])],
    [of('shuffle', [2]), of('bitshuffle', [0, 4, 1, 0, 2]), of('fletcher32', [])],
    [of('bitshuffle', [0, 4, 2]), of('lz4', []), of('lz4', [512])],
  ];
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
  let refused = 0;
  let all = 0;
  trials.forEach(({ what, expected, launch }, index) => {
    const mayRefuse = launch.stages.some(({ name }) => filters.get(name)?.partial === true);
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

const SUITE = "export { runSuite as main } from './suite.ts';";
const run = (host: 'chromium' | 'dawn', filters: Iterable<Filter>, trials: readonly Trial[]): Promise<SuiteResult> => {
  const kernels = Object.fromEntries([...filters].map(({ name, kernels: text }) => [name, text]));
  return runOn<SuiteResult>(host, SUITE, { kernels, launches: trials.map(({ launch }) => launch) } satisfies SuiteJob);
};

const filters = new Map<string, Filter>();
beforeAll(async () => {
  for (const name of names) filters.set(name, await load(name));
});

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

  test.each(names)('%s: golden chunks, sound and bad, in launches of any shape', async (name) => {
    const filter = filters.get(name) as Filter;
    // Shapes make no other code in a page.
    const shapes = host === 'dawn' ? [{ lanes: 1, parts: 3 }, { lanes: 8, parts: 2 }, {}] : [{}];
    const trials = shapes.flatMap((shape) => goldenTrials(filter, shape));
    check(await run(host, [filter], trials), trials, filters);
  });

  test.each(names)('%s: damaged chunks have their own errors, and those between them are right', async (name) => {
    const filter = filters.get(name) as Filter;
    const trials = [...damagedTrials(filter, host === 'dawn' ? 25 : 5), ...tableTrials(filter)];
    check(await run(host, [filter], trials), trials, filters);
    const errors = trials.flatMap(({ expected }) => expected.filter((one) => one?.status === H5Z_E_CORRUPT.value));
    if (filter.bad.some(({ error }) => error === 'H5Z_E_CORRUPT')) expect(errors.length).toBeGreaterThan(5);
  });

  test('pipelines of several stages with filter masks', async () => {
    const trials = pipelineTrials(filters);
    check(await run(host, filters.values(), trials), trials, filters);
  });

  test.for(names)('%s: what is encoded decodes to the same bytes', async (name, { skip }) => {
    const filter = filters.get(name) as Filter;
    if (!filter.kernels.includes(`h5z_${name}_encode`)) return skip('decodes only');
    const originals = filter.cases
      .filter((_, index) => host === 'dawn' || index % 8 === 0)
      .map((one) => ({
        one,
        data: filter.codec.decode(read(filter, one), { cdValues: one.cdValues, size: one.size }),
      }));
    const launches = originals.map(
      ({ one, data }): SuiteLaunch => ({
        direction: 'encode',
        shape: {},
        stages: [stageOf(filter, one.cdValues)],
        chunks: [chunkOf(data, filter.codec.encodeBound(data.length, one.cdValues))],
      }),
    );
    const { answers, strayed } = await runOn<SuiteResult>(host, SUITE, {
      kernels: { [name]: filter.kernels },
      launches,
    } satisfies SuiteJob);
    expect(strayed).toEqual([]);
    let encoded = 0;
    originals.forEach(({ one, data }, index) => {
      const answer = answers[index]?.[0];
      if (filter.partial && answer?.status === H5Z_E_UNSUPPORTED.value) return;
      expect(answer?.status, one.name).toBe(0);
      const again = byCodec(filter, Buffer.from(answer?.data ?? '', 'base64'), one.cdValues, data.length);
      expect([again.status, again.sha256], one.name).toEqual([0, sha256(data)]);
      encoded++;
    });
    expect(encoded).toBeGreaterThan(0);
  });
});
