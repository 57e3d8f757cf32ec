// @h5z/registry for browsers, workers and bundlers: what is imported is what there is.

import { H5zError } from '@h5z/core';
import { type AnyFilterPackage, makeRegistry, type Registry, type RegistryOptions } from './registry.js';

export { type CatalogueEntry, catalogue, type FilterStatus, lookup } from './catalogue.js';
export { type FilterReference, missingFilter } from './missing.js';
export type {
  AnyFilterPackage,
  PrivateFilter,
  Registry,
  RegistryOptions,
  Resolved,
  ResolveOptions,
  Target,
} from './registry.js';

/** A registry of the packages given; of two with the same ID the first counts. */
export function createRegistry(packages: readonly AnyFilterPackage[], options: RegistryOptions = {}): Registry {
  return makeRegistry(packages, options, () => 'this environment');
}

/** Finding packages by name needs a file system, which is not here: always throws. */
export async function installed(): Promise<Registry> {
  throw new H5zError(
    'H5Z_NO_PLATFORM',
    'installed() looks for packages in node_modules, and there is no file system here',
    {
      remedy: 'import the filter packages and pass them to createRegistry([...])',
    },
  );
}
