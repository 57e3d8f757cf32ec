// Makes a filter package's manifest.json from filter.json, package.json and the files that were built.
// The format is registry/schema/manifest.schema.json.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type {
  FilterDescription,
  Gpu,
  Manifest,
  NativeFile,
  SideModuleFile,
  WasmFile,
} from '../../core/src/generated/schema.ts';
import { gpuResults, verifiedOn } from './gpu-results.ts';
import { buildDir, ROOT } from './paths.ts';
import { upstreamFolder } from './sources.ts';

/** The h5wasm versions that the side modules are tested in. */
const H5WASM_RANGE = '>=0.8.0 <0.11.0';

/** The oldest systems that each platform's toolchain targets; glibc is read from the file itself. */
const MINIMUM: Readonly<Record<string, NativeFile['minimum']>> = {
  'linux-x64': { libc: 'glibc 2.17' },
  'linux-arm64': { libc: 'glibc 2.17' },
  'linux-x64-musl': { libc: 'musl 1.2' },
  'linux-arm64-musl': { libc: 'musl 1.2' },
  'darwin-x64': { os: 'macOS 11.0' },
  'darwin-arm64': { os: 'macOS 11.0' },
  'win32-x64': { os: 'Windows 10' },
  'win32-arm64': { os: 'Windows 10' },
};

export type Verified = NativeFile['verified'];

/** Where `recordVerified` keeps what it was told: in the build tree, by the hash of the file that was tried. */
function verifiedFile(filterDir: string, sha256: string): string {
  return join(buildDir(basename(filterDir), 'verified'), `${sha256}.json`);
}

/** What is known of a file by its hash: how far it was tried, where, and against which golden chunks. */
interface Verification {
  readonly file: string;
  readonly level: Verified;
  /** What ran it, in words. */
  readonly on?: string | undefined;
  /** Hash of golden/index.json; other chunks mean another trial. */
  readonly golden?: string | undefined;
}

function goldenHash(filterDir: string): string | undefined {
  const index = join(filterDir, 'golden/index.json');
  return existsSync(index) ? hashOf(readFileSync(index)) : undefined;
}

/** Notes how far a built file was tried, and on what. The next manifest says so as long as file and chunks are the same. */
export function recordVerified(filterDir: string, file: string, level: Verified, on?: string): void {
  const target = verifiedFile(filterDir, hashOf(readFileSync(join(filterDir, file))));
  const record: Verification = { file, level, on, golden: goldenHash(filterDir) };
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, `${JSON.stringify(record)}\n`);
}

/** True when the file as it is now was executed. */
export function isVerified(filterDir: string, file: string): boolean {
  return facts(filterDir, file).verified === 'executed';
}

/** The manifest of the filter in `filterDir` as its files are now. Throws when filter.json or package.json is missing. */
export function makeManifest(filterDir: string): Manifest {
  const description = readJson<FilterDescription>(join(filterDir, 'filter.json'));
  const { name, version } = readJson<{ name: string; version: string }>(join(filterDir, 'package.json'));
  const { variants } = description;
  const wasm = `wasm/${description.name}`;
  const native: NativeFile[] = [];
  for (const platform of list(join(filterDir, 'prebuilds'))) {
    for (const library of list(join(filterDir, 'prebuilds', platform))) {
      if (!/^libh5z_.*\.(so|dylib|dll)$/.test(library)) continue;
      const file = `prebuilds/${platform}/${library}`;
      native.push({
        platform: platform as NativeFile['platform'],
        ...facts(filterDir, file),
        encode: true,
        decode: true,
        minimum: minimumOf(platform, readFileSync(join(filterDir, file))),
      });
    }
  }
  const module = (file: string, encode: boolean): WasmFile[] =>
    existsSync(join(filterDir, file))
      ? [{ ...facts(filterDir, file), encode, decode: true, simd: variants.wasm?.simd ?? false }]
      : [];
  const side = (file: string): SideModuleFile[] =>
    existsSync(join(filterDir, file))
      ? [
          {
            ...facts(filterDir, file),
            encode: true,
            decode: true,
            simd: variants.h5wasm?.simd ?? false,
            host: H5WASM_RANGE,
          },
        ]
      : [];
  const gpu = (kind: 'cuda' | 'webgpu'): Gpu => {
    const file = `gpu/${description.name}.${kind === 'cuda' ? 'ptx' : 'wgsl'}`;
    const kernels =
      variants[kind] !== undefined && existsSync(join(filterDir, file))
        ? readFileSync(join(filterDir, file))
        : undefined;
    return {
      mode: variants[kind]?.mode ?? ('none' as const),
      reason:
        variants[kind]?.reason ??
        `no ${kind === 'cuda' ? 'CUDA' : 'WebGPU'} kernel has been written for this filter yet`,
      ...(kernels === undefined
        ? {}
        : {
            file,
            size: kernels.length,
            sha256: hashOf(kernels),
            encode: new RegExp(`\\bh5z_${description.name}_encode`).test(kernels.toString('latin1')),
            verifiedOn: kind === 'cuda' ? verifiedOn(description.name, hashOf(kernels), gpuResults()) : [],
          }),
    };
  };
  return {
    manifestVersion: 1,
    package: { name, version },
    filter: {
      id: description.id,
      name: description.name,
      title: description.title,
      lossy: description.lossy,
      licence: description.licence,
      aliases: (description.aliases ?? []).map((alias) => alias.id),
    },
    abi: abiVersion(),
    variants: {
      native,
      wasm: [...module(`${wasm}.wasm`, true), ...module(`${wasm}.decode.wasm`, false)],
      h5wasm: side(`${wasm}.h5wasm.wasm`),
      cuda: gpu('cuda'),
      webgpu: gpu('webgpu'),
    },
    upstreams: description.upstreams.map((upstream) => upstreamFacts(filterDir, upstream)),
    licences: list(join(filterDir, 'LICENSES')).map((file) => `LICENSES/${file}`),
  };
}

function facts(filterDir: string, file: string) {
  const bytes = readFileSync(join(filterDir, file));
  const sha256 = hashOf(bytes);
  const place = verifiedFile(filterDir, sha256);
  const record = existsSync(place) ? readJson<Verification>(place) : undefined;
  const known = record !== undefined && record.golden === goldenHash(filterDir) ? record : undefined;
  return {
    file,
    size: bytes.length,
    sha256,
    verified: known?.level ?? 'built',
    ...(known?.on === undefined ? {} : { verifiedOn: known.on }),
  };
}

/** The newest glibc symbol version that an ELF file asks for is the glibc it needs. */
function minimumOf(platform: string, bytes: Buffer): NativeFile['minimum'] {
  const minimum = MINIMUM[platform] ?? {};
  if (!minimum.libc?.startsWith('glibc')) return minimum;
  const minors = [...bytes.toString('latin1').matchAll(/GLIBC_2\.(\d+)/g)].map((match) => Number(match[1]));
  return { ...minimum, libc: `glibc 2.${Math.max(17, ...minors)}` };
}

function abiVersion(): number {
  const header = readFileSync(join(ROOT, 'packages/abi/include/h5z/filter.h'), 'utf8');
  const version = /#define H5Z_ABI_VERSION (\d+)u/.exec(header)?.[1];
  if (version === undefined) throw new Error('filter.h no longer defines H5Z_ABI_VERSION: change abiVersion() with it');
  return Number(version);
}

interface Upstream {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly tree: string;
}

function upstreamFacts(filterDir: string, upstream: FilterDescription['upstreams'][number]): Upstream {
  const found =
    typeof upstream === 'string'
      ? readJson<Upstream>(join(upstreamFolder(filterDir, upstream), 'upstream.json'))
      : (upstream as unknown as Upstream);
  return { name: found.name, version: found.version, licence: found.licence, tree: found.tree };
}

function list(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}
