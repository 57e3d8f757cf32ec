// The error people meet most: a filter that is not here. It names the ID, the filter, what it is, and the exact command,
// or why nobody ships it.

import { H5zError } from '@h5z/core';
import { type CatalogueEntry, lookup } from './catalogue.js';

/** A filter as a file or a caller names it. */
export interface FilterReference {
  readonly id: number;
  /** Name kept in the file. */
  readonly name?: string;
}

/**
 * The error for filters that nobody loaded. `doing` says what needs them ("reading /entry/data"); `known` are entries for
 * IDs that the catalogue does not have. H5Z_UNKNOWN_FILTER when nothing is known of any of them, else H5Z_MISSING_FILTER.
 */
export function missingFilter(
  filters: readonly FilterReference[],
  doing: string,
  known: (id: number) => CatalogueEntry | undefined = lookup,
): H5zError {
  const found = filters.map((filter) => ({ filter, entry: known(filter.id) }));
  const names = found.map(({ filter, entry }) => describe(filter, entry));
  const problem = `${doing} needs ${filters.length === 1 ? 'filter' : 'the filters'} ${joined(names)}, which ${
    filters.length === 1 ? 'is' : 'are'
  } not available here`;
  const packages = found.flatMap(({ entry }) => (entry?.status === 'shipped' && entry.package ? [entry.package] : []));
  const remedies = [
    ...(packages.length > 0 ? [`run npm i ${packages.join(' ')} (in a bundle also pass it to createRegistry)`] : []),
    ...found.flatMap(({ filter, entry }) => (entry?.status === 'shipped' ? [] : [remedyFor(filter, entry)])),
  ];
  return new H5zError(found.some(({ entry }) => entry) ? 'H5Z_MISSING_FILTER' : 'H5Z_UNKNOWN_FILTER', problem, {
    remedy: remedies.join('; '),
    details: {
      filters: found.map(({ filter, entry }) => ({ ...filter, canonicalName: entry?.name, status: entry?.status })),
      packages,
    },
  });
}

function describe({ id, name }: FilterReference, entry: CatalogueEntry | undefined): string {
  if (entry) return `${id} (${entry.title}: ${entry.summary.replace(/\.$/, '')})`;
  return name ? `${id} (called "${name}" in the file)` : String(id);
}

function remedyFor({ id }: FilterReference, entry: CatalogueEntry | undefined): string {
  if (entry === undefined) {
    if (id < 256)
      return `${id} lies in the range of libhdf5's own filters but is none of them: check that the file is undamaged`;
    if (id < 512) return `${id} lies in the range for tests: ask whoever wrote the file for the filter`;
    if (id >= 32768 && id <= 65535) {
      return `${id} lies in the range for private filters: ask whoever wrote the file for a package, and pass it to createRegistry`;
    }
    return `${id} is not registered with The HDF Group: ask whoever wrote the file for the filter`;
  }
  if (entry.reason) return entry.reason.replace(/\.$/, '');
  if (entry.origin === 'private' && entry.package) return `run npm i ${entry.package}`;
  const others = Object.entries(entry.shippedBy).filter(([, how]) => how === 'yes' || how.startsWith('since'));
  const elsewhere = others.length > 0 ? `until then read the file with ${others.map(([who]) => who).join(' or ')}` : '';
  return `h5z has no package for ${entry.name} yet${elsewhere ? `: ${elsewhere}` : `: see ${entry.url ?? 'its authors'}`}`;
}

function joined(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
