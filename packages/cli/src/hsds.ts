// `h5z hsds`: the commands around @h5z/hsds, and how their reports read.

import type { Platform } from '@h5z/core';
import {
  type InstallReport,
  install,
  type PlaceStep,
  type SelfTestReport,
  type StatusReport,
  selfTest,
  shellWord,
  status,
  type UninstallReport,
  uninstall,
} from '@h5z/hsds';
import type { Command } from 'commander';
import { bytesInWords, Progress, print, printJson, table } from './terminal.js';

const FAILED = 1;

interface WhereFlags {
  readonly python?: string;
  readonly target?: string;
  readonly json?: boolean;
}

interface InstallFlags extends WhereFlags {
  readonly wheel?: string;
  readonly filters?: string;
  readonly platform?: Platform;
  readonly anyHsds?: boolean;
  readonly dryRun?: boolean;
}

/** Adds the commands to `program`. */
export function addHsdsCommands(program: Command): void {
  const hsds = program
    .command('hsds')
    .description('Make an HSDS server read and write the filters installed here.')
    .addHelpText(
      'after',
      `
HSDS by itself decodes none of zstd, LZ4, bitshuffle, zfp and most others. A Python package with their native libraries goes
into the environment that HSDS runs in; nothing of HSDS is edited. It acts only where H5Z_HSDS=1 is set when HSDS starts, and
only in versions of HSDS that it knows: in others HSDS runs as if it were not there and says so in its log. Every command takes
--json.

Examples:
  npm i h5z @h5z/bitshuffle @h5z/zstd @h5z/shuffle @h5z/deflate
  npx h5z hsds install --python /srv/hsds/bin/python
  npx h5z hsds self-test --python /srv/hsds/bin/python
  H5Z_HSDS=1 hsds ...                       restart the server with it
  npx h5z hsds install --wheel out/ --platform linux-x64      for a container image: pip install out/*.whl`,
    );

  hsds
    .command('install')
    .description('Put the filters installed here into an HSDS environment; again replaces what is there.')
    .option('--python <path>', 'the Python of the environment; the active one when left out')
    .option('--filters <names>', 'IDs or names, joined by commas, or all', 'all')
    .option('--target <folder>', 'a folder of Python packages instead of an environment')
    .option('--wheel <file>', 'a wheel for pip instead: the file, or the folder it goes to')
    .option(
      '--platform <name>',
      "for --target and --wheel: the server's, such as linux-x64; this machine's when left out",
    )
    .option('--any-hsds', 'do not check which HSDS is there')
    .option('--dry-run', 'check everything, write nothing')
    .option(
      '--json',
      'print JSON: { kind, place, python, hsds, version, platform, filters, without, replaced, changed }',
    )
    .addHelpText(
      'after',
      `
The active environment is VIRTUAL_ENV's, then CONDA_PREFIX's, then python3 on PATH. HDF5's own filters (shuffle, deflate ...)
come along whatever --filters says, where their packages are installed: most pipelines have them. Every library is held to the
SHA-256 of its package's manifest. Killed at any point, the environment has the old installation or the new one; running
servers keep what they loaded until they are restarted.

Examples:
  h5z hsds install --python /srv/hsds/bin/python
  h5z hsds install --filters bitshuffle,zstd,32013 --dry-run
  h5z hsds install --wheel out/ --platform linux-arm64`,
    )
    .action(async (options: InstallFlags) => {
      const progress = new Progress('h5z hsds install');
      const report = await install({
        ...whereOf(options),
        ...(options.wheel === undefined ? {} : { wheel: options.wheel }),
        ...(options.platform === undefined ? {} : { platform: options.platform }),
        ...(options.filters === undefined || options.filters === 'all'
          ? {}
          : { filters: options.filters.split(',').map((text) => idOrName(text.trim())) }),
        anyHsds: options.anyHsds === true,
        dryRun: options.dryRun === true,
        onStep: (step: PlaceStep) => progress.say(() => step),
      });
      progress.end();
      if (options.json) printJson(report);
      else print(installInWords(report));
    });

  hsds
    .command('uninstall')
    .description('Take it out again; HSDS then cannot read what was written through the filters.')
    .option('--python <path>', 'the Python of the environment; the active one when left out')
    .option('--target <folder>', 'a folder of Python packages instead of an environment')
    .option('--json', 'print JSON: { place, removed, version, filters }')
    .addHelpText('after', '\nExamples:\n  h5z hsds uninstall --python /srv/hsds/bin/python')
    .action(async (options: WhereFlags) => {
      const report = await uninstall(whereOf(options));
      if (options.json) printJson(report);
      else print(uninstallInWords(report));
    });

  hsds
    .command('status')
    .description('Tell what is installed, for which HSDS, and whether it is whole.')
    .option('--python <path>', 'the Python of the environment; the active one when left out')
    .option('--target <folder>', 'a folder of Python packages instead of an environment')
    .option('--json', 'print JSON: { environment, place, installed, version, platform, filters, problems, python }')
    .addHelpText(
      'after',
      '\nThe exit status is 1 when something is wrong.\n\nExamples:\n  h5z hsds status --python /srv/hsds/bin/python',
    )
    .action(async (options: WhereFlags) => {
      const report = await status(whereOf(options));
      if (options.json) printJson(report);
      else print(statusInWords(report));
      if (problemsOf(report).length > 0) process.exitCode = FAILED;
    });

  hsds
    .command('self-test')
    .description('Load every installed filter in the environment and run it.')
    .option('--python <path>', 'the Python of the environment; the active one when left out')
    .option('--json', 'print JSON: { environment, ok, python }')
    .addHelpText(
      'after',
      '\nThe exit status is 1 when a filter fails.\n\nExamples:\n  h5z hsds self-test --python /srv/hsds/bin/python',
    )
    .action(async (options: WhereFlags) => {
      const report = await selfTest(options.python === undefined ? {} : { python: options.python });
      if (options.json) printJson(report);
      else print(selfTestInWords(report));
      if (!report.ok) process.exitCode = FAILED;
    });
}

const whereOf = ({ python, target }: WhereFlags) => ({
  ...(python === undefined ? {} : { python }),
  ...(target === undefined ? {} : { target }),
});

const idOrName = (text: string): number | string => (/^\d+$/.test(text) ? Number(text) : text);

function installInWords(report: InstallReport): string {
  const { kind, place, filters, without, replaced, changed, dryRun, platform, version, hsds } = report;
  const rows = filters.map(({ id, name, package: npmName, packageVersion, size, sha256 }) => [
    String(id),
    name,
    `${npmName} ${packageVersion}`,
    bytesInWords(size),
    sha256.slice(0, 12),
  ]);
  const parts = [table([['ID', 'FILTER', 'PACKAGE', 'SIZE', 'SHA-256'], ...rows])];
  if (without.length > 0) {
    parts.push(table([['WITHOUT', 'WHY'], ...without.map(({ id, name, reason }) => [`${id} ${name}`, reason])]));
  }
  const what = `${filters.length} filters for ${platform}, h5z-hsds ${version}, ${bytesInWords(report.bytes)}`;
  const verb = dryRun ? 'would be put into' : changed ? 'are in' : 'were all there already, in';
  const before = replaced && changed ? `; before: ${replaced.version} with ${replaced.filters.length} filters` : '';
  parts.push(`${what} ${verb} ${place}${before}.`);
  if (kind === 'wheel')
    parts.push(`Next: pip install --no-deps ${shellWord(place)}, and H5Z_HSDS=1 in the environment of HSDS.`);
  else if (!dryRun) parts.push(`Next: restart HSDS${hsds ? ` ${hsds}` : ''} with H5Z_HSDS=1 in its environment.`);
  return parts.join('\n\n');
}

function uninstallInWords({ place, removed, version, filters }: UninstallReport): string {
  if (!removed) return `Nothing of h5z is installed in ${place}.`;
  const what =
    version === undefined ? 'What was left of an installation' : `h5z-hsds ${version} with ${filters.length} filters`;
  return `${what} was removed from ${place}. Restart HSDS.`;
}

/** A value of the Python package's answer, whose shape is its own. */
const textOf = (value: unknown): string => (value === null || value === undefined ? '-' : String(value));

interface PythonFilter {
  readonly id?: number;
  readonly name?: string;
  readonly ok?: boolean;
  readonly result?: string;
  readonly problem?: string | null;
}

const filtersOf = (answer: Readonly<Record<string, unknown>> | undefined): readonly PythonFilter[] =>
  Array.isArray(answer?.filters) ? (answer.filters as PythonFilter[]) : [];

/** Ours and the Python package's, in words. */
function problemsOf(report: StatusReport): string[] {
  const { problem } = report.python ?? {};
  const hsds = report.python?.hsds as { version?: unknown; problem?: unknown } | undefined;
  return [
    ...report.problems,
    ...(typeof problem === 'string' ? [problem] : []),
    ...(hsds?.version && typeof hsds.problem === 'string' ? [hsds.problem] : []),
    ...filtersOf(report.python).flatMap(({ name, problem }) => (problem ? [`${name}: ${problem}`] : [])),
  ];
}

function statusInWords(report: StatusReport): string {
  const { environment, place, installed, version, platform, filters, python } = report;
  const rows = [['place', place]];
  if (environment) rows.push(['python', `${environment.python} ${environment.version}, ${environment.platform}`]);
  for (const name of ['hsds', 'h5pyd'] as const) {
    const said = python?.[name] as { version?: unknown; ok?: unknown; problem?: unknown } | undefined;
    const there = environment?.[name]?.version;
    const note = said?.ok === true ? ', supported' : said === undefined ? '' : ', not supported';
    if (environment) rows.push([name, `${there ?? 'not installed'}${there === undefined ? '' : note}`]);
  }
  const numpy = python?.numpy as { version?: unknown; note?: unknown } | undefined;
  if (numpy?.version) rows.push(['numpy', [numpy.version, numpy.note].filter(Boolean).join(': ')]);
  rows.push(['h5z-hsds', installed ? `${version} for ${platform}` : 'not installed']);
  if (python) {
    const on = python.enabled === true;
    rows.push([
      'switched',
      on ? 'on: H5Z_HSDS=1 is set here' : 'by H5Z_HSDS=1 in the environment of HSDS; not set here',
    ]);
  }
  const parts = [table(rows)];
  const states = new Map(filtersOf(python).map((one) => [one.id, one]));
  if (filters.length > 0) {
    const lines = filters.map(({ id, name, package: npmName, packageVersion }) => [
      String(id),
      name,
      `${npmName} ${packageVersion}`,
      states.size === 0 ? '-' : states.get(id)?.ok === true ? 'ok' : 'failed',
    ]);
    parts.push(table([['ID', 'FILTER', 'PACKAGE', 'STATE'], ...lines]));
  }
  const problems = problemsOf(report);
  if (problems.length > 0) parts.push(table([['PROBLEM'], ...problems.map((text) => [text])]));
  return parts.join('\n\n');
}

function selfTestInWords({ ok, python }: SelfTestReport): string {
  const tested = filtersOf(python);
  const rows = tested.map(({ id, name, result, problem }) => [String(id), textOf(name), textOf(result), problem ?? '']);
  const failed = tested.filter(({ result }) => result === 'failed').length;
  const problem = typeof python.problem === 'string' ? `\n\n${python.problem}` : '';
  const sum = ok ? `All ${tested.length} filters work here.` : `${failed} of ${tested.length} filters failed.`;
  return `${table([['ID', 'FILTER', 'RESULT', 'WHY'], ...rows])}\n\n${sum}${problem}`;
}
