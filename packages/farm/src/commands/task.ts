// ./farm task: one target of one filter, now. Nx calls this; so may you.

import { resolve } from 'node:path';
import { task } from '../build.ts';
import type { Command } from '../command.ts';
import { refuseLies } from '../describe-check.ts';
import { FarmError } from '../log.ts';
import { copyOutputs } from '../turbo.ts';

export const command: Command = {
  name: 'task',
  summary: 'Build one target of one filter: the action behind Nx and ./farm build',
  positionals: 'FILTER TARGET',
  options: {
    copy: { type: 'string', value: 'DIR', doc: 'put the files into this folder as well, at their paths in the filter' },
  },
  help: 'Targets: a platform such as linux-arm64, wasm, h5wasm, pack. Example: ./farm task zstd wasm',
  order: 35,
  async run(args) {
    const [filter, target] = args.positionals;
    if (filter === undefined || target === undefined) throw new FarmError('say what to build: ./farm task zstd wasm');
    refuseLies('built');
    await task(filter, target);
    const copy = args.text('copy');
    if (copy !== undefined) await copyOutputs(filter, target, resolve(copy));
    return 0;
  },
};
