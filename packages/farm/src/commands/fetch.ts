// ./farm fetch: upstream sources into the cache, held to their pins. Afterwards a build needs no network.

import { join } from 'node:path';
import type { Command } from '../command.ts';
import { readFilters } from '../filters.ts';
import { table } from '../log.ts';
import {
  ensureSource,
  fetchPackage,
  listUpstreams,
  readUpstream,
  treeHash,
  type Upstream,
  upstreamsOf,
} from '../sources.ts';
import { ensureCmake, ensureEmscripten, ensureZig } from '../tools.ts';

export const command: Command = {
  name: 'fetch',
  summary: 'Get upstream sources and compilers into the cache, verified; afterwards builds need no network',
  positionals: '[upstreams...]',
  options: {
    'print-tree': {
      type: 'boolean',
      doc: 'print the tree hash that each place of the named upstreams gives; pin nothing',
    },
  },
  help: 'H5Z_OFFLINE=1 then forbids every fetch: what is missing is an error instead.',
  order: 20,
  async run(args) {
    if (args.flag('print-tree')) {
      const rows: string[][] = [];
      for (const name of args.positionals) {
        const upstream = await readUpstream(name);
        for (const place of upstream.from) {
          const hash = await treeHash(join(await fetchPackage(place), place.path), upstream.files);
          rows.push([name, JSON.stringify(place), hash]);
        }
      }
      process.stdout.write(`${table(['upstream', 'place', 'tree'], rows)}\n`);
      return 0;
    }
    const upstreams = new Map<string, Upstream>();
    const names = args.positionals.length > 0 ? args.positionals : await listUpstreams();
    for (const name of names) {
      const upstream = await readUpstream(name);
      upstreams.set(upstream.tree, upstream);
    }
    if (args.positionals.length === 0) {
      for (const filter of await readFilters())
        for (const upstream of await upstreamsOf(filter)) upstreams.set(upstream.tree, upstream);
      await ensureCmake();
      await ensureZig();
      await ensureEmscripten();
    }
    const rows: string[][] = [];
    for (const upstream of upstreams.values())
      rows.push([upstream.name, upstream.version, await ensureSource(upstream)]);
    process.stdout.write(`${table(['upstream', 'version', 'tree'], rows)}\n`);
    return 0;
  },
};
