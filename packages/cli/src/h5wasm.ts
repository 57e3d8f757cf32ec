// The third way to a dataset's values: h5wasm (HDF5 in WebAssembly) reads it with our side modules in place.

import { createHash } from 'node:crypto';
import { canonicalBytes, type Dataset } from '@h5z/chunks';
import { H5zError } from '@h5z/core';
import { HOST_FILTERS, install, readRaw, canonicalBytes as valuesOf } from '@h5z/readers/h5wasm';
import type { Registry } from '@h5z/registry';

/** IDs that libhdf5 in h5wasm decodes by itself. */
export const H5WASM_HOST_FILTERS: ReadonlySet<number> = HOST_FILTERS;

/** Reads the whole dataset through h5wasm; its filters come as side modules of the packages in `registry`. */
export async function digestThroughH5wasm(
  dataset: Dataset,
  registry: Registry,
): Promise<{ sha256: string; bytes: number }> {
  const { type } = dataset.info;
  canonicalBytes(new Uint8Array(0), type); // refuses variable-length data
  if (type.class === 'float' && type.precision < 8 * type.size) {
    const what = `${dataset.file.name}: ${dataset.path}: floats of ${type.precision} bits in ${type.size} bytes`;
    throw new H5zError('H5Z_E_UNSUPPORTED', `${what} are converted by h5wasm, which does not tell their layout`, {
      remedy: 'read them via native or wasm',
    });
  }
  const h5wasm = await import('h5wasm/node');
  await h5wasm.ready;
  try {
    const wanted = dataset.info.filters.map(({ id }) => id).filter((id) => !HOST_FILTERS.has(id));
    await install(h5wasm, { for: wanted, registry });
    const file = new h5wasm.File(dataset.file.name, 'r');
    try {
      const values = valuesOf(await readRaw(h5wasm, file, dataset.path));
      return { sha256: createHash('sha256').update(values).digest('hex'), bytes: values.length };
    } finally {
      file.close();
    }
  } catch (error) {
    throw dataset.explain(error);
  }
}
