// Every filter under libFuzzer with AddressSanitizer and UBSan, from its golden chunks as seeds (packages/abi/fuzz/fuzz.c).

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildFuzzer } from './build.ts';
import { exists, run } from './exec.ts';
import type { Filter } from './filters.ts';
import { CACHE, OUT } from './paths.ts';
import { upstreamsOf } from './sources.ts';
import { ensureCcache } from './tools.ts';

export interface Fuzzed {
  readonly passed: boolean;
  /** The last lines of the fuzzer, and where the input lies that broke a rule. */
  readonly output: string;
}

interface GoldenIndex {
  readonly cases: readonly { readonly file: string; readonly cdValues: readonly number[] }[];
}

/**
 * Golden chunks in the form that fuzz.c reads: mode 0, count of cd_values, 0 0, the words, the chunk; and a parameter string
 * with all that the filter has, right or wrong together.
 */
async function writeSeeds(filter: Filter, folder: string): Promise<void> {
  for (const parameter of filter.description.parameters) {
    const values = Object.keys(parameter.values ?? { '-1_0.5e-3': 0, '0x1f': 0, true: 0 });
    const quoted = parameter.type === 'enum' ? values.map((word) => `"${word}"`) : values;
    const strings = quoted.map((value, i) => `${i % 2 ? `'${parameter.name}'` : parameter.name} = ${value}`);
    for (const [i, string] of strings.entries())
      await writeFile(join(folder, `parameters-${parameter.name}-${i}`), Buffer.from(`\x04\x00\x01\x01${string}`));
  }
  const golden = join(filter.dir, 'golden');
  const index = join(golden, 'index.json');
  if (!(await exists(index))) return;
  const { cases } = JSON.parse(await readFile(index, 'utf8')) as GoldenIndex;
  for (const { file, cdValues } of cases) {
    const head = Buffer.alloc(4 + 4 * cdValues.length);
    head[1] = cdValues.length;
    cdValues.forEach((word, i) => {
      head.writeUInt32LE(word >>> 0, 4 + 4 * i);
    });
    const chunk = await readFile(join(golden, file));
    await writeFile(join(folder, `decode-${file}`), Buffer.concat([head, chunk]));
    head[0] = 1;
    await writeFile(join(folder, `encode-${file}`), Buffer.concat([head, chunk]));
  }
}

/**
 * Several filters have the same upstreams: while `work` lasts, this process has CMake compile through ccache, which takes minutes
 * off fuzzers of all filters. What is shipped is never compiled through it.
 */
export async function sharingObjects<T>(work: () => Promise<T>): Promise<T> {
  const ccache = await ensureCcache();
  if (ccache === undefined) return work();
  const settings = {
    CMAKE_C_COMPILER_LAUNCHER: ccache,
    CMAKE_CXX_COMPILER_LAUNCHER: ccache,
    CCACHE_DIR: join(CACHE, 'ccache'),
    CCACHE_COMPILERCHECK: 'content',
  };
  const before = Object.keys(settings).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, settings);
  try {
    return await work();
  } finally {
    for (const [name, value] of before)
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  }
}

/**
 * In the order in which most is there already: for each upstream that several filters have one filter that has no other, then
 * those that share nothing, meanwhile; then the rest.
 */
export async function sharersFirst(filters: readonly Filter[]): Promise<Filter[]> {
  const all = await Promise.all(
    filters.map(async (filter) => ({ filter, names: (await upstreamsOf(filter)).map(({ name }) => name) })),
  );
  const isShared = (name: string): boolean => all.filter(({ names }) => names.includes(name)).length > 1;
  const begun = new Set<string>();
  const ranks = all.map(({ filter, names }) => {
    const [name, ...more] = names;
    if (name === undefined || !names.some(isShared)) return { filter, rank: 1 };
    if (more.length > 0 || begun.has(name)) return { filter, rank: 2 };
    begun.add(name);
    return { filter, rank: 0 };
  });
  return ranks.sort((a, b) => a.rank - b.rank).map(({ filter }) => filter);
}

/**
 * Runs one filter for `seconds`, with libFuzzer's random numbers from `seed`; 0: others each time. What breaks a rule is kept in
 * out/fuzz/<filter>/.
 */
export async function fuzz(filter: Filter, clang: string, seconds: number, seed = 0): Promise<Fuzzed> {
  const program = await buildFuzzer(filter, clang);
  const findings = join(OUT, 'fuzz', filter.name);
  await mkdir(findings, { recursive: true });
  const corpus = await mkdtemp(join(tmpdir(), 'h5z-fuzz-'));
  try {
    await writeSeeds(filter, corpus);
    const result = await run(
      program,
      [
        corpus,
        `-max_total_time=${seconds}`,
        `-seed=${seed}`,
        '-timeout=10',
        '-rss_limit_mb=2048',
        '-max_len=65536',
        '-print_final_stats=1',
        `-artifact_prefix=${findings}/`,
      ],
      { allowFailure: true, timeout: (seconds + 120) * 1000 },
    );
    const lines = result.stderr.trimEnd().split('\n').slice(-60);
    const kept =
      result.status === 0 ? [] : (await readdir(findings)).map((file) => `input kept: out/fuzz/${filter.name}/${file}`);
    return { passed: result.status === 0, output: [...lines, ...kept].join('\n') };
  } finally {
    await rm(corpus, { recursive: true, force: true });
  }
}
