// A part measured again replaces its own rows and no others, and nothing of another machine or peer gets in between.
import { describe, expect, it } from 'vitest';
import { mergeResult } from '../src/merge.ts';
import type { BenchResult, BenchRow } from '../src/types.ts';

const row = (suite: BenchRow['suite'], filter: string, array: string, ours: number): BenchRow => ({
  suite,
  filter,
  config: '',
  direction: 'decode',
  array,
  nbytes: 1,
  peer: 'peer',
  ours,
  theirs: 1,
  ratio: ours,
});

const result = (date: string, rows: BenchRow[]): BenchResult => ({
  date,
  machine: { cpu: 'a', cores: 2, os: 'linux', node: 'v24.0.0' },
  versions: { hdf5plugin: '7.1.0', '@h5z/lz4': '0.1.0' },
  data: 'arrays',
  rounds: 3,
  rows,
  sizes: [{ filter: 'lz4', ours: 1, theirs: 2, peer: 'peer' }],
  skipped: [],
});

const kept = result('2026-01-01', [
  row('native', 'lz4', 'a', 1),
  row('native', 'lz4', 'b', 2),
  row('native', 'zstd', 'a', 3),
  row('h5wasm', 'lz4', 'a', 4),
]);

describe('mergeResult', () => {
  it('replaces every row of a suite and filter that was measured again, and dates them', () => {
    const merged = mergeResult(kept, result('2026-02-02', [row('native', 'lz4', 'a', 9)]));
    expect(merged.rows.map(({ suite, filter, array, ours, date }) => [suite, filter, array, ours, date])).toEqual([
      ['native', 'lz4', 'a', 9, '2026-02-02'],
      ['native', 'zstd', 'a', 3, undefined],
      ['h5wasm', 'lz4', 'a', 4, undefined],
    ]);
    expect(merged.date).toBe('2026-01-01');
    expect(merged.sizes).toHaveLength(1);
  });

  it('puts a filter that is new in its place', () => {
    const merged = mergeResult(kept, result('2026-02-02', [row('native', 'szip', 'a', 5)]));
    expect(merged.rows.map(({ suite, filter }) => `${suite}/${filter}`)).toEqual([
      'native/lz4',
      'native/lz4',
      'native/szip',
      'native/zstd',
      'h5wasm/lz4',
    ]);
  });

  it('refuses another machine, another version of a peer, and nothing at all', () => {
    const again = result('2026-02-02', [row('native', 'lz4', 'a', 9)]);
    expect(() => mergeResult(kept, { ...again, machine: { ...again.machine, cores: 8 } })).toThrow(/8 cores/);
    expect(() => mergeResult(kept, { ...again, versions: { hdf5plugin: '8.0.0' } })).toThrow(/hdf5plugin 8\.0\.0/);
    expect(() => mergeResult(kept, result('2026-02-02', []))).toThrow(/nothing was measured/);
  });
});
