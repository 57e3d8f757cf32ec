// The filters under test and their built variants, straight from the folders: no package has to be packed or installed.
// H5Z_FILTERS_DIR names another folder of filter folders, H5Z_FILTER_FOLDER the one filter outside the repository that h5z-abi
// runs this suite for.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Codec, type FilterDescription, loadWasm } from '../../packages/core/dist/index.js';
import { currentPlatform } from '../../packages/core/dist/node.js';

export const FILTERS_DIR = process.env.H5Z_FILTERS_DIR || fileURLToPath(new URL('../../filters/', import.meta.url));

export interface FilterUnderTest {
  readonly folder: string;
  readonly description: FilterDescription;
  readonly variants: readonly VariantUnderTest[];
}

export interface VariantUnderTest {
  readonly name: 'native' | 'wasm' | 'wasm-decode';
  readonly file: string;
  load(): Promise<Codec>;
}

const EXTENSION: Readonly<Record<string, string>> = { win32: 'dll', darwin: 'dylib' };

function variantsOf(folder: string, { id, name, variants }: FilterDescription): VariantUnderTest[] {
  const found: VariantUnderTest[] = [];
  if (variants.native) {
    const library = `libh5z_${name}.${EXTENSION[process.platform] ?? 'so'}`;
    const file = join(folder, 'prebuilds', currentPlatform(), library);
    const load = async () => {
      const { loadNative } = await import('../../packages/native/dist/index.js');
      return loadNative(built(file, name));
    };
    found.push({ name: 'native', file, load });
  }
  if (variants.wasm) {
    for (const [variant, suffix] of [['wasm', 'wasm'] as const, ['wasm-decode', 'decode.wasm'] as const]) {
      const file = join(folder, 'wasm', `${name}.${suffix}`);
      const load = async () => loadWasm(readFileSync(built(file, name)), { id, source: file });
      found.push({ name: variant, file, load });
    }
  }
  return found;
}

function built(file: string, name: string): string {
  if (existsSync(file)) return file;
  throw new Error(`${file} has not been built; run ./farm build ${name}`);
}

/** The filter whose project of vitest.config.ts runs; every filter where none is named. */
const ONE = process.env.H5Z_FILTER_UNDER_TEST;

const folders = (): string[] =>
  readdirSync(FILTERS_DIR)
    .filter((name) => ONE === undefined || name === ONE)
    .map((name) => join(FILTERS_DIR, name))
    .filter((folder) => existsSync(join(folder, 'filter.json')));

const OUTSIDE = process.env.H5Z_FILTER_FOLDER;

export const filters: readonly FilterUnderTest[] = (OUTSIDE === undefined ? folders() : [OUTSIDE]).map((folder) => {
  const description: FilterDescription = JSON.parse(readFileSync(join(folder, 'filter.json'), 'utf8'));
  return { folder, description, variants: variantsOf(folder, description) };
});
