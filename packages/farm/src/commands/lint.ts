// ./farm lint: formatting, lint rules (dependency directions among them, see biome.json) and types.

import type { Command } from '../command.ts';
import { lint } from '../lint.ts';
import { table } from '../log.ts';

export const command: Command = {
  name: 'lint',
  summary: 'Check formatting, lint rules, dependency directions and types',
  options: { fix: { type: 'boolean', doc: 'format, and mend what can be mended safely' } },
  order: 30,
  async run(args) {
    const checks = await lint({ fix: args.flag('fix') });
    for (const check of checks) if (!check.passed) process.stdout.write(`${check.output.trimEnd()}\n\n`);
    process.stdout.write(
      `${table(
        ['check', 'result'],
        checks.map((check) => [check.name, check.passed ? 'ok' : 'FAILED: see above']),
      )}\n`,
    );
    return checks.every((check) => check.passed) ? 0 : 1;
  },
};
