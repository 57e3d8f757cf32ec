// ./farm new-filter: a folder to start from.

import { relative } from 'node:path';
import type { Command } from '../command.ts';
import { FarmError } from '../log.ts';
import { newFilter } from '../new-filter/index.ts';
import { ROOT } from '../paths.ts';

export const command: Command = {
  name: 'new-filter',
  summary: 'Make a filter folder with a small codec that works, to be replaced by yours',
  positionals: 'NAME',
  options: {
    id: { type: 'string', value: 'N', doc: 'HDF5 filter ID; 32768 to 65535 are free for private use' },
    title: { type: 'string', value: 'TEXT', doc: 'one line for people; default: the name' },
  },
  help: 'Then: ./farm build NAME, and ./farm test --only conformance. Nothing outside filters/NAME changes.',
  order: 70,
  async run(args) {
    const [name] = args.positionals;
    const id = args.text('id');
    if (name === undefined || id === undefined) throw new FarmError('say ./farm new-filter NAME --id 32768');
    const folder = await newFilter({ name, id: Number(id), title: args.text('title') });
    process.stdout.write(`${relative(ROOT, folder)}\n`);
    return 0;
  },
};
