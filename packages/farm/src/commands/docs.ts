// ./farm docs: the pages made from data.

import type { Command } from '../command.ts';

export const command: Command = {
  name: 'docs',
  summary: 'Write the pages made from data: one per filter, the catalogue, the benchmarks.',
  order: 60,
  async run() {
    const { writeDocs } = await import('../docs.ts');
    for (const file of writeDocs()) process.stdout.write(`${file}\n`);
    return 0;
  },
};
