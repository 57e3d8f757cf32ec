// ./farm tools: gets compilers into the cache and prints where they lie.

import { join } from 'node:path';
import type { Command } from '../command.ts';
import { FarmError, table } from '../log.ts';
import {
  ensureCargo,
  ensureClang,
  ensureCmake,
  ensureEmscripten,
  ensureH5web,
  ensureHdf5s,
  ensureHsds,
  ensureNodes,
  ensurePythonPeers,
  ensureZig,
} from '../tools.ts';

const KNOWN: Readonly<Record<string, () => Promise<Record<string, string>>>> = {
  zig: async () => {
    const zig = await ensureZig();
    return { 'zig-cc': join(zig.bin, 'zig-cc'), 'zig-c++': join(zig.bin, 'zig-c++') };
  },
  emscripten: async () => {
    const emscripten = await ensureEmscripten();
    return { emcc: join(emscripten.bin, 'emcc'), 'em++': join(emscripten.bin, 'em++') };
  },
  cargo: async () => ({ cargo: await ensureCargo() }),
  cmake: async () => ({ ...(await ensureCmake()) }),
  python: async () => ({ 'python with h5py': await ensurePythonPeers() }),
  hsds: async () => ({ 'python with HSDS': await ensureHsds() }),
  hdf5: async () =>
    Object.fromEntries(Object.entries(await ensureHdf5s()).map(([series, path]) => [`libhdf5 ${series}`, path])),
  h5web: async () => ({ 'folder of h5web': await ensureH5web() }),
  node: async () =>
    Object.fromEntries(Object.entries(await ensureNodes()).map(([version, path]) => [`node ${version}`, path])),
  clang: async () => ({ 'clang with libFuzzer': await ensureClang() }),
};

export const command: Command = {
  name: 'tools',
  summary:
    'Get tools (zig, emscripten, cmake, cargo, python, hsds, hdf5, h5web, node, clang) into the cache and print their paths',
  positionals: '[names...]',
  options: { json: { type: 'boolean', doc: 'print {tool: path} as JSON' } },
  help: 'Without names: zig, emscripten and cmake, which is what a build needs.',
  order: 60,
  async run(args) {
    const names = args.positionals.length > 0 ? args.positionals : ['zig', 'emscripten', 'cmake'];
    const paths: Record<string, string> = {};
    for (const name of names) {
      const get = KNOWN[name];
      if (get === undefined) throw new FarmError(`no tool "${name}". Known: ${Object.keys(KNOWN).join(', ')}.`);
      Object.assign(paths, await get());
    }
    const text = args.flag('json') ? JSON.stringify(paths, null, 2) : table(['tool', 'path'], Object.entries(paths));
    process.stdout.write(`${text}\n`);
    return 0;
  },
};
