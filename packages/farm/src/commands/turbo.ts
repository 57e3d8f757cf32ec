// ./farm turbo: a build that machines share, through Turborepo and a signed remote cache.

import type { Command } from '../command.ts';
import { table } from '../log.ts';
import { turbo } from '../turbo.ts';

export const command: Command = {
  name: 'turbo',
  summary: 'Build filters through Turborepo: what another machine built comes from the remote cache, signed',
  positionals: '[filters...]',
  options: {
    targets: { type: 'string', value: 'LIST', doc: 'as in ./farm build; default host', multiple: true },
    json: { type: 'boolean', doc: 'print [{filter, target, cache: local | remote | built}]' },
  },
  help: `The remote cache is what TURBO_API (its address), TURBO_TOKEN and TURBO_TEAM say; TURBO_REMOTE_CACHE_SIGNATURE_KEY signs what
goes there and checks what comes. What is not signed with it is built here instead. Without TURBO_API only the local cache
is used. One machine by itself is better off with ./farm build (Nx); releases use no cache at all.`,
  order: 36,
  async run(args) {
    const results = await turbo(args.positionals, args.list('targets'));
    const text = args.flag('json')
      ? JSON.stringify(results, null, 2)
      : table(
          ['filter', 'target', 'from'],
          results.map(({ filter, target, cache }) => [filter, target, cache]),
        );
    process.stdout.write(`${text}\n`);
    return 0;
  },
};
