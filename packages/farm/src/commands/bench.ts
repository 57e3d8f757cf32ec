// ./farm bench: ours and the peers in one alternating run.

import type { Command } from '../command.ts';

export const command: Command = {
  name: 'bench',
  summary: 'Time every filter beside its peer: hdf5plugin, numcodecs.js, h5wasm-plugins.',
  order: 50,
  options: {
    json: { type: 'boolean', doc: 'Print the result as JSON on stdout.' },
    only: {
      type: 'string',
      value: 'WORD',
      doc: 'reading, hsds, or suites (native, wasm, h5wasm, variants) and filters whose name holds WORD, or SUITE/FILTER; these kept with --keep alone.',
    },
    keep: { type: 'boolean', doc: 'With --only: put the new rows in the place of the old ones, with their date.' },
    'no-build': { type: 'boolean', doc: 'Use what was built before.' },
    rounds: { type: 'string', value: 'N', doc: 'Alternating rounds; default 7.' },
  },
  help: 'A full run is kept in docs/data/bench.json and becomes docs/benchmarks.md. Leave the machine alone meanwhile.',
  async run(args) {
    const { runBench } = await import('../bench.ts');
    await runBench({
      json: args.flag('json'),
      build: !args.flag('no-build'),
      only: args.text('only'),
      rounds: args.text('rounds'),
      keep: args.flag('keep'),
    });
    return 0;
  },
};
