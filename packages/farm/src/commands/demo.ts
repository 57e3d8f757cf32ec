// ./farm demo: the whole way from C to real files, on one screen.

import type { Command } from '../command.ts';

export const command: Command = {
  name: 'demo',
  summary: 'Build, publish to a local registry, npm install, decode real files, compare: one table.',
  order: 10,
  options: {
    json: { type: 'boolean', doc: 'Print the rows as JSON instead of a table.' },
    'no-build': { type: 'boolean', doc: 'Use what was built before.' },
  },
  help: `Decodes the corpus in ../shared where there is one, else HDF5 files from published Python packages.
Takes up to ten minutes the first time (toolchains are fetched), under a minute later. Exit status 1 on any mismatch.`,
  async run(args) {
    const { demo } = await import('../demo.ts');
    return (await demo({ json: args.flag('json'), build: !args.flag('no-build') })) ? 0 : 1;
  },
};
