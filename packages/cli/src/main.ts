#!/usr/bin/env node
// The `h5z` command: arguments in, text or JSON out, exit status 0 = all well, 1 = something failed, 2 = wrong usage.

import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { repack } from '@h5z/chunks';
import { describeRange, H5zError, type Platform, parameterString } from '@h5z/core';
import { installed, type Target } from '@h5z/registry';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { bench, benchInWords, DEFAULT_BUDGET, DEFAULT_SAMPLE } from './bench.js';
import { decodeChunk, readInput, refuseInput, writeOutput } from './decode.js';
import { type Digest, digestFile, VARIANTS, type Via } from './digest.js';
import { exportDataset, sliceOf } from './export.js';
import { addHsdsCommands } from './hsds.js';
import { type Inspection, inspectFile } from './inspect.js';
import { plotSvg } from './plot.js';
import { exportLine, pluginPath } from './plugin-path.js';
import { progressInWords, reportInWords, stagesOf } from './repack.js';
import { bytesInWords, complain, failureOf, Progress, print, printJson, table } from './terminal.js';
import { goalOf, TUNE_SAMPLE, TUNE_STORAGE, tune, tuneInWords } from './tune.js';
import { type Located, locate, locateAll, type WhichAnswer, which, whichAll } from './which.js';

const FAILED = 1;
const WRONG_USAGE = 2;

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('h5z')
  .description('Look into HDF5 files, find the filters they need, and decode them.')
  .version(version)
  .showHelpAfterError('(run with --help for examples)')
  .exitOverride()
  .addHelpText(
    'after',
    `
Examples:
  h5z inspect scan.h5                     datasets, pipelines, and the packages it takes to read them
  h5z which 32015                         what filter 32015 is, and whether it is installed
  h5z digest scan.h5 --via wasm           SHA-256 of every dataset's values, decoded by WebAssembly
  h5z decode chunk.bin --filter zstd --size 8192 -o values.bin
  h5z export scan.h5 /entry/data -o data.npy
  h5z repack scan.h5 small.h5 --filter shuffle,zstd:level=9
  h5z bench scan.h5 --svg plot.svg        every installed filter on your data: ratio, speed, errors
  h5z tune scan.h5 --for ratio            the pipeline and chunk shape that suit it, and the line to use
  eval "$(h5z plugin-path --shell)"       h5py, h5dump, netCDF and others use the installed filters
  h5z hsds install --python ENV/bin/python    an HSDS server reads and writes them

Filters are npm packages: npm i @h5z/zstd makes zstd available to h5z in that folder.`,
  );

program
  .command('which')
  .argument('[filter]', 'filter ID or canonical name; all filters when left out')
  .description('Tell what a filter is, who ships it, and what of it is installed here.')
  .option(
    '--target <name>',
    'the file that this target loads: native, wasm, wasm-decode, h5wasm, cuda, webgpu, hsds, or a platform',
  )
  .option('--platform <name>', "for the targets native and hsds: another machine's, such as linux-arm64")
  .option('--json', 'print JSON')
  .addHelpText(
    'after',
    `
Examples:
  h5z which 32015
  h5z which bitshuffle --json
  h5z which
  h5z which 32008 --target hsds --platform linux-x64      library, ABI, hash and parameters for a server`,
  )
  .action(async (filter: string | undefined, options: WhichFlags) => {
    const registry = await installed();
    if (options.target !== undefined) {
      // Names that are no target are platforms, of which the resolver knows which there are.
      const target = { target: options.target as Target, platform: options.platform as Platform | undefined };
      const found = filter === undefined ? locateAll(registry, target) : locate(filter, registry, target);
      if (options.json) printJson(found);
      else print([found].flat().map(locatedInWords).join('\n\n'));
      return;
    }
    const answers = filter === undefined ? whichAll(registry) : [which(filter, registry)];
    if (options.json) printJson(filter === undefined ? answers : answers[0]);
    else print(filter === undefined ? listOfFilters(answers) : answers.map(whichInWords).join('\n'));
  });

program
  .command('inspect')
  .argument('<file>', 'an HDF5 file')
  .description('List datasets with their pipelines in words, and the packages needed to read them.')
  .option('--parameters', 'print what each filter was told as the parameter string of the HDF5 string API')
  .option('--json', 'print JSON')
  .addHelpText(
    'after',
    `
Columns: path, datatype, shape, chunk shape, number of stored chunks, pipeline in the order of encoding, stored size of
full size. A filter marked with "optional" may have been skipped for some chunks; h5z heeds their filter masks.`,
  )
  .action(async (path: string, options: { json?: boolean; parameters?: boolean }) => {
    const inspection = await inspectFile(path, await installed());
    if (options.json) printJson(inspection);
    else print(inspectionInWords(inspection, options.parameters));
    const damaged = inspection.datasets.some(({ error }) => error !== undefined);
    if (inspection.problems.length > 0 || damaged) process.exitCode = FAILED;
  });

program
  .command('digest')
  .argument('<file>', 'an HDF5 file')
  .argument('[more...]', 'datasets of that file, or further files')
  .description('Print the SHA-256 of whole datasets, decoded by the variant named.')
  .addOption(new Option('--via <variant>', 'the code that decodes').choices([...VARIANTS]).default('native'))
  .option('--limit <bytes>', 'largest dataset to believe when it is 1000 times larger than its file', wholeNumber)
  .option('--json', 'print JSON: [{ file, dataset, sha256 | error, filters, via, bytes, seconds }]')
  .addHelpText(
    'after',
    `
The digest is over the dataset's values as little-endian bytes in C order, compounds packed, so that it does not depend on
how they are stored. Nothing but the variant named decodes the filters whose packages are installed. libhdf5's own code is
reported as "host": of deflate, shuffle, fletcher32, nbit and scaleoffset without their packages, and always via h5wasm.
The exit status is 1 when any dataset failed.

Examples:
  h5z digest scan.h5
  h5z digest scan.h5 /entry/data --via h5wasm
  h5z digest *.h5 --json > digests.json`,
  )
  .action(async (first: string, more: string[], options: { via: Via; limit?: number; json?: boolean }) => {
    const registry = await installed();
    const digests: Digest[] = [];
    for (const { path, dataset } of targets(first, more)) {
      const wanted = {
        via: options.via,
        registry,
        ...(dataset === undefined ? {} : { dataset }),
        ...(options.limit === undefined ? {} : { limit: options.limit }),
      };
      for await (const digest of digestFile(path, wanted)) {
        if (options.json) digests.push(digest);
        else print(digestInWords(digest));
        if (digest.error) process.exitCode = FAILED;
      }
    }
    if (options.json) printJson(digests);
  });

/** `--filter` and `--cd` in the order given: a `--cd` belongs to the filter before it. */
const given: { filter: string; cdValues: number[] }[] = [];

program
  .command('decode')
  .argument('[chunk]', 'file with the raw chunk; - or nothing reads standard input', '-')
  .description('Decode one raw chunk through the filters given.')
  .requiredOption('--filter <id>', 'filter ID or name; repeat it in the order of the pipeline', (filter: string) => {
    given.push({ filter, cdValues: [] });
    return filter;
  })
  .option('--cd <values>', 'cd_values of the filter before it, such as 0,4,2', (values: string) => {
    const last = given.at(-1);
    if (!last) throw new InvalidArgumentError('Give --filter before its --cd.');
    last.cdValues = values === '' ? [] : values.split(',').map(cdValue);
    return values;
  })
  .option('--size <bytes>', 'full size of the decoded chunk', wholeNumber)
  .option('--mask <bits>', 'filter mask of the chunk: bit i set means filter i was skipped', wholeNumber, 0)
  .addOption(
    new Option('--via <variant>', 'the code that decodes; the best one here when left out').choices(['native', 'wasm']),
  )
  .option('-o, --output <file>', 'where the values go; - or nothing writes standard output', '-')
  .option('--json', 'print JSON instead of the values: { bytes, sha256, filters, seconds }')
  .addHelpText(
    'after',
    `
Examples:
  h5z decode chunk.bin --filter 32015 --size 8192 -o values.bin
  h5z decode --filter shuffle --cd 4 --filter deflate --size 4096 < chunk.bin > values.bin
  h5z decode chunk.bin --filter bitshuffle --cd 0,4,2,0,2 --size 8192 --json`,
  )
  .action(async (chunk: string, options: DecodeFlags) => {
    refuseInput(options.output, chunk);
    const registry = await installed();
    const stages = given.map(({ filter, cdValues }) => ({ id: which(filter, registry).id, cdValues }));
    const decoded = await decodeChunk(readInput(chunk), {
      stages,
      registry,
      filterMask: options.mask,
      ...(options.via === undefined ? {} : { via: options.via }),
      ...(options.size === undefined ? {} : { size: options.size }),
    });
    if (options.output === '-' && process.stdout.isTTY && !options.json) {
      throw new H5zError('H5Z_PARAMETER', 'the decoded values are binary and standard output is a terminal', {
        remedy: 'pass -o FILE, or --json for their size and digest',
      });
    }
    if (options.output !== '-' || !options.json) await writeOutput(options.output, decoded.data);
    const { data, ...facts } = decoded;
    if (options.json) printJson({ bytes: data.length, ...facts });
  });

program
  .command('export')
  .argument('<file>', 'an HDF5 file')
  .argument('<dataset>', 'the path of a dataset in it')
  .description('Write the values of a dataset, or of a part of it, for programs that read no HDF5.')
  .requiredOption('-o, --output <file>', 'where they go; - writes standard output')
  .option('--slice <parts>', 'a part, as numpy has it: 5,100:200,::2; write --slice=-1 for one that begins with a dash')
  .addOption(
    new Option(
      '--format <name>',
      'npy: for numpy.load; raw: the values alone; by the name of <file> when left out',
    ).choices(['npy', 'raw']),
  )
  .addOption(
    new Option('--via <variant>', 'the code that decodes; the best one here when left out').choices(['native', 'wasm']),
  )
  .option('--json', 'print JSON: { dataset, format, shape, dtype, bytes, sha256, seconds }')
  .addHelpText(
    'after',
    `
Values are in C order, numbers little-endian; halves come as float32, and compounds, strings of fixed length and the like as bytes.
Only the chunks that the part touches are read.

Examples:
  h5z export scan.h5 /entry/data -o data.npy
  h5z export scan.h5 /entry/data --slice 5,100:200 -o part.npy
  h5z export scan.h5 /entry/data --format raw -o - | sha256sum`,
  )
  .action(async (path: string, dataset: string, options: ExportFlags) => {
    const { output, via } = options;
    if (output === '-' && options.json) {
      throw new H5zError('H5Z_PARAMETER', 'values and JSON both go to standard output', { remedy: 'pass -o FILE' });
    }
    refuseInput(output, path);
    const format = options.format ?? (output.endsWith('.npy') ? 'npy' : 'raw');
    const { data, ...facts } = await exportDataset(path, dataset, {
      registry: await installed(),
      format,
      ...(options.slice === undefined ? {} : { slice: sliceOf(options.slice) }),
      ...(via === undefined ? {} : { via }),
    });
    await writeOutput(output, ...data);
    const { shape, dtype, bytes } = facts;
    if (options.json) printJson({ dataset, format, ...facts });
    else if (output !== '-') print(`${output}: ${dtype} ${shape.join(' x ') || 'scalar'}, ${bytesInWords(bytes)}`);
  });

interface ExportFlags {
  readonly output: string;
  readonly slice?: string;
  readonly format?: 'npy' | 'raw';
  readonly via?: 'native' | 'wasm';
  readonly json?: boolean;
}

const filterTexts: string[] = [];
const chosenDatasets: string[] = [];

program
  .command('repack')
  .argument('<file>', 'an HDF5 file')
  .argument('<out>', 'the file to write; it must not exist')
  .description('Write a file anew with another pipeline for its datasets, everything else kept, and verify it.')
  .requiredOption(
    '--filter <words>',
    'shuffle,zstd:level=9 or none; repeat it, or separate by commas',
    (text: string) => {
      filterTexts.push(text);
      return text;
    },
  )
  .option('--dataset <path>', 'only this dataset; repeat it for more', (path: string) => {
    chosenDatasets.push(path);
    return path;
  })
  .option('--chunk <dims>', 'another chunk shape, such as 1x512x512, for datasets of that rank', chunkShape)
  .option('--threads <count>', 'chunks at work at once; as many as there are cores when left out', wholeNumber)
  .addOption(new Option('--via <variant>', 'the code that decodes and encodes').choices(['native', 'wasm']))
  .option('--dry-run', 'tell what would be changed and what kept, write nothing')
  .option('--no-verify', 'do not read the new file again')
  .option('--force', 'replace <out> when it exists')
  .option('--json', 'print JSON: { datasets, fileBefore, fileAfter, seconds }')
  .addHelpText(
    'after',
    `
A filter is its ID or name, its parameters behind a colon; "h5z which zstd" lists them. Filters encode in the order given, but
shuffle goes before what compresses; a lossy filter may stand before it. Attributes, datatypes, links, references, creation
order and the user block are kept. Datasets of variable-length data or references, virtual ones, those with external data,
those without chunks (unless --chunk fits them) and those that the filter is not for keep what they have; the table says so.
<out> appears when it is whole and verified: every new chunk is read again from it, decoded, and held to what was encoded by its
CRC-32 (of a lossy filter: decoded). An interrupted repack leaves nothing.

Examples:
  h5z repack scan.h5 small.h5 --filter shuffle,zstd:level=9
  h5z repack scan.h5 small.h5 --filter bitshuffle:codec=zstd --dataset /entry/data --chunk 1x512x512
  h5z repack scan.h5 plain.h5 --filter none --dry-run`,
  )
  .action(async (input: string, output: string, options: RepackFlags) => {
    const registry = await installed();
    const controller = new AbortController();
    const stop = () =>
      controller.abort(new H5zError('H5Z_FILE', 'interrupted: nothing was written', { remedy: 'run it again' }));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop);
    const progress = new Progress(input);
    const started = performance.now();
    try {
      const report = await repack(input, output, {
        stages: stagesOf(filterTexts, registry),
        registry,
        verify: options.verify,
        overwrite: options.force === true,
        dryRun: options.dryRun === true,
        signal: controller.signal,
        onProgress: (state) => progress.say(() => progressInWords(state, (performance.now() - started) / 1000)),
        ...(options.via === undefined ? {} : { load: { only: options.via } }),
        ...(chosenDatasets.length === 0 ? {} : { datasets: chosenDatasets }),
        ...(options.chunk === undefined ? {} : { chunk: options.chunk }),
        ...(options.threads === undefined ? {} : { threads: options.threads }),
      });
      progress.end();
      if (options.json) printJson(report);
      else print(reportInWords(report, options.dryRun === true));
    } finally {
      progress.end();
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeListener(signal, stop);
    }
  });

interface RepackFlags {
  readonly chunk?: readonly number[];
  readonly threads?: number;
  readonly via?: 'native' | 'wasm';
  readonly dryRun?: boolean;
  readonly verify: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

function chunkShape(text: string): number[] {
  const dims = text.split(/[x,]/).map(Number);
  if (dims.some((n) => !Number.isSafeInteger(n) || n < 1)) throw new InvalidArgumentError('It must be like 1x512x512.');
  return dims;
}

const benchFilters: string[] = [];

program
  .command('bench')
  .argument('<file>', 'an HDF5 file')
  .description('Try every installed filter on chunks of your own data: ratio, speed, and what lossy ones do to values.')
  .option('--dataset <path>', 'the dataset to measure on; the largest when left out')
  .option('--filter <words>', 'only this pipeline, as h5z repack takes it; repeat it for more', (text: string) => {
    benchFilters.push(text);
    return text;
  })
  .option(
    '--error <bound>',
    'largest absolute error asked of lossy filters; 0.001 of the range when left out',
    positive,
  )
  .option('--budget <seconds>', 'time for all of it, about', positive, DEFAULT_BUDGET)
  .option('--sample <bytes>', 'values to measure on, from chunks spread over the dataset', wholeNumber, DEFAULT_SAMPLE)
  .addOption(new Option('--via <variant>', 'the code to measure; native where it is').choices(['native', 'wasm']))
  .option('--svg <file>', 'draw ratio against decode speed')
  .option(
    '--json',
    'print JSON: { dataset, chunk, error, results: [{ words, ratio, encode, decode, quality }], refused }',
  )
  .addHelpText(
    'after',
    `
Each installed filter is measured with its default options, its other choices one at a time, and a low and a high level;
lossy ones where they take a bound with the error asked. One thread, whole chunks of the dataset's own shape (1 MiB where it has
none), speeds in MB of values per second, the best of several runs; results go by ratio. The first column is what
\`h5z repack --filter\` takes. MAX ERROR is absolute; PSNR is against the range of the values; SSIM is the mean over windows of
8 x 8. Of a compound they are the worst of its members, which a second table and "members" in the JSON give by name; a member that
is no number and changed has an infinite error. A CHUNKS column says when the time did not last for all chunks. Put shuffle
before a codec: --filter shuffle,zstd.

Examples:
  h5z bench scan.h5
  h5z bench scan.h5 --dataset /entry/data --svg plot.svg
  h5z bench climate.h5 --error 0.01 --budget 120
  h5z bench scan.h5 --filter shuffle,zstd:level=9 --filter bitshuffle:codec=zstd`,
  )
  .action(async (path: string, options: BenchFlags) => {
    if (options.svg !== undefined) refuseInput(options.svg, path);
    const registry = await installed();
    if (registry.packages.length === 0 && benchFilters.length === 0) {
      throw new H5zError('H5Z_MISSING_FILTER', 'no filter package is installed here, so there is nothing to measure', {
        remedy: 'install some in this folder, such as npm i @h5z/zstd @h5z/bitshuffle @h5z/zfp',
      });
    }
    const progress = new Progress(path);
    try {
      const report = await bench(path, {
        registry,
        budget: options.budget,
        sample: options.sample,
        onProgress: (done, total, words) => progress.say(() => `${done} of ${total}, now ${words}`),
        ...(options.dataset === undefined ? {} : { dataset: options.dataset }),
        ...(benchFilters.length === 0 ? {} : { filters: benchFilters }),
        ...(options.error === undefined ? {} : { error: options.error }),
        ...(options.via === undefined ? {} : { via: options.via }),
      });
      progress.end();
      if (options.svg !== undefined && report.results.length > 0) {
        const about = `${report.type} in chunks of ${report.chunk.join(' x ')}, ${bytesInWords(report.sampleBytes)} measured`;
        const svg = plotSvg(`${basename(path)}: ${report.dataset}`, about, report.results);
        await writeOutput(options.svg, new TextEncoder().encode(svg));
      }
      if (options.json) printJson(report);
      else print(benchInWords(report));
      if (report.results.length === 0) process.exitCode = FAILED;
    } finally {
      progress.end();
    }
  });

program
  .command('tune')
  .argument('<file>', 'an HDF5 file')
  .description('Search filters, levels, shuffles and chunk shapes on your own data, and print the line to use.')
  .requiredOption('--for <goal>', "speed, ratio, or 'error<=0.01' (quoted: shells take < for themselves)")
  .option('--dataset <path>', 'the dataset to tune for; the largest when left out')
  .option('--budget <seconds>', 'time for all of it, about', positive, DEFAULT_BUDGET)
  .option('--sample <bytes>', 'values to measure on, from chunks spread over the dataset', wholeNumber, TUNE_SAMPLE)
  .option('--storage <MB/s>', 'how fast stored bytes come in, for speed', positive, TUNE_STORAGE / 1e6)
  .addOption(new Option('--via <variant>', 'the code to measure; native where it is').choices(['native', 'wasm']))
  .option('--no-check', 'for an error: do not hold the best to it on every chunk of the dataset')
  .option(
    '--json',
    'print JSON: { dataset, goal, tried, results, front, best, checked, broke, lines: { repack, python, javascript } }',
  )
  .addHelpText(
    'after',
    `
speed: the least time to read stored chunks at --storage MB/s and decode them on one thread; ratio: the smallest file; both
keep every value. error<=X: the smallest file in which no value is off by more than X, lossy filters included: searched on the
sample, then held to X on every chunk of the dataset, which takes the time it takes (Ctrl-C, or --no-check).
Measured are every installed filter by itself, then with shuffle, bitshuffle and roundings before it, then the best with other
chunk shapes. Printed is the Pareto front, which is what nothing else beats in both ratio and decode speed, and the best of
it as a line for h5z repack, for h5py, and for JavaScript. Ratios and speeds are the sample's.

Examples:
  h5z tune scan.h5 --for ratio
  h5z tune scan.h5 --for speed --storage 150 --dataset /entry/data
  h5z tune climate.h5 --for 'error<=0.01' --budget 120 --json`,
  )
  .action(async (path: string, options: TuneFlags) => {
    const progress = new Progress(path);
    try {
      const report = await tune(path, {
        registry: await installed(),
        goal: goalOf(options.for),
        budget: options.budget,
        sample: options.sample,
        storage: options.storage * 1e6,
        check: options.check,
        onCheck: (done, total, words) => progress.say(() => `chunk ${done} of ${total} with ${words}`),
        onProgress: (share, words) => progress.say(() => `${Math.floor(share * 100)} % of the time, now ${words}`),
        ...(options.dataset === undefined ? {} : { dataset: options.dataset }),
        ...(options.via === undefined ? {} : { via: options.via }),
      });
      progress.end();
      if (options.json) printJson(report);
      else print(tuneInWords(report));
    } finally {
      progress.end();
    }
  });

interface TuneFlags {
  readonly for: string;
  readonly check: boolean;
  readonly dataset?: string;
  readonly budget: number;
  readonly sample: number;
  readonly storage: number;
  readonly via?: 'native' | 'wasm';
  readonly json?: boolean;
}

interface BenchFlags {
  readonly dataset?: string;
  readonly error?: number;
  readonly budget: number;
  readonly sample: number;
  readonly via?: 'native' | 'wasm';
  readonly svg?: string;
  readonly json?: boolean;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

program
  .command('plugin-path')
  .description(
    'Print what to put into HDF5_PLUGIN_PATH for h5py, h5dump, netCDF and others to use the filters installed here.',
  )
  .option('--shell', 'print a line for a POSIX shell, which keeps what the variable already holds')
  .option('--json', 'print JSON: { path, platform, plugins, without }')
  .addHelpText(
    'after',
    `
The native library of a filter package is an ordinary HDF5 plugin, for reading and writing. A process looks for plugins
when it first meets a filter; one that is running already does not notice the variable.

Examples:
  eval "$(h5z plugin-path --shell)" && h5dump -d /entry/data scan.h5
  HDF5_PLUGIN_PATH=$(h5z plugin-path) python3 reads.py
  h5z plugin-path --json`,
  )
  .action(async (options: { shell?: boolean; json?: boolean }) => {
    const answer = pluginPath(await installed());
    if (options.json) {
      printJson(answer);
      return;
    }
    if (answer.plugins.length === 0) {
      const reasons = answer.without.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
      throw new H5zError('H5Z_MISSING_FILTER', `no HDF5 plugin is installed here${reasons && ` (${reasons})`}`, {
        remedy: 'install one in this folder, such as npm i @h5z/zstd',
      });
    }
    print(options.shell ? exportLine(answer.path) : answer.path);
  });

addHsdsCommands(program);

interface DecodeFlags {
  readonly size?: number;
  readonly mask: number;
  readonly via?: 'native' | 'wasm';
  readonly output: string;
  readonly json?: boolean;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^(\d+|0x[0-9a-f]+)$/i.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('It must be a whole number.');
  }
  return value;
}

/** A uint32, or a negative number that stands for its bit pattern. */
function cdValue(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
    throw new InvalidArgumentError(`"${text}" is no 32-bit whole number.`);
  }
  return value >>> 0;
}

/** FILE [DATASET | FILE]...: what exists as a file is one, anything else is a dataset of the file before it. */
function targets(first: string, more: readonly string[]): { path: string; dataset?: string }[] {
  const list: { path: string; dataset?: string }[] = [];
  let file = { path: first, used: false };
  const close = () => {
    if (!file.used) list.push({ path: file.path });
  };
  for (const word of more) {
    if (existsSync(word)) {
      close();
      file = { path: word, used: false };
    } else {
      list.push({ path: file.path, dataset: word });
      file.used = true;
    }
  }
  close();
  return list;
}

function digestInWords({ file, dataset, sha256, error, filters, via, bytes, seconds }: Digest): string {
  if (error) return `${'failed'.padEnd(64)}  ${file}  ${dataset || '(the file)'}  ${error.code}: ${error.message}`;
  const used = filters.map(({ name, variant }) => (variant === via ? name : `${name} ${variant}`)).join(' + ');
  const speed = seconds > 0 ? `, ${bytesInWords(bytes / seconds)}/s` : '';
  return `${sha256}  ${file}  ${dataset}  ${bytes} bytes via ${via}${used ? ` (${used})` : ''}${speed}`;
}

function listOfFilters(answers: readonly WhichAnswer[]): string {
  const rows = answers.map(({ id, name, title, status, host, installed }) => [
    String(id),
    name,
    installed ? `installed ${installed.version}` : host ? 'built in' : status,
    title,
  ]);
  return table([['ID', 'NAME', 'STATUS', 'WHAT'], ...rows]);
}

interface WhichFlags {
  readonly target?: string;
  readonly platform?: string;
  readonly json?: boolean;
}

function locatedInWords({ id, name, path, platform, package: npmName, version, abi, size, ...rest }: Located): string {
  const parameters = rest.parameters.map((parameter) => `${parameter.name} (${describeRange(parameter)})`).join(', ');
  return table([
    [`${id}`, `${name}, ${npmName} ${version}`],
    [rest.variant, path],
    ...(platform === undefined ? [] : [['platform', platform]]),
    ['abi', String(abi)],
    ['sha256', rest.sha256],
    ['size', bytesInWords(size)],
    ['can', rest.encode ? 'decode and encode' : 'decode'],
    ['parameters', parameters || 'none'],
  ]);
}

function whichInWords(answer: WhichAnswer): string {
  const { id, name, title, summary, status, reason, url, host, library, installed } = answer;
  const rows = [
    [`${id}`, `${name}: ${title}`],
    ['what', summary],
  ];
  if (library) rows.push(['where', host ? 'part of libhdf5, whose code decodes it here ("host")' : 'part of libhdf5']);
  if (installed) {
    const { native, wasm, h5wasm } = installed.variants;
    const forms = [
      ...native.map((platform) => `native ${platform}`),
      ...(wasm ? ['wasm'] : []),
      ...(h5wasm ? ['h5wasm'] : []),
    ];
    rows.push(['installed', `${installed.package} ${installed.version}: ${forms.join(', ')}`]);
    for (const { name, takes, doc, default: value, when = {} } of installed.parameters) {
      const usual = value === undefined ? 'required' : parameterString({ default: value });
      const conditions = Object.entries(when).map(
        ([other, wanted]) =>
          ` when ${[wanted]
            .flat()
            .map((one) => parameterString({ [other]: one }))
            .join(' or ')}`,
      );
      rows.push(['parameter', `${name}: ${takes} (${usual}${conditions.join(' and')}). ${doc}`]);
    }
  } else if (host) {
    if (answer.package && status === 'shipped') rows.push(['or get ours', `npm i ${answer.package}`]);
  } else {
    rows.push(['installed', 'no']);
    if (answer.package && status === 'shipped') rows.push(['get it', `npm i ${answer.package}`]);
    else rows.push(['status', reason ? `${status}: ${reason}` : status]);
  }
  if (url) rows.push(['see', url]);
  return table(rows);
}

function inspectionInWords(inspection: Inspection, strings = false): string {
  const { file, bytes, datasets, links, problems, needs } = inspection;
  const by = (dims: readonly number[] | undefined) => (dims && dims.length > 0 ? dims.join(' x ') : '-');
  const rows = datasets.map((dataset) => [
    dataset.path,
    dataset.type,
    dataset.layout === 'scalar' || dataset.layout === 'null' ? dataset.layout : by(dataset.shape),
    dataset.layout === 'chunked' ? by(dataset.chunk) : dataset.layout,
    dataset.layout === 'chunked' ? String(dataset.chunks) : '-',
    pipelineOf(dataset, strings),
    `${bytesInWords(dataset.storedBytes)} of ${bytesInWords(dataset.bytes)}`,
  ]);
  const parts = [`${file}: ${bytesInWords(bytes)}, ${datasets.length} datasets`];
  if (rows.length > 0)
    parts.push(table([['DATASET', 'TYPE', 'SHAPE', 'CHUNK', 'CHUNKS', 'PIPELINE', 'STORED'], ...rows]));
  if (links.length > 0) {
    const targets = links.map(({ path, kind, target, file }) => [
      path,
      kind,
      `${file ? `${file}:` : ''}${target ?? '?'}`,
    ]);
    parts.push(table([['LINK', 'KIND', 'TARGET'], ...targets]));
  }
  if (needs.length > 0) {
    const lines = needs.map(({ id, name, package: npmName, installed, remedy }) => [
      String(id),
      name,
      installed ? `${npmName} ${installed} is installed` : `missing: ${remedy}`,
    ]);
    parts.push(table([['FILTER', 'NAME', 'PACKAGE'], ...lines]));
  } else if (datasets.length > 0) {
    parts.push("No filter package is needed: every pipeline has libhdf5's own filters or none.");
  }
  const failures = [
    ...problems.map(({ path, error }) => [path, error.message]),
    ...datasets.flatMap(({ path, error }) => (error ? [[path, error.message]] : [])),
  ];
  if (failures.length > 0) parts.push(table([['DAMAGED', 'WHY'], ...failures]));
  return parts.join('\n\n');
}

function pipelineOf({ filters, maskedChunks }: Inspection['datasets'][number], strings: boolean): string {
  const OPTIONAL = 1;
  const stages = filters.map(({ name, words, flags, parameters }) => {
    const stage = strings && parameters !== undefined ? `${name}${parameters && `(${parameters})`}` : words;
    return flags & OPTIONAL ? `${stage} optional` : stage;
  });
  const masked = maskedChunks > 0 ? ` (skipped for ${maskedChunks} chunks)` : '';
  return `${stages.join(' -> ') || 'none'}${masked}`;
}

// A reader that has seen enough (`h5z which | head`) is no failure; an answer that could not be written is one.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  complain(`the answer cannot be written (${error.message})`);
  process.exit(FAILED);
});
// Progress that nobody reads any more is no reason to end the work.
process.stderr.on('error', () => {});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : WRONG_USAGE;
  } else {
    const failure = failureOf(error);
    if (process.argv.includes('--json')) printJson({ error: failure });
    else complain(`${failure.message} (${failure.code})`);
    process.exitCode = FAILED;
  }
}
