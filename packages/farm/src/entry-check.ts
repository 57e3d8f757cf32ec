// What a package's entry points and types look like to others, by the tools that know: publint and arethetypeswrong.

import { readFileSync } from 'node:fs';
import { checkPackage as checkTypes, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { readTarball } from './tarball.ts';

/** Their complaints about a `.tgz` that has entry points; empty when there are none. */
export async function entryProblems(path: string): Promise<string[]> {
  const tarball = readFileSync(path);
  const files = readTarball(tarball);
  const pkg = JSON.parse(files.get('package.json')?.toString('utf8') ?? '{}') as { exports?: unknown; bin?: unknown };
  if (pkg.exports === undefined && pkg.bin === undefined) return [];
  const entries = [...files].map(([name, data]) => ({ name: `package/${name}`, data }));
  const { messages, pkg: linted } = await publint({ pkgDir: 'package', level: 'warning', pack: { files: entries } });
  const problems = messages.map(
    (message) => `publint: ${formatMessage(message, linted, { color: false }) ?? message.code}`,
  );
  // A package of programs alone has nothing to import, and so no types.
  return pkg.exports === undefined ? problems : [...problems, ...(await typeProblems(tarball))];
}

/** What arethetypeswrong finds, in the resolution modes that can load ES modules. */
async function typeProblems(tarball: Uint8Array): Promise<string[]> {
  const result = await checkTypes(createPackageFromTarballData(tarball));
  if (result.types === false) return ['types: the package has no types'];
  // ES modules only: require() (CJSResolvesToESM) and resolution without "exports" (node10) do not apply.
  const ignored = new Set(['node10', 'node16-cjs']);
  return result.problems
    .filter((problem) => problem.kind !== 'CJSResolvesToESM')
    .filter((problem) => !('resolutionKind' in problem && ignored.has(problem.resolutionKind)))
    .map((problem) => `types: ${problem.kind}${'entrypoint' in problem ? ` of ${problem.entrypoint}` : ''}`);
}
