// The checks that read the repository without running it. ./farm lint shows them, ./farm test counts them.

import { join } from 'node:path';
import { descriptionProblems } from './describe-check.ts';
import { type RunResult, run } from './exec.ts';
import { ROOT } from './paths.ts';

export interface Check {
  readonly name: string;
  readonly passed: boolean;
  /** What the tool said; for people. */
  readonly output: string;
}

/** Runs a program that came with `npm ci`, on this Node. */
const tool = (file: string, args: readonly string[]): Promise<RunResult> =>
  run(process.execPath, [join(ROOT, 'node_modules', file), ...args], { cwd: ROOT, allowFailure: true });

/** Registries and machines differ: a lock file that names hosts would tie the project to one. */
async function lockFile(): Promise<RunResult> {
  const found = await run('git', ['grep', '-nE', '"resolved": "https?:', '--', 'package-lock.json'], {
    cwd: ROOT,
    allowFailure: true,
  });
  if (found.status !== 0) return { ...found, status: 0 };
  const hint = 'Remove them: npm install --package-lock-only --omit-lockfile-registry-resolved';
  return { status: 1, stdout: `package-lock.json names registry hosts. ${hint}\n`, stderr: '' };
}

async function descriptions(): Promise<RunResult> {
  const problems = descriptionProblems();
  return { status: problems.length > 0 ? 1 : 0, stdout: problems.map((line) => `${line}\n`).join(''), stderr: '' };
}

export async function lint(options: { fix?: boolean } = {}): Promise<Check[]> {
  const checks: [string, () => Promise<RunResult>][] = [
    [
      'format, lint rules, dependency directions',
      () =>
        tool('@biomejs/biome/bin/biome', ['check', '--max-diagnostics=50', ...(options.fix ? ['--write'] : []), '.']),
    ],
    ['types of the packages', () => tool('typescript/bin/tsc', ['-b'])],
    ['types of the farm and the tests', () => tool('typescript/bin/tsc', ['-p', 'tsconfig.tools.json'])],
    ['lock file without hosts', lockFile],
    ['filter.json: schema, IDs, upstreams', descriptions],
  ];
  const results: Check[] = [];
  for (const [name, check] of checks) {
    const { status, stdout, stderr } = await check();
    results.push({ name, passed: status === 0, output: stdout + stderr });
  }
  return results;
}
