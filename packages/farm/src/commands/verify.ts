// ./farm verify: the libraries of every platform, run on golden chunks as far as this machine can.

import type { Command } from '../command.ts';
import { selectFilters } from '../filters.ts';
import { FarmError, say, table } from '../log.ts';
import { hostPlatform } from '../targets.ts';

export const command: Command = {
  name: 'verify',
  summary: 'Run the libraries of every platform on golden chunks: under their own libc, qemu-user, wine',
  positionals: '[filters...]',
  options: {
    targets: {
      type: 'string',
      value: 'LIST',
      doc: 'host, or platforms such as linux-arm64,win32-x64; default: what was built',
      multiple: true,
    },
    json: { type: 'boolean', doc: 'print [{filter, platform, file, level, on, known}]' },
  },
  help: `Levels: executed (golden chunks came out with their digests), loaded, built (why nothing ran it is shown).
Each file is tried once, by its hash; the manifest says the level. Exit status 1 when a library decodes wrongly.`,
  order: 37,
  async run(args) {
    const { builtPlatforms, verifyPlatform } = await import('../verify.ts');
    const { writeDist } = await import('../template/index.ts');
    const verdicts = [];
    const wrong: string[] = [];
    const targets = args.list('targets').map((word) => (word === 'host' ? hostPlatform() : word));
    for (const filter of await selectFilters(args.positionals)) {
      for (const platform of builtPlatforms(filter.dir, targets)) {
        try {
          verdicts.push(await verifyPlatform(filter.dir, platform));
        } catch (error) {
          if (!(error instanceof FarmError)) throw error;
          say(error.message);
          wrong.push(`${filter.name} ${platform}`);
        }
      }
      writeDist(filter.dir);
    }
    if (args.flag('json')) process.stdout.write(`${JSON.stringify(verdicts, null, 2)}\n`);
    else {
      const rows = verdicts.map(({ filter, platform, level, on, known }) => [
        filter,
        platform,
        level,
        `${on}${known ? ' (known)' : ''}`,
      ]);
      process.stdout.write(`${table(['filter', 'platform', 'level', 'on'], rows)}\n`);
    }
    if (wrong.length > 0) say(`WRONG: ${wrong.join(', ')}`);
    return wrong.length === 0 ? 0 : 1;
  },
};
