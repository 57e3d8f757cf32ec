// ./farm task: one target of one filter, now. Nx calls this; so may you.

import { task } from '../build.ts';
import type { Command } from '../command.ts';
import { FarmError } from '../log.ts';

export const command: Command = {
  name: 'task',
  summary: 'Build one target of one filter: the action behind Nx and ./farm build',
  positionals: 'FILTER TARGET',
  help: 'Targets: a platform such as linux-arm64, wasm, h5wasm, pack. Example: ./farm task zstd wasm',
  order: 35,
  async run(args) {
    const [filter, target] = args.positionals;
    if (filter === undefined || target === undefined) throw new FarmError('say what to build: ./farm task zstd wasm');
    await task(filter, target);
    return 0;
  },
};
