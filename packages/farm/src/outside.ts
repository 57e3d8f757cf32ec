// The commands of h5z-abi. What they do is what ./farm does for a filter of the repository, without Nx: there is one filter.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { buildHarness, expandTargets, task } from './build.ts';
import { runCommands } from './cli.ts';
import type { Command } from './command.ts';
import { command as doctor } from './commands/doctor.ts';
import { command as fuzz } from './commands/fuzz.ts';
import { command as tools } from './commands/tools.ts';
import { command as verify } from './commands/verify.ts';
import { descriptionProblems } from './describe-check.ts';
import { run } from './exec.ts';
import { type Filter, readFilters } from './filters.ts';
import { FarmError, say, step, table } from './log.ts';
import { newPackage } from './new-filter/index.ts';
import { contentProblems } from './package-check.ts';
import { FILTER_FOLDER, OUT, ROOT } from './paths.ts';
import { upstreamsOf } from './sources.ts';
import { filterRuntimes, finishFilter, notBuilt, npmPack, stageFolder, tarballName } from './stage.ts';
import { filterPlans, hostPlatform, libraryName } from './targets.ts';

/** The filter whose folder this is, with a filter.json that holds to its schema. */
async function theFilter(): Promise<Filter> {
  const folder = FILTER_FOLDER ?? process.cwd();
  if (!existsSync(join(folder, 'filter.json')))
    throw new FarmError(`there is no filter.json in ${folder} or above it. Make a filter: npx @h5z/abi new my-filter`);
  const problems = descriptionProblems();
  if (problems.length > 0) throw new FarmError(`repair filter.json first:\n${problems.join('\n')}`);
  return (await readFilters())[0] as Filter;
}

const make: Command = {
  name: 'new',
  summary: 'Make the package of a filter: a small codec that works, to be replaced by yours',
  positionals: 'NAME',
  options: {
    id: { type: 'string', value: 'N', doc: 'HDF5 filter ID; default: one of the private range, made from the name' },
    title: { type: 'string', value: 'TEXT', doc: 'one line for people; default: the name' },
    package: { type: 'string', value: 'NAME', doc: 'npm name, such as @lab/my-filter; default: NAME' },
  },
  help: 'It goes into ./NAME. Then: cd NAME, npm install, npx h5z-abi build, npx h5z-abi test.',
  order: 1,
  async run(args) {
    const [name] = args.positionals;
    if (name === undefined) throw new FarmError('say npx @h5z/abi new my-filter');
    const id = args.text('id');
    const made = await newPackage({
      name,
      id: id === undefined ? undefined : Number(id),
      title: args.text('title'),
      packageName: args.text('package'),
    });
    process.stdout.write(`${relative(process.cwd(), made.folder)}: filter ${made.id}\n`);
    return 0;
  },
};

const build: Command = {
  name: 'build',
  summary: 'Build the variants of the filter, and its JavaScript, types and manifest',
  options: {
    targets: {
      type: 'string',
      value: 'LIST',
      doc: 'host (default: this platform, wasm, h5wasm), all, or names: linux-arm64,wasm ...',
      multiple: true,
    },
  },
  help: 'Compilers (zig, Emscripten, CMake) are got into the cache the first time.',
  order: 2,
  async run(args) {
    const filter = await theFilter();
    const targets = expandTargets(args.list('targets'));
    const plans = filterPlans(filter.description).filter(({ target }) => target !== 'pack' && targets.includes(target));
    if (plans.length === 0) throw new FarmError(`filter.json has no variant for ${targets.join(', ')}.`);
    for (const { target } of plans) await step(`${filter.name} for ${target}`, () => task(filter.name, target));
    await finishFilter(filter);
    const rows = plans.flatMap(({ target, outputs }) =>
      outputs.map((file) => {
        const bytes = readFileSync(join(filter.dir, file));
        const sha256 = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
        return [target, file, bytes.length.toLocaleString('en').padStart(9), sha256];
      }),
    );
    process.stdout.write(`${table(['target', 'file', 'bytes', 'sha256'], rows)}\n`);
    return 0;
  },
};

const test: Command = {
  name: 'test',
  summary: 'Hold the built filter to its golden chunks, and to what h5z asks of every filter',
  help: `The golden chunks, cut, damaged and with too little room: the native library by packages/abi/harness, the WebAssembly modules
in Node. Then, where vitest is installed (npm install --save-dev vitest), the suite that h5z's own filters pass: all sizes and types,
variants that agree, hostile input. npx h5z-abi fuzz goes further: chunks that nobody thought of, under AddressSanitizer.`,
  order: 3,
  async run() {
    const filter = await theFilter();
    await finishFilter(filter); // decodes the golden chunks with every file that runs here
    if (!filter.description.variants.native) return 0;
    const platform = hostPlatform();
    const library = join(filter.dir, 'prebuilds', platform, libraryName(filter.name, platform));
    if (!existsSync(library)) throw new FarmError(`${library} has not been built. Run npx h5z-abi build.`);
    const harness = await buildHarness(platform);
    const { status, stdout, stderr } = await run(harness, [library, join(filter.dir, 'golden')], {
      allowFailure: true,
    });
    const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('digest '));
    process.stdout.write(`${lines.join('\n')}\n`);
    if (stderr !== '') say(stderr.trimEnd());
    return status === 0 ? commonSuite(filter) : status;
  },
};

/**
 * tests/conformance of the repository, in the filter's own build/, so that vitest and the packages of h5z are those that
 * are installed for the filter. Returns its exit status, 0 where there is no vitest.
 */
async function commonSuite(filter: Filter): Promise<number> {
  let vitest: string;
  try {
    vitest = createRequire(join(filter.dir, 'package.json')).resolve('vitest/package.json');
  } catch {
    say('the common suite was left out: it needs vitest. Run npm install --save-dev vitest, then this again.');
    return 0;
  }
  const suite = join(filter.dir, 'build/suite/conformance.test.js');
  mkdirSync(dirname(suite), { recursive: true });
  copyFileSync(join(ROOT, 'tests/conformance/conformance.test.js'), suite);
  // A configuration of its own: what the filter's author has set up for other tests is not this suite's.
  const config = join(dirname(suite), 'vitest.config.mjs');
  writeFileSync(config, `export default { test: { include: [${JSON.stringify(relative(filter.dir, suite))}] } };\n`);
  const words = ['run', '--root', filter.dir, '--config', config];
  const options = {
    env: { ...process.env, H5Z_FILTER_FOLDER: filter.dir },
    cwd: filter.dir,
    allowFailure: true,
    show: true,
  };
  return (await run(process.execPath, [join(dirname(vitest), 'vitest.mjs'), ...words], options)).status;
}

const pack: Command = {
  name: 'pack',
  summary: 'Make the npm package in out/ and check it: manifest, hashes, symbols, licences, size',
  order: 6,
  async run() {
    const filter = await theFilter();
    await finishFilter(filter);
    rmSync(join(OUT, 'stage'), { recursive: true, force: true });
    mkdirSync(join(OUT, 'stage'), { recursive: true });
    const staged = stageFolder(
      filter.dir,
      join(OUT, 'stage'),
      '',
      await upstreamsOf(filter),
      await filterRuntimes(filter),
    );
    await npmPack([staged], OUT);
    rmSync(join(OUT, 'stage'), { recursive: true, force: true });
    const tarball = join(OUT, tarballName(filter.packageName, filter.version));
    const problems = [...staged.absent.map(notBuilt), ...contentProblems(tarball)];
    process.stdout.write(`${tarball}\n`);
    for (const problem of problems) say(problem);
    return problems.length === 0 ? 0 : 1;
  },
};

const about = 'Builds, tests and packs one HDF5 filter, in the folder that holds its filter.json.';
const commands = [make, build, test, { ...verify, order: 4 }, { ...fuzz, order: 5 }, pack, doctor, tools];
await runCommands({ program: 'npx h5z-abi', about }, commands, process.argv.slice(2));
