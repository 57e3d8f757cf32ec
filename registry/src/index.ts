// @h5z/registry for Node, Deno and Bun: the catalogue, createRegistry, and installed(), which finds filter packages.
// Browsers and bundlers get browser.ts instead (package.json, "exports").

import { currentPlatform } from '@h5z/core/node';
import { type AnyFilterPackage, makeRegistry, type Registry, type RegistryOptions } from './registry.js';

export { type CatalogueEntry, catalogue, type FilterStatus, lookup } from './catalogue.js';
export { type InstalledOptions, installed } from './installed.js';
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
  return makeRegistry(packages, options, currentPlatform);
}
