// ./farm test: every check of the project, with its own set-up, ending in one line that counts them.

import type { Command } from '../command.ts';
import { FarmError } from '../log.ts';

export const command: Command = {
  name: 'test',
  summary: 'Set up, build and run every test: lint, fuzzing, conformance, peers, browsers, packages',
  positionals: '[filters of test files...]',
  options: {
    json: { type: 'boolean', doc: 'print the result as JSON instead of lines' },
    'no-build': { type: 'boolean', doc: 'test what is built already' },
    nightly: { type: 'boolean', doc: 'also what only a nightly run is worth: packages under Bun' },
    'fuzz-seconds': {
      type: 'string',
      value: 'N',
      doc: 'time for each filter under the fuzzer; default 5, 0 leaves it out',
    },
  },
  help: `Examples:
  ./farm test                        everything (what CI runs)
  ./farm test --no-build core golden only test files whose path has "core" or "golden"; no lint, no fuzzing
The last line is "N passed, N failed, N skipped". A skipped check names its reason; it is never counted as passed.`,
  order: 12,
  async run(args) {
    const text = args.text('fuzz-seconds') ?? '5';
    if (!/^\d+$/.test(text)) throw new FarmError(`--fuzz-seconds takes a whole number, not "${text}".`);
    const { test } = await import('../test.ts');
    const result = await test({
      only: args.positionals,
      build: !args.flag('no-build'),
      fuzzSeconds: Number(text),
      nightly: args.flag('nightly'),
    });
    const line = `${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`;
    process.stdout.write(args.flag('json') ? `${JSON.stringify(result, null, 2)}\n` : `${line}\n`);
    return result.failed === 0 ? 0 : 1;
  },
};
