// ./farm fuzz: filters under libFuzzer, for as long as one likes; ./farm test gives each five seconds.

import type { Command } from '../command.ts';
import { selectFilters } from '../filters.ts';
import { fuzz, sharersFirst, sharingObjects } from '../fuzz.ts';
import { FarmError, say, step, table } from '../log.ts';
import { ensureClang } from '../tools.ts';

export const command: Command = {
  name: 'fuzz',
  summary: 'Run filters under libFuzzer with AddressSanitizer and UBSan, from their golden chunks',
  positionals: '[filters...]',
  options: {
    seconds: { type: 'string', value: 'N', doc: 'time for each filter; default 60' },
    json: { type: 'boolean', doc: 'print [{filter, passed, output}]' },
  },
  help: `Example:
  ./farm fuzz zfp --seconds 600
What breaks a rule is kept in out/fuzz/<filter>/, with the command that shows it again. Exit status 1 then.`,
  order: 14,
  async run(args) {
    const text = args.text('seconds') ?? '60';
    if (!/^[1-9]\d*$/.test(text)) throw new FarmError(`--seconds takes a whole number above 0, not "${text}".`);
    const chosen = await sharersFirst(await selectFilters(args.positionals));
    const compiler = await ensureClang();
    const results: { filter: string; passed: boolean; output: string }[] = [];
    const all = async (): Promise<void> => {
      for (const filter of chosen) {
        const found = await step(`fuzzing ${filter.name} for ${text} s`, () => fuzz(filter, compiler, Number(text)));
        if (!found.passed) say(found.output);
        results.push({ filter: filter.name, ...found });
      }
    };
    await (chosen.length > 1 ? sharingObjects(all) : all());
    const rows = results.map(({ filter, passed }) => [filter, passed ? 'ok' : 'FAILED']);
    process.stdout.write(
      args.flag('json') ? `${JSON.stringify(results, null, 2)}\n` : `${table(['filter', ''], rows)}\n`,
    );
    return results.every(({ passed }) => passed) ? 0 : 1;
  },
};
