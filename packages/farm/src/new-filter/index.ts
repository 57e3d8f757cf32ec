// Makes the folder of a new filter: a small codec that works, described and tested, to be replaced by the real one.
// The folder is all there is to a filter; no other file changes.

import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
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

/** The codec that new filters start from; relative to the root. */
const TEMPLATE = 'packages/farm/src/new-filter/filter.c';

/** IDs from here on need no registration with The HDF Group. */
const FIRST_PRIVATE_ID = 32768;

async function check({ name, id }: NewFilter, root: string, folder: string, shown: string): Promise<void> {
  if (!/^[a-z][a-z0-9_-]{0,63}$/.test(name))
    throw new FarmError(
      `"${name}" cannot be a filter's name here: use lower-case letters, digits, - and _, a letter first.`,
    );
  if (!Number.isInteger(id) || id < 1 || id > 65535)
    throw new FarmError('--id is a number from 1 to 65535; 32768 and above are free for private use.');
  if (await exists(folder)) throw new FarmError(`${shown} exists. Choose another name.`);
  const others = await exists(join(root, 'filters')).then((here) => (here ? readFilters(root) : []));
  const taken = others.find(({ description }) => description.id === id);
  if (taken !== undefined) throw new FarmError(`filters/${taken.name} has ID ${id}. Choose another.`);
  const entry = join(root, 'registry/filters', `${id}.json`);
  if (id < FIRST_PRIVATE_ID && (await exists(entry))) {
    const owner = (JSON.parse(await readFile(entry, 'utf8')) as { name: string }).name;
    if (owner.toLowerCase() !== name)
      throw new FarmError(`ID ${id} is registered as ${owner}. Take an ID from ${FIRST_PRIVATE_ID} up, or that name.`);
  }
}

function description({ name, id, title }: NewFilter, schema: string): object {
  return {
    $schema: schema,
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

function packageJson({ name, id, title }: NewFilter, version: string) {
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

const readme = ({ name, id, title }: NewFilter, packageName: string): string => `# ${packageName}

HDF5 filter **${id}**, ${title ?? name}, for Node, browsers, h5wasm and libhdf5.

\`\`\`js
import filter from '${packageName}';

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

/** What differs between a filter of the repository and one outside it. */
interface Place {
  readonly folder: string;
  readonly schema: string;
  readonly packageName: string;
  readonly packageJson: object;
}

async function write(filter: NewFilter, place: Place): Promise<void> {
  const { folder, schema, packageName } = place;
  const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;
  await mkdir(join(folder, 'src'), { recursive: true });
  try {
    await copyFile(join(ROOT, TEMPLATE), join(folder, 'src/filter.c'));
    await writeFile(join(folder, 'filter.json'), json(description(filter, schema)));
    await writeFile(join(folder, 'package.json'), json(place.packageJson));
    await writeFile(join(folder, 'README.md'), readme(filter, packageName));
    await writeFile(
      join(folder, 'CMakeLists.txt'),
      `# Filter ${filter.id}: the filter's own C; the farm adds identity, adaptors and the kind of build.\nh5z_add_filter(${filter.name} SOURCES src/filter.c)\n`,
    );
    await writeGolden(join(folder, 'golden'), filter);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Makes filters/<name> and returns its path. Throws when the name or the ID is taken. */
export async function newFilter(filter: NewFilter, root = ROOT): Promise<string> {
  const folder = join(root, 'filters', filter.name);
  await check(filter, root, folder, `filters/${filter.name}`);
  const { version } = JSON.parse(await readFile(join(root, 'packages/core/package.json'), 'utf8')) as {
    version: string;
  };
  await write(filter, {
    folder,
    schema: '../../registry/schema/filter.schema.json',
    packageName: `@h5z/${filter.name}`,
    packageJson: packageJson(filter, version),
  });
  return folder;
}

/** An ID of the private range, the same for the same name, so that two people's filters rarely meet. */
function privateId(name: string): number {
  const hash = createHash('sha256').update(name).digest().readUInt16BE(0);
  return FIRST_PRIVATE_ID + (hash % (65536 - FIRST_PRIVATE_ID));
}

/** What a package is built into, and what is installed in it. */
const IGNORED = ['node_modules', 'build', 'out', 'prebuilds', 'wasm', 'gpu', 'dist', 'LICENSES', 'manifest.json'];

/**
 * Makes ./<name>, the package of a filter outside the repository, and returns its path and ID. `id` defaults to one of the
 * private range, `packageName` to the name. Throws when the folder exists or the ID is another filter's.
 */
export async function newPackage(wanted: {
  readonly name: string;
  readonly id: number | undefined;
  readonly title: string | undefined;
  readonly packageName: string | undefined;
}): Promise<{ folder: string; id: number }> {
  const { name, title, packageName = name } = wanted;
  const filter = { name, id: wanted.id ?? privateId(name), title };
  const folder = resolve(name);
  await check(filter, ROOT, folder, name);
  // dist/ of @h5z/abi is the tree; its package.json is beside that.
  const { version } = JSON.parse(await readFile(join(ROOT, '../package.json'), 'utf8')) as { version: string };
  const { dependencies: _d, optionalDependencies: _o, ...ours } = packageJson(filter, '0.1.0');
  await write(filter, {
    folder,
    schema: './node_modules/@h5z/abi/dist/registry/schema/filter.schema.json',
    packageName,
    packageJson: {
      ...ours,
      name: packageName,
      files: [...ours.files, 'LICENSE'],
      scripts: { build: 'h5z-abi build', test: 'h5z-abi test' },
      dependencies: { '@h5z/core': `^${version}` },
      optionalDependencies: { '@h5z/native': `^${version}` },
      devDependencies: { '@h5z/abi': `^${version}` },
    },
  });
  await copyFile(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
  await writeFile(join(folder, '.gitignore'), IGNORED.map((entry) => `${entry}\n`).join(''));
  return { folder, id: filter.id };
}
