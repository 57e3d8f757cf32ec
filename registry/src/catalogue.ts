// The catalogue: every registered filter ID, what it is, and whether h5z ships it. No I/O.

import { type CatalogueFile, REGISTERED } from './generated/catalogue.js';
import { SHIPPED } from './shipped.js';

/** How a filter can be had: from us, later from us, or not from us and why. */
export type FilterStatus = 'shipped' | CatalogueFile['status'];

/** One filter ID. `package` is its npm name, `reason` says why nobody can ship it. */
export interface CatalogueEntry {
  readonly id: number;
  /** Canonical name. */
  readonly name: string;
  /** Name for people. */
  readonly title: string;
  /** What it is, in one sentence. */
  readonly summary: string;
  readonly lossy: boolean;
  /** Part of libhdf5, registered with The HDF Group, or neither. */
  readonly origin: 'library' | 'registered' | 'private';
  readonly status: FilterStatus;
  readonly package?: string;
  readonly reason?: string;
  readonly licence?: string;
  readonly contact?: string;
  readonly url?: string;
  /** True when the filter's maintainer confirmed the canonical name. */
  readonly nameConfirmed: boolean;
  /** Known revisions of the format, oldest first. */
  readonly revisions: readonly { readonly name: string; readonly doc: string }[];
  readonly incompatibilities: readonly string[];
  /** Who else has it: project -> `yes`, or how far. */
  readonly shippedBy: Readonly<Record<string, string>>;
  readonly notes?: string;
  readonly source: string;
}

/** Every registered ID, and the private ones that h5z ships, by ID. */
export const catalogue: readonly CatalogueEntry[] = buildCatalogue();

const BY_ID = new Map(catalogue.map((entry) => [entry.id, entry]));
const BY_NAME = new Map(catalogue.map((entry) => [entry.name, entry]));

/** Unregistered IDs under which old files keep the bytes of a filter that h5z ships. */
const BY_ALIAS = new Map(SHIPPED.flatMap(({ aliases, id }) => aliases.map((alias) => [alias, BY_ID.get(id)] as const)));

/** The catalogue's entry for a filter ID or a canonical name (case-sensitive); undefined when nobody registered it. */
export function lookup(idOrName: number | string): CatalogueEntry | undefined {
  return typeof idOrName === 'number' ? (BY_ID.get(idOrName) ?? BY_ALIAS.get(idOrName)) : BY_NAME.get(idOrName);
}

function buildCatalogue(): CatalogueEntry[] {
  const entries = new Map<number, CatalogueEntry>(REGISTERED.map((entry) => [entry.id, entry]));
  for (const { aliases: _, ...shipped } of SHIPPED) {
    const registered = entries.get(shipped.id) ?? {
      origin: 'private' as const,
      nameConfirmed: true,
      revisions: [],
      incompatibilities: [],
      shippedBy: {},
      source: 'filter.json',
    };
    entries.set(shipped.id, { ...registered, ...shipped, status: 'shipped' });
  }
  return [...entries.values()].sort((a, b) => a.id - b.id);
}
