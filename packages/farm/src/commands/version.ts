// ./farm version: what the changesets ask for, shown or written.

import type { Command } from '../command.ts';

export const command: Command = {
  name: 'version',
  summary: 'Show the versions that the changesets ask for, or write them (--apply).',
  order: 42,
  options: {
    apply: { type: 'boolean', doc: 'write versions and changelogs, remove the changesets' },
    'pull-request': { type: 'boolean', doc: 'with --apply: as a pull request, by git and gh' },
    json: { type: 'boolean', doc: 'print [{name, from, to, type, changesets}]' },
  },
  help: `A changeset is a file in .changeset/ that names packages, how far each moves, and why; .changeset/README.md shows one.
Packages that depend on one that moves move too. Without --apply nothing is written.

  ./farm version                   what will come
  ./farm version --apply           write it; then look at git diff, commit`,
  async run(args) {
    const { planVersions } = await import('../versions.ts');
    const { FarmError, table, say } = await import('../log.ts');
    if (args.flag('pull-request') && !args.flag('apply')) throw new FarmError('--pull-request goes with --apply.');
    const plan = await planVersions();
    const { packages } = plan;
    if (args.flag('json')) process.stdout.write(`${JSON.stringify(packages, null, 1)}\n`);
    else if (packages.length === 0) say('no changesets in .changeset/: every version stays. Its README.md shows one.');
    else {
      const rows = packages.map(({ name, from, to, type, changesets }) => [
        name,
        from,
        to,
        type,
        changesets.length === 0 ? 'follows its dependencies' : changesets.join(', '),
      ]);
      process.stdout.write(`${table(['package', 'from', 'to', 'type', 'because of'], rows)}\n`);
    }
    if (args.flag('apply') && packages.length > 0) {
      const touched = await plan.apply();
      if (!args.flag('pull-request')) say(`wrote ${touched.length} files. Look at git diff and commit them.`);
      else {
        const { openPullRequest } = await import('../pull-request.ts');
        const body = packages.map(({ name, from, to }) => `- ${name} ${from} -> ${to}`).join('\n');
        const title = 'Versions that the changesets ask for';
        say(await openPullRequest({ branch: 'versions', title, body, files: touched }));
      }
    }
    return 0;
  },
};
