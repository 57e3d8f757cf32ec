// The resolver: from a filter ID in a file to code that decodes it, out of the packages that were passed or found.

import {
  type Codec,
  createPipeline,
  type FilterPackage,
  FLAG_OPTIONAL,
  H5zError,
  type LoadedStage,
  type LoadOptions,
  type Pipeline,
  type PipelineStage,
  type Platform,
} from '@h5z/core';
import { type CatalogueEntry, lookup } from './catalogue.js';
import { type FilterReference, missingFilter } from './missing.js';

/** What `resolve` looks for. `native` and `hsds` mean this process's platform unless `platform` says another. */
export type Target = 'native' | 'wasm' | 'wasm-decode' | 'h5wasm' | 'cuda' | 'webgpu' | 'hsds' | Platform;

export interface ResolveOptions {
  readonly target: Target;
  /** For the targets `native` and `hsds`. Default: this process's platform. */
  readonly platform?: Platform;
}

/** One built file of a filter, found without loading it. */
export interface Resolved {
  readonly id: number;
  readonly name: string;
  readonly package: string;
  readonly version: string;
  readonly variant: 'native' | 'wasm' | 'h5wasm' | 'cuda' | 'webgpu';
  readonly platform?: Platform;
  /** Path in the package. */
  readonly file: string;
  /** Where it lies; undefined in a bundle. */
  readonly url: URL | undefined;
  readonly size: number;
  readonly sha256: string;
  readonly abi: number;
  readonly encode: boolean;
  /** What the filter can be told, and where that lies in its cd_values, as filter.json has it. */
  readonly parameters: FilterPackage['description']['parameters'];
}

/** An entry for a filter that the catalogue does not know: a private ID, and the package that has it. */
export interface PrivateFilter {
  readonly id: number;
  readonly name: string;
  readonly title?: string;
  readonly summary?: string;
  /** npm name, for the message when it is missing. */
  readonly package?: string;
}

export interface RegistryOptions {
  /** Filters with private IDs, so that messages and lookup know them. */
  readonly table?: readonly PrivateFilter[];
  /** Codecs for filters without a package, such as libhdf5's own (`@h5z/chunks`). Asked after the packages. */
  readonly fallback?: (stage: PipelineStage) => Codec | undefined | Promise<Codec | undefined>;
  /** Applied to every load that does not say otherwise. */
  readonly load?: LoadOptions;
}

export interface Registry {
  /** What was registered or found, in order. */
  readonly packages: readonly FilterPackage[];
  /** The package for a filter ID, an alias ID or a canonical name. */
  get(idOrName: number | string): FilterPackage | undefined;
  /** The catalogue's entry, or this registry's own for private filters. */
  lookup(idOrName: number | string): CatalogueEntry | undefined;
  /** The codec in its best variant here. Throws H5Z_MISSING_FILTER or H5Z_UNKNOWN_FILTER, or what loading throws. */
  load(idOrName: number | string, options?: LoadOptions): Promise<Codec>;
  /**
   * A dataset's pipeline, from its stages as a reader reports them. Names every missing filter at once; one that is
   * optional is missed only by the chunks that it was applied to, as their filter masks say.
   */
  pipeline(stages: readonly PipelineStage[], options?: LoadOptions): Promise<Pipeline>;
  /**
   * Where a variant lies, with its hash, ABI and parameters, without loading it. `hsds` is the native library of the
   * server's platform, which `@h5z/hsds` puts into its environment. Throws H5Z_NO_PLATFORM when it does not exist.
   */
  resolve(idOrName: number | string, options: ResolveOptions): Resolved;
}

/** A package, whatever its options are: what `import zstd from '@h5z/zstd'` gives. */
// biome-ignore lint/suspicious/noExplicitAny: options are contravariant; a list of packages must take every one.
export type AnyFilterPackage = FilterPackage<any>;

/** createRegistry, where `platform` names this process's platform. */
export function makeRegistry(
  packages: readonly AnyFilterPackage[],
  options: RegistryOptions,
  platform: () => string,
): Registry {
  for (const [index, filter] of packages.entries()) {
    if (typeof filter?.load === 'function' && typeof filter.id === 'number') continue;
    throw new H5zError('H5Z_PARAMETER', `createRegistry: entry ${index} is no filter package`, {
      remedy: "pass the default exports of filter packages, such as import zstd from '@h5z/zstd'",
    });
  }
  return new PackageRegistry([...packages], options, platform);
}

class PackageRegistry implements Registry {
  readonly packages: readonly FilterPackage[];
  readonly #options: RegistryOptions;
  readonly #platform: () => string;
  readonly #private: ReadonlyMap<number | string, CatalogueEntry>;

  constructor(packages: readonly FilterPackage[], options: RegistryOptions, platform: () => string) {
    this.packages = packages;
    this.#platform = platform;
    this.#options = options;
    const entries = [...(options.table ?? []).map(privateEntry), ...packages.map(packageEntry)];
    const known = new Map<number | string, CatalogueEntry>();
    for (const entry of entries.reverse()) known.set(entry.id, entry).set(entry.name, entry);
    this.#private = known;
  }

  get(idOrName: number | string): FilterPackage | undefined {
    return typeof idOrName === 'number'
      ? this.#find({ id: idOrName, cdValues: [] }, true)
      : this.packages.find((filter) => filter.canonicalName === idOrName);
  }

  lookup(idOrName: number | string): CatalogueEntry | undefined {
    return lookup(idOrName) ?? this.#private.get(idOrName);
  }

  async load(idOrName: number | string, options?: LoadOptions): Promise<Codec> {
    return this.#need(idOrName, 'loading').load({ ...this.#options.load, ...options });
  }

  async pipeline(stages: readonly PipelineStage[], options?: LoadOptions): Promise<Pipeline> {
    const codecs = await Promise.all(
      stages.map(async (stage) => {
        const filter = this.#find(stage, false);
        return filter ? filter.load({ ...this.#options.load, ...options }) : this.#options.fallback?.(stage);
      }),
    );
    const loaded: LoadedStage[] = [];
    const missing = new Map<number, FilterReference>();
    for (const [index, stage] of stages.entries()) {
      const codec = codecs[index];
      if (codec) loaded.push({ ...stage, codec });
      else if (((stage.flags ?? 0) & FLAG_OPTIONAL) !== 0) loaded.push({ ...stage, codec: this.#absent(stage) });
      else missing.set(stage.id, { id: stage.id, ...(stage.name === undefined ? {} : { name: stage.name }) });
    }
    if (missing.size > 0) throw missingFilter([...missing.values()], 'the pipeline', (id) => this.lookup(id));
    return createPipeline(loaded);
  }

  resolve(idOrName: number | string, { target, platform }: ResolveOptions): Resolved {
    const filter = this.#need(idOrName, `resolving ${target}`);
    const { variants, abi } = filter.manifest;
    const nowhere = (what: string, have: readonly string[]) =>
      new H5zError('H5Z_NO_PLATFORM', `${filter.package.name} ${filter.package.version} has no ${what}`, {
        remedy: have.length > 0 ? `it has ${have.join(', ')}` : 'update the package',
        details: { id: filter.id, target, have },
      });
    const base = {
      id: filter.id,
      name: filter.canonicalName,
      package: filter.package.name,
      version: filter.package.version,
      abi,
      parameters: filter.description.parameters ?? [],
    };
    const facts = ({
      file,
      size,
      sha256,
      encode,
    }: {
      file: string;
      size: number;
      sha256: string;
      encode: boolean;
    }) => ({
      file,
      url: filter.locate(file),
      size,
      sha256,
      encode,
    });
    if (target === 'wasm' || target === 'wasm-decode') {
      const entry = variants.wasm.find((file) => file.encode === (target === 'wasm'));
      if (!entry)
        throw nowhere(
          target,
          variants.wasm.map(({ file }) => file),
        );
      return { ...base, variant: 'wasm', ...facts(entry) };
    }
    if (target === 'h5wasm') {
      const entry = variants.h5wasm[0];
      if (!entry) throw nowhere('side module for h5wasm', []);
      return { ...base, variant: 'h5wasm', ...facts(entry) };
    }
    if (target === 'cuda' || target === 'webgpu') {
      const { file, size = 0, sha256 = '', encode = false, reason } = variants[target];
      if (file === undefined) throw nowhere(`kernels for ${target} (${reason})`, []);
      return { ...base, variant: target, ...facts({ file, size, sha256, encode }) };
    }
    const wanted = target === 'native' || target === 'hsds' ? (platform ?? this.#platform()) : target;
    const entry = variants.native.find((file) => file.platform === wanted);
    if (!entry)
      throw nowhere(
        `native library for ${wanted}`,
        variants.native.map((file) => file.platform),
      );
    return { ...base, variant: 'native', platform: entry.platform, ...facts(entry) };
  }

  /** Stands for an optional filter that is not here: every use is the error that says so. */
  #absent(stage: PipelineStage): Codec {
    const { id, name } = stage;
    const missing = (): never => {
      throw missingFilter([{ id, ...(name === undefined ? {} : { name }) }], 'this chunk', (of) => this.lookup(of));
    };
    return {
      id,
      name: this.lookup(id)?.name ?? name ?? String(id),
      variant: 'wasm',
      source: 'not installed',
      canEncode: false,
      decode: missing,
      decodeInto: missing,
      decodedSize: missing,
      encode: missing,
      encodeInto: missing,
      encodeBound: missing,
      derive: missing,
      restore: missing,
      decodeAsync: async () => missing(),
      encodeAsync: async () => missing(),
    };
  }

  #need(idOrName: number | string, doing: string): FilterPackage {
    const filter = this.get(idOrName);
    if (filter) return filter;
    const entry = this.lookup(idOrName);
    if (typeof idOrName === 'number' || entry) {
      throw missingFilter([{ id: entry?.id ?? Number(idOrName) }], doing, (id) => this.lookup(id));
    }
    throw new H5zError('H5Z_UNKNOWN_FILTER', `no filter is called "${idOrName}"`, {
      remedy: 'use its canonical name, which is case-sensitive, or its filter ID',
    });
  }

  /**
   * The package for a stage. An alias whose marks fit goes first, since the ID may have a rightful owner too; then the
   * owner; then an alias without marks. `anyAlias` takes an alias whatever its marks: there is no stage to look at.
   */
  #find(stage: PipelineStage, anyAlias: boolean): FilterPackage | undefined {
    const aliases = this.packages.flatMap((filter) =>
      (filter.description.aliases ?? []).filter((alias) => alias.id === stage.id).map((alias) => ({ filter, alias })),
    );
    const marked = aliases.filter(({ alias }) => hasMarks(alias));
    return (
      marked.find(({ alias }) => !anyAlias && fits(alias, stage))?.filter ??
      this.packages.find((filter) => filter.id === stage.id) ??
      aliases.find(({ alias }) => anyAlias || !hasMarks(alias))?.filter
    );
  }
}

type Alias = NonNullable<FilterPackage['description']['aliases']>[number];

function hasMarks(alias: Alias): boolean {
  return alias.storedName !== undefined || alias.minWords !== undefined || alias.maxWords !== undefined;
}

function fits(alias: Alias, stage: PipelineStage): boolean {
  const named = alias.storedName === undefined || new RegExp(alias.storedName, 'i').test(stage.name ?? '');
  const words = stage.cdValues.length;
  return named && words >= (alias.minWords ?? 0) && words <= (alias.maxWords ?? Number.POSITIVE_INFINITY);
}

function privateEntry({ id, name, title, summary, package: npmName }: PrivateFilter): CatalogueEntry {
  return {
    id,
    name,
    title: title ?? name,
    summary: summary ?? 'a private filter',
    lossy: false,
    origin: 'private',
    status: npmName === undefined ? 'planned' : 'shipped',
    ...(npmName === undefined ? {} : { package: npmName }),
    nameConfirmed: true,
    revisions: [],
    incompatibilities: [],
    shippedBy: {},
    source: 'createRegistry table',
  };
}

function packageEntry(filter: FilterPackage): CatalogueEntry {
  const { id, name, title, summary, lossy, licence } = filter.description;
  return {
    ...privateEntry({ id, name, title, summary, package: filter.package.name }),
    lossy,
    licence,
    source: filter.package.name,
  };
}
