// ./farm reproduce: do the same sources give the same bytes, here or in a registry?

import type { Command } from '../command.ts';
import { FarmError, table } from '../log.ts';

export const command: Command = {
  name: 'reproduce',
  summary: 'Build from nothing at two paths, or a published version once more, and compare every byte',
  positionals: '[filter[@version]]',
  options: {
    targets: {
      type: 'string',
      value: 'LIST',
      doc: 'as for ./farm build; default: host, or what the published version holds',
      multiple: true,
    },
    registry: { type: 'string', value: 'URL', doc: "where the version was published; default: npm's own setting" },
    cold: { type: 'boolean', doc: "build zig's own runtimes anew too: minutes for each platform" },
    json: { type: 'boolean', doc: 'print [{file, target, first, second, same, reason}]' },
  },
  help: `Examples:
  ./farm reproduce zstd                   two clean builds for this machine
  ./farm reproduce sperr --targets all    two clean builds for every platform
  ./farm reproduce @h5z/zstd@1.2.3        what was published against a clean build of this checkout
Exit status 1 when a file differs; the reason stands beside it.`,
  order: 38,
  async run(args) {
    if (args.positionals.length > 1) throw new FarmError('name one filter or none: ./farm reproduce zstd');
    const { reproduce } = await import('../reproduce.ts');
    const compared = await reproduce({
      subject: args.positionals[0],
      targets: args.list('targets'),
      registry: args.text('registry'),
      cold: args.flag('cold'),
    });
    if (args.flag('json')) process.stdout.write(`${JSON.stringify(compared, null, 2)}\n`);
    else {
      const short = (digest: string | undefined): string => digest?.slice(0, 12) ?? '-';
      const rows = compared.map(({ target, file, first, second, same, reason }) => [
        target,
        file,
        short(first),
        short(second),
        same ? 'same' : `DIFFERENT: ${reason}`,
      ]);
      process.stdout.write(`${table(['target', 'file', 'first', 'second', 'result'], rows)}\n`);
    }
    return compared.every(({ same }) => same) ? 0 : 1;
  },
};
