// ./farm build: everything that is due, through Nx.

import { buildAll } from '../build.ts';
import type { Command } from '../command.ts';
import { refuseLies } from '../describe-check.ts';
import { FarmError, table } from '../log.ts';
import { CROSS } from '../targets.ts';

export const command: Command = {
  name: 'build',
  summary: 'Build filters and packages; what has not changed is left alone',
  positionals: '[filters...]',
  options: {
    targets: {
      type: 'string',
      value: 'LIST',
      doc: 'host (default), cross, all, or names: linux-arm64,wasm,h5wasm ...',
      multiple: true,
    },
    compiler: { type: 'string', value: 'NAME', doc: 'zig (default) or system, for native libraries of this machine' },
    json: { type: 'boolean', doc: 'print what was built as JSON: folder, target, files with size and SHA-256' },
  },
  help: `host: this platform, wasm and h5wasm. cross: what the tests look at too (${CROSS.join(', ')}).
all: every platform, and @h5z/native for each.`,
  order: 30,
  async run(args) {
    const compiler = args.text('compiler') ?? 'zig';
    if (compiler !== 'zig' && compiler !== 'system') throw new FarmError('--compiler is zig or system.');
    refuseLies('built');
    const built = await buildAll({ filters: args.positionals, targets: args.list('targets'), compiler });
    if (args.flag('json')) process.stdout.write(`${JSON.stringify(built, null, 2)}\n`);
    else {
      const rows = built.flatMap(({ target, files }) =>
        files.map(({ path, bytes, sha256 }) => [
          target,
          path,
          bytes.toLocaleString('en').padStart(9),
          sha256.slice(0, 12),
        ]),
      );
      process.stdout.write(`${table(['target', 'file', 'bytes', 'sha256'], rows)}\n`);
    }
    return 0;
  },
};
