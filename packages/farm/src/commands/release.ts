// ./farm release: packed, checked, published, tagged; or rehearsed.

import { join } from 'node:path';
import type { Command } from '../command.ts';

export const command: Command = {
  name: 'release',
  summary: 'Publish every package that the registry lacks, all or nothing for who installs; --rehearse tries it here.',
  positionals: '[filters or packages...]',
  order: 45,
  options: {
    rehearse: {
      type: 'boolean',
      doc: 'to the embedded registry, twice, and installed back; nothing leaves the machine',
    },
    registry: { type: 'string', value: 'URL', doc: 'the registry to publish to; default: the one npm is set up for' },
    'push-tags': { type: 'boolean', doc: 'push the tags to origin when all is published' },
    forget: { type: 'boolean', doc: 'leave an unfinished release and start anew' },
    json: { type: 'boolean', doc: 'print what was released, as {registry, commit, resumed, packages}' },
  },
  help: `Build first, all targets (./farm build --targets all). Versions come from ./farm version --apply, committed.

What happens: pack; check (publint, types, licences, sizes, hashes, bill of materials, catalogue, changelog); publish what is
absent, dependencies first, under the dist-tag h5z-staging, with provenance where the CI offers it; read everything back;
move latest, dependencies first; tag NAME@VERSION in git (--push-tags, or git push --tags later).

While changesets wait in .changeset/ nothing is released: their versions come first.

Killed or failed anywhere, run the same command again: it asks the registry what is there and does what lacks. The tarballs and
the journal are in out/release. A version that is published with other bytes is a stop.

A rehearsal builds first what is not built: everything for every platform, or the packages named and what they depend on
for this machine.

  ./farm release --rehearse zstd      one filter and what it needs, in a minute or two
  ./farm release --rehearse           everything; from a clean clone about an hour
  ./farm release                      for real; npm must be logged in`,
  async run(args) {
    const { FarmError, say, table } = await import('../log.ts');
    const { ROOT } = await import('../paths.ts');
    const { explainDisk, readJournal } = await import('../release-journal.ts');
    const { forget, release } = await import('../release.ts');
    const { packForEverybody, packRehearsal } = await import('../release-pack.ts');
    const rehearsing = args.flag('rehearse');
    if (args.positionals.length > 0 && !rehearsing)
      throw new FarmError(
        'a release is of everything, so that no package waits for another. Only --rehearse takes names.',
      );
    const onStep = ({ name, done, number, of }: { name: string; done: boolean; number: number; of: number }): void => {
      if (!done) say(`[${number}/${of}] ${name}`);
    };
    const print = (value: object, header: string[], rows: string[][]): void => {
      process.stdout.write(args.flag('json') ? `${JSON.stringify(value, null, 1)}\n` : `${table(header, rows)}\n`);
    };
    const folder = join(ROOT, 'out/release');
    try {
      if (rehearsing) {
        const { rehearse } = await import('../rehearse.ts');
        const packed = await packRehearsal(join(ROOT, 'out/rehearsal'), args.positionals);
        const problems = packed.flatMap((one) => one.problems.map((text) => `${one.name}: ${text}`));
        if (problems.length > 0) throw new FarmError(`nothing was published:\n  ${problems.join('\n  ')}`);
        const { released, installed } = await rehearse(packed, onStep);
        const rows = installed.map(({ manager, packages, native, upgraded }) => [
          manager,
          String(released.packages.length),
          String(packages),
          String(native),
          'yes',
          upgraded ?? '',
        ]);
        print(
          { ...released, installed },
          ['installed by', 'published', 'filters decoding', 'natively', 'again offline', 'upgraded'],
          rows,
        );
        return 0;
      }
      const { npmTarget } = await import('../release-target.ts');
      if (args.flag('forget')) forget(folder);
      const { planVersions } = await import('../versions.ts');
      const pending = (await planVersions()).packages;
      // What was begun is finished first.
      if (pending.length > 0 && readJournal(join(folder, 'journal.json'))?.finished !== false) {
        say(`${pending.length} packages wait for ./farm version --apply to be committed: nothing is released before.`);
        print(
          { pending },
          ['package', 'waits for'],
          pending.map(({ name, to }) => [name, to]),
        );
        return 0;
      }
      const released = await release({
        pack: () => packForEverybody(join(folder, 'pack')),
        target: await npmTarget(ROOT, args.text('registry')),
        folder,
        repository: ROOT,
        onStep,
      });
      const rows = released.packages.map(({ name, version, published, integrity }) => [
        name,
        version,
        published ? 'published' : 'was there',
        integrity.slice(0, 20),
      ]);
      print(released, ['package', 'version', 'state', 'integrity'], rows);
      if (args.flag('push-tags')) {
        const { run } = await import('../exec.ts');
        const tags = released.packages.map(({ name, version }) => `refs/tags/${name}@${version}`);
        await run('git', ['push', 'origin', ...tags], { cwd: ROOT });
        say(`released to ${released.registry}, tags pushed`);
      } else say(`released to ${released.registry}. Push the tags: git push --tags`);
      return 0;
    } catch (error) {
      throw explainDisk(folder, error);
    }
  },
};
