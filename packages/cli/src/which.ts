// What is known of a filter ID or name, and what of it is installed here.

import { fileURLToPath } from 'node:url';
import { HOST_FILTERS } from '@h5z/chunks';
import { describeRange, type FilterPackage, H5zError, isH5zError } from '@h5z/core';
import { type CatalogueEntry, catalogue, type Registry, type Resolved, type ResolveOptions } from '@h5z/registry';

export interface WhichAnswer {
  readonly id: number;
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly lossy: boolean;
  readonly status: CatalogueEntry['status'];
  readonly package?: string;
  /** Why nobody ships it. */
  readonly reason?: string;
  readonly url?: string;
  /** Part of libhdf5, which every reader has. */
  readonly library: boolean;
  /** True when h5z decodes it by libhdf5's own code (`host`): it has that, and no package is installed. */
  readonly host: boolean;
  readonly installed?: {
    readonly package: string;
    readonly version: string;
    /** Built files in the package: platforms of the native variant, and the WebAssembly forms. */
    readonly variants: { readonly native: readonly string[]; readonly wasm: boolean; readonly h5wasm: boolean };
    readonly parameters: readonly {
      readonly name: string;
      readonly type: string;
      /** The values it takes, in words. */
      readonly takes: string;
      readonly default?: string | number | boolean;
      /** Values of others with which alone it applies. */
      readonly when?: FilterPackage['description']['parameters'][number]['when'];
      readonly doc: string;
    }[];
  };
}

/** The answer for one ID or canonical name. Throws H5Z_UNKNOWN_FILTER. */
export function which(idOrName: string, registry: Registry): WhichAnswer {
  return answerFor(entryOf(idOrName, registry), registry);
}

function entryOf(idOrName: string, registry: Registry): CatalogueEntry {
  const key = /^\d+$/.test(idOrName) ? Number(idOrName) : idOrName;
  const entry = registry.lookup(key) ?? entryIgnoringCase(idOrName);
  if (entry) return entry;
  throw new H5zError('H5Z_UNKNOWN_FILTER', `no filter ${idOrName} is registered or installed`, {
    remedy: 'see all of them with `h5z which`',
  });
}

/** What a target loads: the resolver's answer, and the file's path on this machine. */
export type Located = Resolved & { readonly path: string };

export interface LocateOptions {
  readonly target: ResolveOptions['target'];
  readonly platform?: ResolveOptions['platform'] | undefined;
}

/** Where the variant of one installed filter lies that `target` loads. Loads nothing. Throws what `resolve` throws. */
export function locate(idOrName: string, registry: Registry, { target, platform }: LocateOptions): Located {
  const { id } = entryOf(idOrName, registry);
  const found = registry.resolve(id, platform === undefined ? { target } : { target, platform });
  return { ...found, path: found.url?.protocol === 'file:' ? fileURLToPath(found.url) : found.file };
}

/** The same for every installed filter that has something for the target. */
export function locateAll(registry: Registry, options: LocateOptions): Located[] {
  return registry.packages.flatMap(({ canonicalName }) => {
    try {
      return [locate(canonicalName, registry, options)];
    } catch (error) {
      if (isH5zError(error) && error.code === 'H5Z_NO_PLATFORM') return [];
      throw error;
    }
  });
}

/** Every filter of the catalogue and every installed one. */
export function whichAll(registry: Registry): WhichAnswer[] {
  const entries = new Map<number, CatalogueEntry>(catalogue.map((entry) => [entry.id, entry]));
  for (const { id } of registry.packages) {
    const entry = registry.lookup(id);
    if (entry) entries.set(id, entry);
  }
  return [...entries.values()].sort((a, b) => a.id - b.id).map((entry) => answerFor(entry, registry));
}

function answerFor(entry: CatalogueEntry, registry: Registry): WhichAnswer {
  const { id, name, title, summary, lossy, status, package: npmName, reason, url } = entry;
  const filter = registry.get(id);
  return {
    id,
    name,
    title,
    summary,
    lossy,
    status,
    ...(npmName === undefined ? {} : { package: npmName }),
    ...(reason === undefined ? {} : { reason }),
    ...(url === undefined ? {} : { url }),
    library: entry.origin === 'library',
    host: HOST_FILTERS.includes(id) && filter === undefined,
    ...(filter
      ? {
          installed: {
            package: filter.package.name,
            version: filter.package.version,
            variants: {
              native: filter.manifest.variants.native.map(({ platform }) => platform),
              wasm: filter.manifest.variants.wasm.length > 0,
              h5wasm: filter.manifest.variants.h5wasm.length > 0,
            },
            parameters: (filter.description.parameters ?? []).map((parameter) => ({
              name: parameter.name,
              type: parameter.type,
              takes: describeRange(parameter),
              ...(parameter.default === undefined ? {} : { default: parameter.default }),
              ...(parameter.when === undefined ? {} : { when: parameter.when }),
              doc: parameter.doc,
            })),
          },
        }
      : {}),
  };
}

function entryIgnoringCase(name: string): CatalogueEntry | undefined {
  const wanted = name.toLowerCase();
  return catalogue.find((entry) => entry.name.toLowerCase() === wanted);
}
