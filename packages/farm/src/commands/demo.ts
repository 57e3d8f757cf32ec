// ./farm demo: the whole way from C to real files, on one screen.

import type { Command } from '../command.ts';

export const command: Command = {
  name: 'demo',
  summary: 'Build, publish to a local registry, npm install, decode real files, compare: one table.',
  order: 10,
  options: {
    hsds: { type: 'boolean', doc: 'Show HSDS before and after npx h5z hsds install, on the same real files.' },
    json: { type: 'boolean', doc: 'Print the rows as JSON instead of a table.' },
    'no-build': { type: 'boolean', doc: 'Use what was built before.' },
  },
  help: `Decodes the corpus in ../shared where there is one, else HDF5 files from published Python packages.
Takes up to ten minutes the first time (toolchains are fetched), under a minute later. Exit status 1 on any mismatch.

With --hsds a real HSDS, from its Python package, serves one dataset for every filter: first as it is, then with the filters.
That takes some minutes more, half a minute of which HSDS spends on trying again what it cannot decode. The servers listen
on unix sockets alone and are stopped at the end.`,
  async run(args) {
    const options = { json: args.flag('json'), build: !args.flag('no-build') };
    if (args.flag('hsds')) return (await (await import('../demo-hsds.ts')).demoHsds(options)) ? 0 : 1;
    return (await (await import('../demo.ts')).demo(options)) ? 0 : 1;
  },
};
