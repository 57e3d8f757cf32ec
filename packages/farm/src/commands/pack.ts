// ./farm pack: npm packages in out/packages, checked.

import type { Command } from '../command.ts';

export const command: Command = {
  name: 'pack',
  summary: 'Make the npm packages in out/packages and check them (size, licences, types, hashes).',
  positionals: '[filters or packages...]',
  order: 40,
  help: 'Build first (./farm build). A package with a problem fails the command; it is left in out/packages to look at.',
  async run(args) {
    const { pack } = await import('../pack.ts');
    const { table } = await import('../log.ts');
    const packed = await pack({ only: args.positionals });
    const rows = packed.map(({ name, version, packedBytes, problems }) => [
      name,
      version,
      packedBytes.toLocaleString('en').padStart(12),
      problems.length === 0 ? 'ok' : problems.join('; '),
    ]);
    process.stdout.write(`${table(['package', 'version', 'packed bytes', 'problems'], rows)}\n`);
    return packed.every(({ problems }) => problems.length === 0) ? 0 : 1;
  },
};
