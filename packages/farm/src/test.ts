// What ./farm test does: tools for the tests, a build for every platform, packages, lint, fuzzing, vitest; then it counts.

import { spawn } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Counted } from '../../../tests/support/reporter.ts';
import { buildAll, buildHarness } from './build.ts';
import { ensureEmulator, whyNever } from './emulation.ts';
import { exists, which } from './exec.ts';
import { readFilters } from './filters.ts';
import { fuzz, sharersFirst, sharingObjects } from './fuzz.ts';
import { lint } from './lint.ts';
import { FarmError, say, step } from './log.ts';
import { pack } from './pack.ts';
import { ROOT } from './paths.ts';
import { CROSS, hostPlatform } from './targets.ts';
import {
  ensureApt,
  ensureBun,
  ensureClang,
  ensureH5web,
  ensureHdf5s,
  ensureHsds,
  ensureNodes,
  ensurePythonPeers,
} from './tools.ts';
import { builtPlatforms, verifyPlatform } from './verify.ts';

export interface TestOptions {
  /** Parts of test file paths; then only those files run, without lint and fuzzing. Empty: everything. */
  readonly only: readonly string[];
  readonly build: boolean;
  readonly fuzzSeconds: number;
  /** With what takes a download that only a nightly run is worth. */
  readonly nightly: boolean;
}

/**
 * The same random numbers each time. What libFuzzer makes of them differs even so, with -runs instead of a time too, so that what
 * it finds may be older than a change. `./farm fuzz` looks for more.
 */
const FUZZ_SEED = 1;

export interface TestResult {
  passed: number;
  failed: number;
  skipped: number;
  failures: string[];
  skips: { name: string; reason: string }[];
}

/** Tools that tests find through the environment (tests/support/env.ts). What cannot be had is left out: tests skip loudly. */
async function testEnvironment(nightly: boolean): Promise<Record<string, string>> {
  const environment: Record<string, string> = {};
  const wanted: (readonly [string, () => Promise<string | undefined>])[] = [
    ['H5Z_PYTHON', ensurePythonPeers],
    ['H5Z_HSDS_PYTHON', ensureHsds],
    ['H5Z_HDF5S', () => ensureHdf5s().then((libraries) => Object.values(libraries).join(delimiter))],
    ['H5Z_H5DUMP', () => ensureApt(['hdf5-tools']).then(() => which('h5dump'))],
    ['H5Z_NCCOPY', () => ensureApt(['netcdf-bin']).then(() => which('nccopy'))],
    ['H5Z_SYSTEM_PYTHON', () => ensureApt(['python3-h5py']).then(() => '/usr/bin/python3')],
    ['H5Z_MPIEXEC', () => ensureApt(['python3-h5py-mpi', 'openmpi-bin']).then(() => which('mpiexec'))],
    ['H5Z_CHROMIUM', () => ensureApt(['chromium']).then(() => which('chromium'))],
    ['H5Z_H5WEB', ensureH5web],
    ['H5Z_CC_FUZZ', ensureClang],
    ['H5Z_NODES', () => ensureNodes().then((nodes) => Object.values(nodes).join(delimiter))],
    ['H5Z_POCL', () => ensureApt(['pocl-opencl-icd', 'ocl-icd-opencl-dev']).then(() => '/etc/OpenCL/vendors/pocl.icd')],
    ['H5Z_BINUTILS', () => ensureApt(['binutils']).then(() => which('nm'))],
    ...(nightly ? ([['H5Z_BUN', ensureBun]] as const) : []),
  ];
  for (const [name, get] of wanted) {
    try {
      const path = process.env[name] || (await get());
      if (path !== undefined) environment[name] = path;
    } catch (error) {
      if (!(error instanceof FarmError)) throw error;
      say(`WARNING: no ${name}, so its tests are skipped: ${error.message}`);
    }
  }
  const shared = process.env.H5Z_SHARED ?? join(ROOT, '../shared');
  if (await exists(join(shared, 'corpus/corpus.json'))) environment.H5Z_SHARED = shared;
  else
    say(
      'WARNING: no ../shared/corpus beside this clone: the tests that need it are skipped, the golden bytes still run',
    );
  return environment;
}

/** Runs vitest with its output shown, and reads what tests/support/reporter.ts counted. */
async function vitest(only: readonly string[], environment: Record<string, string>): Promise<Counted> {
  const counts = join(ROOT, 'out/test/counts.json');
  await mkdir(join(ROOT, 'out/test'), { recursive: true });
  await rm(counts, { force: true });
  const status = await new Promise<number>((resolve, reject) => {
    const child = spawn(process.execPath, [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', ...only], {
      cwd: ROOT,
      env: { ...process.env, ...environment, H5Z_TEST_COUNTS: counts },
      stdio: ['ignore', 2, 2],
    });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 128));
  });
  if (!(await exists(counts)))
    throw new FarmError(`vitest ended with status ${status} before it could count; see above.`);
  const counted = JSON.parse(await readFile(counts, 'utf8')) as Counted;
  if (status !== 0 && counted.failed === 0) {
    counted.failed++;
    counted.failures.push(`vitest ended with status ${status}`);
  }
  return counted;
}

/**
 * Gets and compiles what verifyAll runs other platforms' libraries with, while the libraries are built: there all wait for it.
 * What cannot be had is told by verifyAll.
 */
async function prepareVerifying(): Promise<void> {
  for (const platform of CROSS.filter((one) => one !== hostPlatform() && whyNever(one) === undefined)) {
    try {
      await buildHarness(platform);
      await ensureEmulator(platform);
    } catch (error) {
      if (!(error instanceof FarmError)) throw error;
    }
  }
}

/** Every library on its platform, as far as this machine can: two at a time, each one check. */
async function verifyAll(
  count: (name: string, passed: boolean, output?: string) => void,
  skip: (name: string, reason: string) => void,
): Promise<void> {
  const todo = (await readFilters()).flatMap(({ dir, name }) =>
    builtPlatforms(dir, []).map((platform) => ({ dir, platform, check: `verify: ${name} ${platform}` })),
  );
  const next = async (): Promise<void> => {
    for (let one = todo.shift(); one !== undefined; one = todo.shift()) {
      try {
        const { level, on, lacking } = await verifyPlatform(one.dir, one.platform);
        if (lacking) skip(one.check, on);
        else count(`${one.check}: ${level}, ${on}`, true);
      } catch (error) {
        if (!(error instanceof FarmError)) throw error;
        count(one.check, false, error.message);
      }
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, next));
}

export async function test(options: TestOptions): Promise<TestResult> {
  const result: TestResult = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] };
  const count = (name: string, passed: boolean, output = ''): void => {
    if (passed) result.passed++;
    else {
      result.failed++;
      result.failures.push(name);
      if (output !== '') process.stderr.write(`${output.trimEnd()}\n`);
    }
    say(`${passed ? 'ok    ' : 'FAILED'} ${name}`);
  };
  const skip = (name: string, reason: string): void => {
    result.skips.push({ name, reason });
  };

  // Tools are waited for on the network and on disks, compilers on processors: side by side.
  const [environment] = await Promise.all([
    step('tools for the tests', () => testEnvironment(options.nightly)),
    options.build ? buildAll({ targets: ['cross'] }) : undefined,
    options.build ? prepareVerifying() : undefined,
  ]);
  if (options.build) {
    await step('running what was built for other platforms', () => verifyAll(count, skip));
    await step('packing', () => pack());
  }
  if (options.only.length === 0) {
    for (const check of await step('lint', () => lint())) count(`lint: ${check.name}`, check.passed, check.output);
    const compiler = environment.H5Z_CC_FUZZ;
    const filters = await sharersFirst(await readFilters());
    if (options.fuzzSeconds === 0 || compiler === undefined) {
      const reason = options.fuzzSeconds === 0 ? '--fuzz-seconds 0' : 'no clang with libFuzzer; see the warning above';
      for (const { name } of filters) skip(`fuzz: ${name}`, reason);
    } else {
      const fuzzNext = async (): Promise<void> => {
        for (let filter = filters.shift(); filter !== undefined; filter = filters.shift()) {
          const found = await fuzz(filter, compiler, options.fuzzSeconds, FUZZ_SEED);
          count(`fuzz: ${filter.name}`, found.passed, found.output);
        }
      };
      // A fuzzer has one thread: as many of them at once as there are processors.
      await step(`fuzzing ${filters.length} filters, ${options.fuzzSeconds} s each under ASan and UBSan`, () =>
        sharingObjects(() => Promise.all(Array.from({ length: availableParallelism() }, fuzzNext))),
      );
    }
  }

  const counted = await vitest(options.only, environment);
  result.passed += counted.passed;
  result.failed += counted.failed;
  result.failures.push(...counted.failures);
  result.skips.push(...counted.skips);
  result.skipped = result.skips.length;

  const reasons = new Map<string, number>();
  for (const { reason } of result.skips) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  for (const [reason, times] of reasons) process.stderr.write(`SKIPPED ${times}: ${reason}\n`);
  for (const failure of result.failures) process.stderr.write(`FAILED ${failure}\n`);
  return result;
}
