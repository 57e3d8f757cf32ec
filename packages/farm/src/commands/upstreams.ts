// ./farm upstreams: which pinned codecs have newer releases, and the change of a pin, as a pull request if wished.

import type { Command } from '../command.ts';
import { FarmError, say, table } from '../log.ts';
import { openPullRequest } from '../pull-request.ts';
import { isOutdated, proposalOf, updateUpstream, watchUpstreams } from '../watch.ts';

export const command: Command = {
  name: 'upstreams',
  summary: 'List the pinned upstreams beside the newest releases of their registries; update pins',
  positionals: '[upstreams...]',
  options: {
    update: {
      type: 'boolean',
      doc: 'write the newest releases into upstreams/<name>/upstream.json, with their tree hashes',
    },
    'pull-request': { type: 'boolean', doc: 'with --update: one branch and pull request for each, by git and gh' },
    json: { type: 'boolean', doc: 'print [{upstream, version, registry, package, pinned, newest}]' },
  },
  help: `A pin is changed by its first outdated place; places that do not hold the same tree fall out. Edits of the sources that
no longer match stop the next build with their names. Debian's packages are not asked.`,
  order: 66,
  async run(args) {
    if (args.flag('pull-request') && !args.flag('update')) throw new FarmError('--pull-request goes with --update.');
    const rows = await watchUpstreams(args.positionals);
    if (args.flag('update')) {
      const outdated = rows.filter(isOutdated);
      const first = outdated.filter((row, i) => outdated.findIndex(({ upstream }) => upstream === row.upstream) === i);
      for (const row of first) {
        const file = await updateUpstream(row);
        say(`${row.upstream}: ${row.package} ${row.pinned} -> ${row.newest}`);
        if (args.flag('pull-request')) say(await openPullRequest(proposalOf(row, file)));
      }
    }
    const text = args.flag('json')
      ? JSON.stringify(rows, null, 2)
      : table(
          ['upstream', 'version', 'registry', 'package', 'pinned', 'newest', ''],
          rows.map((row) => [
            row.upstream,
            row.version,
            row.registry,
            row.package,
            row.pinned,
            row.newest ?? '',
            isOutdated(row) ? 'newer' : '',
          ]),
        );
    process.stdout.write(`${text}\n`);
    return 0;
  },
};
