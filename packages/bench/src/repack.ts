// `h5z repack` beside h5repack: the same file, the same filters with the same parameters (our library serves both), whole
// processes by the clock, in turns; then h5diff on what they wrote. Kept in docs/data/repack.json.
//
//   node packages/bench/src/repack.ts [rounds]        after ./farm build; H5Z_PYTHON: a Python with h5py

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { filterFolders, ROOT } from '../../../tests/support/packed.ts';
import { median, thisMachine } from './types.ts';

const ROUNDS = Number(process.argv[2] ?? 5);
const H5Z = join(ROOT, 'packages/cli/dist/main.js');

/** What both are told: in our words, and in h5repack's. */
const JOBS = [
  { ours: 'shuffle,zstd:level=3', theirs: ['-f', 'SHUF', '-f', 'UD=32015,0,1,3'] },
  { ours: 'shuffle,zstd:level=9', theirs: ['-f', 'SHUF', '-f', 'UD=32015,0,1,9'] },
  { ours: 'bitshuffle:codec=lz4', theirs: ['-f', 'UD=32008,0,2,0,2'] },
  { ours: 'shuffle,deflate:level=6', theirs: ['-f', 'SHUF', '-f', 'GZIP=6'] },
] as const;

/** A climate-like field of rounded floats and a detector-like stack of counts, 201 and 134 MB, gzipped as most files are. */
const MAKE = `
import h5py, numpy as np, sys
rng = np.random.default_rng(1)
with h5py.File(sys.argv[1], 'w') as f:
    field = np.round(np.cumsum(rng.normal(0, 3, (64, 1024, 768)), axis=2), 2).astype('<f4')
    f.create_dataset('field', data=field, chunks=(1, 1024, 768), compression='gzip', compression_opts=1, shuffle=True)
    counts = rng.poisson(2, (64, 1024, 1024)).astype('<u2')
    f.create_dataset('counts', data=counts, chunks=(1, 1024, 1024), compression='gzip', compression_opts=1, shuffle=True)
`;

const folder = mkdtempSync(join(tmpdir(), 'h5z-repack-'));
try {
  mkdirSync(join(folder, 'node_modules/@h5z'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  for (const filter of filterFolders()) {
    symlinkSync(filter.folder, join(folder, 'node_modules', filter.packageName));
  }
  const path = execFileSync(process.execPath, [H5Z, 'plugin-path'], { cwd: folder, encoding: 'utf8' }).trim();
  const env = { ...process.env, HDF5_PLUGIN_PATH: path };
  const input = join(folder, 'in.h5');
  execFileSync(process.env.H5Z_PYTHON ?? 'python3', ['-c', MAKE, input]);
  const bytes = 64 * 1024 * 768 * 4 + 64 * 1024 * 1024 * 2;
  const seconds = (program: string, args: readonly string[]): number => {
    const started = performance.now();
    execFileSync(program, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] });
    return (performance.now() - started) / 1000;
  };
  const rows = [];
  for (const { ours, theirs } of JOBS) {
    const [a, b, c] = ['ours.h5', 'theirs.h5', 'unverified.h5'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const h5z = (output: string, ...more: string[]) =>
      seconds(process.execPath, [H5Z, 'repack', input, output, '--force', '--filter', ours, ...more]);
    const times: { ours: number; unverified: number; theirs: number }[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const row = {
        ours: h5z(a),
        theirs: seconds('h5repack', [...theirs, input, b]),
        unverified: h5z(c, '--no-verify'),
      };
      if (round > 0) times.push(row); // the first warms the page cache
    }
    execFileSync('h5diff', [a, b], { env });
    const rate = (key: keyof (typeof times)[number]) => Math.round(bytes / 1e6 / median(times.map((row) => row[key])));
    const ratio = (key: 'ours' | 'unverified') => Number(median(times.map((row) => row.theirs / row[key])).toFixed(2));
    rows.push({
      filter: ours,
      peer: `h5repack ${theirs.join(' ')}`,
      ours: rate('ours'),
      oursUnverified: rate('unverified'),
      theirs: rate('theirs'),
      ratio: ratio('ours'),
      ratioUnverified: ratio('unverified'),
      size: { ours: statSync(a).size, theirs: statSync(b).size },
    });
    process.stdout.write(`${JSON.stringify(rows.at(-1))}\n`);
  }
  const version = execFileSync('h5repack', ['--version'], { encoding: 'utf8' }).trim();
  const result = {
    date: new Date().toISOString(),
    machine: { ...thisMachine(), load: loadavg()[0] },
    versions: {
      h5repack: version,
      h5z: JSON.parse(readFileSync(join(dirname(H5Z), '../package.json'), 'utf8')).version,
    },
    what: 'MB (10^6 bytes) of values per second of the clock, whole processes, medians; ratio above 1: h5z is faster. ours reads the new file again and compares, which h5repack does not do.',
    bytes,
    rounds: ROUNDS,
    rows,
  };
  writeFileSync(join(ROOT, 'docs/data/repack.json'), `${JSON.stringify(result, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
