// ./farm matrix: filter x target, for CI systems that spread a build over machines.

import type { Command } from '../command.ts';
import { readFilters } from '../filters.ts';
import { table } from '../log.ts';
import { filterPlans } from '../targets.ts';

export const command: Command = {
  name: 'matrix',
  summary: 'List every filter and target that can be built',
  options: { json: { type: 'boolean', doc: 'print [{filter, target, toolchain, outputs}]' } },
  order: 65,
  async run(args) {
    const rows = (await readFilters()).flatMap((filter) =>
      filterPlans(filter.description).map(({ target, toolchain, outputs }) => ({
        filter: filter.name,
        target,
        toolchain,
        outputs: outputs.map((file) => `filters/${filter.name}/${file}`),
      })),
    );
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
