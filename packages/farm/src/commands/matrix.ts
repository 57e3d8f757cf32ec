// ./farm matrix: filter x target, for CI systems that spread a build over machines.

import { appendFileSync } from 'node:fs';
import { matchesGlob } from 'node:path';
import type { Command } from '../command.ts';
import { run } from '../exec.ts';
import { readFilters } from '../filters.ts';
import { FarmError, table } from '../log.ts';
import { ROOT } from '../paths.ts';
import { filterPlans } from '../targets.ts';

export const command: Command = {
  name: 'matrix',
  summary: 'List every filter and target that can be built',
  options: {
    json: { type: 'boolean', doc: 'print [{filter, target, toolchain, outputs}]' },
    affected: { type: 'string', value: 'BASE', doc: 'only what the changes since this commit go into' },
    github: {
      type: 'boolean',
      doc: 'print {"include": [{filter, targets}]}, one job a filter, and set it as the step\'s output "matrix"',
    },
  },
  help: `Examples:
  ./farm matrix --affected origin/main
  ./farm matrix --github                strategy.matrix of a workflow: jobs that call ./farm build FILTER --targets TARGETS`,
  order: 65,
  async run(args) {
    const base = args.text('affected');
    const changed = base === undefined ? undefined : await changesSince(base);
    const rows = (await readFilters()).flatMap((filter) =>
      filterPlans(filter.description)
        .filter(({ inputs }) => !changed || changed.some((file) => inputs.some((glob) => matchesGlob(file, glob))))
        .map(({ target, toolchain, outputs }) => ({
          filter: filter.name,
          target,
          toolchain,
          outputs: outputs.map((file) => `filters/${filter.name}/${file}`),
        })),
    );
    if (args.flag('github')) {
      const include = [...new Set(rows.map(({ filter }) => filter))].map((filter) => {
        const built = rows.filter((row) => row.filter === filter && row.target !== 'pack');
        return { filter, targets: built.map(({ target }) => target).join(',') };
      });
      const matrix = JSON.stringify({ include: include.filter(({ targets }) => targets !== '') });
      if (process.env.GITHUB_OUTPUT) appendFileSync(process.env.GITHUB_OUTPUT, `matrix=${matrix}\n`);
      process.stdout.write(`${matrix}\n`);
      return 0;
    }
    const text = args.flag('json')
      ? JSON.stringify(rows, null, 2)
      : table(
          ['filter', 'target', 'toolchain', 'outputs'],
          rows.map((row) => [row.filter, row.target, row.toolchain, row.outputs.join(' ')]),
        );
    process.stdout.write(`${text}\n`);
    return 0;
  },
};

/** Paths, relative to the repository, that differ from the commit where BASE and this branch part. */
async function changesSince(base: string): Promise<string[]> {
  const { status, stdout } = await run('git', ['diff', '--name-only', '-z', `${base}...HEAD`], {
    cwd: ROOT,
    allowFailure: true,
  });
  if (status !== 0)
    throw new FarmError(
      `git knows no commit ${base} that this branch came from. Fetch it (fetch-depth: 0 in a workflow).`,
    );
  return stdout.split('\0').filter(Boolean);
}
