// Runs peer.py: h5py + hdf5plugin, the other side of the h5wasm tests.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { env } from '../support/env.ts';

/** What peer.py says of one dataset. */
export interface Answer {
  /** Of the values as little-endian, packed, C-order bytes. */
  readonly sha256?: string;
  /** Why the peer would not write it. */
  readonly refused?: string;
  /** Why the peer could not read it. */
  readonly error?: string;
  readonly filters?: readonly { readonly id: number; readonly cdValues: number[] }[];
}

/** Runs a command of peer.py; `plan` goes to its stdin. Answers by dataset. */
export function peer(
  command: 'write' | 'read' | 'types' | 'host',
  file: string,
  plan?: unknown,
): Record<string, Answer> {
  return run([command, file], plan) as Record<string, Answer>;
}

/** Those of `ids` whose filters h5py + hdf5plugin have. */
export function peerKnows(ids: readonly number[]): number[] {
  return run(['knows', '-'], ids) as number[];
}

function run(args: readonly string[], input?: unknown): unknown {
  if (!env.python) throw new Error('peer.py needs H5Z_PYTHON');
  const script = fileURLToPath(new URL('./peer.py', import.meta.url));
  const out = execFileSync(env.python, [script, ...args], {
    input: input === undefined ? '' : JSON.stringify(input),
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  return JSON.parse(out);
}
