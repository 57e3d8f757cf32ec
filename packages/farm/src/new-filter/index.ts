// Makes the folder of a new filter: a small codec that works, described and tested, to be replaced by the real one.
// The folder is all there is to a filter; no other file changes.

import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from '../exec.ts';
import { readFilters } from '../filters.ts';
import { FarmError } from '../log.ts';
import { ROOT } from '../paths.ts';

export interface NewFilter {
  /** Canonical name; npm's rules make it lower-case. */
  readonly name: string;
  readonly id: number;
  readonly title?: string | undefined;
}

/** IDs from here on need no registration with The HDF Group. */
const FIRST_PRIVATE_ID = 32768;

async function check({ name, id }: NewFilter, root: string): Promise<void> {
  if (!/^[a-z][a-z0-9_-]{0,63}$/.test(name))
    throw new FarmError(
      `"${name}" cannot be a filter's name here: use lower-case letters, digits, - and _, a letter first.`,
    );
  if (!Number.isInteger(id) || id < 1 || id > 65535)
    throw new FarmError('--id is a number from 1 to 65535; 32768 and above are free for private use.');
  if (await exists(join(root, 'filters', name))) throw new FarmError(`filters/${name} exists. Choose another name.`);
  const taken = (await readFilters(root)).find(({ description }) => description.id === id);
  if (taken !== undefined) throw new FarmError(`filters/${taken.name} has ID ${id}. Choose another.`);
  const entry = join(root, 'registry/filters', `${id}.json`);
  if (id < FIRST_PRIVATE_ID && (await exists(entry))) {
    const owner = (JSON.parse(await readFile(entry, 'utf8')) as { name: string }).name;
    if (owner.toLowerCase() !== name)
      throw new FarmError(`ID ${id} is registered as ${owner}. Take an ID from ${FIRST_PRIVATE_ID} up, or that name.`);
  }
}

function description({ name, id, title }: NewFilter): object {
  return {
    $schema: '../../registry/schema/filter.schema.json',
    id,
    name,
    title: title ?? name,
    summary: 'Differences at a stride, then runs of equal bytes: the codec that new filters start from.',
    lossy: false,
    aliases: [],
    licence: 'MIT',
    upstreams: [],
    parameters: [
      {
        name: 'stride',
        type: 'integer',
        minimum: 0,
        maximum: 65535,
        default: 0,
        unit: 'bytes',
        omittable: true,
        doc: 'Distance of the bytes that are subtracted from each other; 0 is the size of an element.',
        client: { word: 0 },
      },
    ],
    derived: [{ name: 'elementSize', type: 'integer', doc: 'Bytes of one element.', stored: { word: 1 } }],
    variants: { native: {}, wasm: {}, h5wasm: {} },
    limits: { maxChunkBytes: 4294967295 },
    sizeBudget: { packedBytes: 1000000 },
  };
}

function packageJson({ name, id, title }: NewFilter, version: string): object {
  return {
    name: `@h5z/${name}`,
    version,
    description: `HDF5 filter ${id} (${title ?? name}) for Node, browsers, h5wasm and libhdf5: native and WebAssembly, without install scripts.`,
    keywords: ['hdf5', 'hdf5-filter', name, 'compression', 'h5z'],
    license: 'MIT',
    type: 'module',
    engines: { node: '>=20' },
    sideEffects: false,
    exports: {
      '.': {
        types: './dist/index.d.ts',
        workerd: './dist/workerd.js',
        browser: './dist/browser.js',
        deno: './dist/node.js',
        'node-addons': './dist/node-addons.js',
        node: './dist/node.js',
        default: './dist/browser.js',
      },
      './wasm/*': './wasm/*',
      './filter.json': './filter.json',
      './manifest.json': './manifest.json',
      './package.json': './package.json',
    },
    files: ['dist', 'wasm', 'prebuilds', 'manifest.json', 'filter.json', 'LICENSES', 'README.md'],
    dependencies: { '@h5z/core': version },
    optionalDependencies: { '@h5z/native': version },
    h5z: { filter: './filter.json' },
  };
}

const readme = ({ name, id, title }: NewFilter): string => `# @h5z/${name}

HDF5 filter **${id}**, ${title ?? name}, for Node, browsers, h5wasm and libhdf5.

\`\`\`js
import filter from '@h5z/${name}';

const codec = await filter.load();
const chunk = codec.decode(rawChunk, { cdValues, size: chunkBytes }); // Uint8Array in, Uint8Array out
const spec = filter({ stride: 4 });                                   // for a writer: id and cd_values
\`\`\`

| parameter | cd_values | |
| --- | --- | --- |
| \`stride\` | [0], uint32, optional | distance in bytes of what is subtracted; 0 = the size of an element |
| | stored [1] | the size of an element |
`;

/** Chunks written out by hand from the layout in src/filter.c, so that they test the code and not repeat it. */
const GOOD: readonly { name: string; cdValues: number[]; elementSize: number; bytes: number[]; decoded: number[] }[] = [
  {
    name: 'run',
    cdValues: [0, 1],
    elementSize: 1,
    bytes: [0, 0, 0, 5, 0, 7, 129, 0],
    decoded: [7, 7, 7, 7, 7],
  },
  {
    name: 'literals',
    cdValues: [0, 2],
    elementSize: 2,
    bytes: [0, 0, 0, 4, 3, 1, 2, 255, 3],
    decoded: [1, 2, 0, 5],
  },
  {
    name: 'ramp',
    cdValues: [1, 4],
    elementSize: 4,
    bytes: [0, 0, 0, 8, 133, 1],
    decoded: [1, 2, 3, 4, 5, 6, 7, 8],
  },
];

const BAD: readonly { name: string; cdValues: number[]; bytes: number[]; error: string; note: string }[] = [
  { name: 'no-bytes', cdValues: [0, 1], bytes: [], error: 'H5Z_E_CORRUPT', note: 'not even a header' },
  {
    name: 'cut',
    cdValues: [0, 1],
    bytes: [0, 0, 0, 5, 0, 7, 129],
    error: 'H5Z_E_CORRUPT',
    note: 'the run has no byte',
  },
  {
    name: 'behind',
    cdValues: [0, 1],
    bytes: [0, 0, 0, 1, 0, 7, 0, 7],
    error: 'H5Z_E_CORRUPT',
    note: 'a byte too many',
  },
  { name: 'no-stride', cdValues: [], bytes: [0, 0, 0, 1, 0, 7], error: 'H5Z_E_PARAM', note: 'cd_values are missing' },
];

async function writeGolden(folder: string, { name, id }: NewFilter): Promise<void> {
  await mkdir(folder);
  const sha256 = (bytes: readonly number[]): string =>
    createHash('sha256').update(Uint8Array.from(bytes)).digest('hex');
  const how = { tool: 'by hand', version: '1', command: 'the layout in src/filter.c, written out' };
  const cases = GOOD.map(({ bytes: _, decoded, ...rest }) => ({
    ...rest,
    file: `${rest.name}.bin`,
    size: decoded.length,
    sha256: sha256(decoded),
    ...how,
  }));
  const bad = BAD.map(({ bytes: _, ...rest }) => ({ ...rest, file: `bad-${rest.name}.bin`, size: 16 }));
  await writeFile(join(folder, 'index.json'), `${JSON.stringify({ filter: name, id, cases, bad }, null, 1)}\n`);
  for (const { name: file, bytes } of GOOD) await writeFile(join(folder, `${file}.bin`), Uint8Array.from(bytes));
  for (const { name: file, bytes } of BAD) await writeFile(join(folder, `bad-${file}.bin`), Uint8Array.from(bytes));
}

/** Makes filters/<name> and returns its path. Throws when the name or the ID is taken. */
export async function newFilter(filter: NewFilter, root = ROOT): Promise<string> {
  await check(filter, root);
  const { version } = JSON.parse(await readFile(join(root, 'packages/core/package.json'), 'utf8')) as {
    version: string;
  };
  const folder = join(root, 'filters', filter.name);
  const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;
  await mkdir(join(folder, 'src'), { recursive: true });
  try {
    await copyFile(join(import.meta.dirname, 'filter.c'), join(folder, 'src/filter.c'));
    await writeFile(join(folder, 'filter.json'), json(description(filter)));
    await writeFile(join(folder, 'package.json'), json(packageJson(filter, version)));
    await writeFile(join(folder, 'README.md'), readme(filter));
    await writeFile(
      join(folder, 'CMakeLists.txt'),
      `# Filter ${filter.id}: the filter's own C; the farm adds identity, adaptors and the kind of build.\nh5z_add_filter(${filter.name} SOURCES src/filter.c)\n`,
    );
    await writeGolden(join(folder, 'golden'), filter);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return folder;
}
