// Our native libraries under HDF5 for MPI: two processes write datasets together through every filter, and read them; what
// is stored is what one process stores, and serial h5py reads it. cases.ts makes the datasets.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { currentPlatform } from '@h5z/core/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { env, need } from '../support/env.ts';
import { filterFolders } from '../support/packed.ts';
import { type Case, cases } from './cases.ts';

const run = promisify(execFile);
const { python: PYTHON, systemPython: SYSTEM_PYTHON, mpiexec: MPIEXEC } = env;
const LACKING = (['python', 'systemPython', 'mpiexec'] as const).find((name) => !env[name]);

const folder = mkdtempSync(join(tmpdir(), 'h5z-parallel-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Filters that libhdf5 loads; the others are part of it. */
const FILTERS = filterFolders().filter(({ description }) => description.id >= 256);

type Outcomes = Readonly<
  Record<string, { sha256?: string; error?: string; filters?: unknown; masks?: readonly number[] }>
>;
interface Answer {
  /** By filter ID, then by case. */
  readonly answer: Readonly<Record<string, Outcomes>>;
  readonly images: { readonly ours: readonly string[]; readonly hdf5: readonly string[] };
  readonly hdf5: string;
}
interface Job {
  readonly file: string;
  readonly filters: readonly { readonly id: number; readonly cases: readonly Case[] }[];
}

let jobs = 0;
async function answer(act: string, command: readonly string[], job: Job): Promise<Answer> {
  const file = join(folder, `job-${jobs++}.json`);
  writeFileSync(file, JSON.stringify(job));
  const [program, ...args] = [...command, '-X', 'faulthandler', join(import.meta.dirname, 'parallel.py'), act, file];
  const settings = {
    ...process.env,
    HDF5_PLUGIN_PATH: FILTERS.map((filter) => join(filter.folder, 'prebuilds', currentPlatform())).join(delimiter),
    PYTHONDONTWRITEBYTECODE: '1',
    // Open MPI asks for these of root; the processes talk by shared memory, and nothing leaves this machine.
    OMPI_ALLOW_RUN_AS_ROOT: '1',
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    OMPI_MCA_btl: 'self,vader',
    OMPI_MCA_oob_tcp_if_include: 'lo',
  };
  const { stdout } = await run(program as string, args, { env: settings, maxBuffer: 1 << 28, timeout: 150_000 });
  return JSON.parse(stdout) as Answer;
}

/**
 * Small datasets of every number and rank, in pipelines, and with the first sets of options. In whole chunks where the filter
 * is lossy: what HDF5 1.10 for MPI puts behind the end of a dataset is whatever lay there.
 */
function chosen({ description }: (typeof FILTERS)[number]): Case[] {
  const small = cases(description).filter(({ shape }) => shape.reduce((size, length) => size * length, 1) <= 50_000);
  const [options, others] = [true, false].map((wanted) =>
    small.filter(({ name }) => / options /.test(name) === wanted),
  );
  const list = [...(options ?? []).slice(0, 8), ...(others ?? []).filter(({ dtype }) => !/^[SV]/.test(dtype))];
  if (!description.lossy) return list;
  return list.map((entry) => ({
    ...entry,
    shape: entry.chunk.map((length, i) => length * Math.ceil((entry.shape[i] as number) / length)),
  }));
}

describe.skipIf(LACKING)(LACKING ? need(LACKING) : 'two processes write together', { timeout: 200_000 }, () => {
  let alone: Answer;
  let together: Answer;
  let read: Answer;
  let filters: Job['filters'];

  beforeAll(async () => {
    const file = join(folder, 'together.h5');
    const all = FILTERS.map((filter) => ({ id: filter.description.id, cases: chosen(filter) }));
    alone = await answer('serial', [PYTHON as string], { file, filters: all });
    // What a filter refuses is refused by one rank, while the other waits for it: left to tests of one process. And HDF5 1.10
    // for MPI forgets which chunks an optional filter left as they are.
    filters = all.map(({ id, cases: list }) => ({
      id,
      cases: list.filter(({ name }) => alone.answer[id]?.[name]?.masks?.join() === '0'),
    }));
    const mpiexec = [MPIEXEC as string, '--oversubscribe', '-n', '2', SYSTEM_PYTHON as string];
    together = await answer('together', mpiexec, { file, filters });
    read = await answer('read', [PYTHON as string], { file, filters });
  });

  it('has HDF5 for MPI, and our plugins in it', () => {
    expect(together.images.hdf5.join()).toMatch(/libhdf5_(openmpi|mpich)/);
    expect(together.hdf5).not.toBe(read.hdf5);
    for (const { name } of FILTERS) expect(together.images.ours.join()).toContain(`libh5z_${name}`);
  });

  it.for(FILTERS.map(({ name, description }) => ({ name, id: description.id })))('$name', ({ id }) => {
    const list = filters.find((part) => part.id === id)?.cases ?? [];
    expect(list.length).toBeGreaterThan(1);
    for (const { name } of list) {
      const expected = alone.answer[id]?.[name];
      expect(read.answer[id]?.[name], name).toEqual(expected);
      expect(together.answer[id]?.[name], name).toEqual({ sha256: expected?.sha256 });
    }
  });
});
