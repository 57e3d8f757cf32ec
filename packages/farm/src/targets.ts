// The one table of what a build makes: every target with its inputs, outputs, toolchain and steps before it. The action
// (build.ts), the Nx plugin (nx-plugin.mjs) and ./farm matrix are all read from it.

import { existsSync, readFileSync } from 'node:fs';
import type { FilterDescription } from '../../core/src/generated/schema.ts';

export const PLATFORMS = [
  'linux-x64',
  'linux-x64-musl',
  'linux-arm64',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64',
  'win32-arm64',
] as const;
export type Platform = (typeof PLATFORMS)[number];
export type Target = Platform | 'wasm' | 'h5wasm' | 'ptx' | 'pack';
export type Toolchain = 'zig' | 'emscripten' | 'ptx' | 'none';

/** The platforms that every test run builds, beside the host: one of each system. */
export const CROSS: readonly Platform[] = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64'];

export const isPlatform = (target: string): target is Platform => (PLATFORMS as readonly string[]).includes(target);

/** The platform this process runs on, in Node's words. */
export function hostPlatform(): Platform {
  // glibc names its version in the process report; musl has none.
  const header = (process.report.getReport() as { header?: { glibcVersionRuntime?: string } }).header;
  const musl = process.platform === 'linux' && header?.glibcVersionRuntime === undefined;
  const name = `${process.platform}-${process.arch}${musl ? '-musl' : ''}`;
  if (isPlatform(name)) return name;
  throw new Error(`h5z builds for ${PLATFORMS.join(', ')}; this machine is ${name}`);
}

/**
 * What Nx calls a target. A package's addon for a platform other than this machine's has a word of its own, because Nx
 * builds every target named for every project named, and a C++ runtime for another platform takes zig minutes.
 */
export function nxName(ofPackage: boolean, target: Target): string {
  if (target === 'pack') return target;
  return `${ofPackage && isPlatform(target) && target !== hostPlatform() ? 'cross' : 'build'}:${target}`;
}

/** File name of a filter's native library. */
export function libraryName(filter: string, platform: Platform): string {
  const suffix = platform.startsWith('darwin') ? 'dylib' : platform.startsWith('win32') ? 'dll' : 'so';
  return `libh5z_${filter}.${suffix}`;
}

export interface TargetPlan {
  readonly target: Target;
  readonly toolchain: Toolchain;
  /** H5Z_KINDS of packages/abi/cmake, for filters. */
  readonly kinds: readonly string[];
  /** Globs, relative to the repository. */
  readonly inputs: readonly string[];
  /** Files, relative to the folder of the filter or package. */
  readonly outputs: readonly string[];
  /** Targets of the same folder that come first. */
  readonly after: readonly Target[];
  /** False: made anew each time, because it is quick or depends on what else was built. */
  readonly cache: boolean;
}

const FARM = ['build', 'identity', 'targets', 'side-runtime'].map((name) => `packages/farm/src/${name}.ts`);
/** Not gpu.h beside it: a change of what kernels are written in rebuilds kernels alone. */
const FILTER_H = 'packages/abi/include/h5z/filter.h';
const ABI = [FILTER_H, 'packages/abi/lib/**/*', 'packages/abi/src/**/*', 'packages/abi/cmake/**/*'];
const KERNEL_ABI = ['packages/abi/include/**/*', 'packages/abi/cmake/**/*'];
const toolchainInputs = (toolchain: Toolchain): string[] => [
  `toolchains/${toolchain}/**/*`,
  ...(toolchain === 'ptx' ? ['toolchains/zig/requirements.txt'] : []),
  ...FARM,
];

/** What can be built of one filter. */
export function filterPlans(description: FilterDescription): TargetPlan[] {
  const { name, variants } = description;
  const folder = `filters/${name}`;
  const upstreams = description.upstreams
    .filter((upstream) => typeof upstream === 'string')
    .map((upstream) => `upstreams/${upstream}/**/*`);
  const own = ['filter.json', 'package.json', 'CMakeLists.txt', 'src/**/*', 'upstreams/**/*'].map(
    (glob) => `${folder}/${glob}`,
  );
  const plan = (target: Target, toolchain: Toolchain, kinds: string[], outputs: string[]): TargetPlan => ({
    target,
    toolchain,
    kinds,
    inputs: [...own, ...(toolchain === 'ptx' ? KERNEL_ABI : [...upstreams, ...ABI]), ...toolchainInputs(toolchain)],
    outputs,
    after: [],
    cache: true,
  });
  const plans: TargetPlan[] = [];
  if (variants.native) {
    for (const platform of PLATFORMS)
      plans.push(plan(platform, 'zig', ['native'], [`prebuilds/${platform}/${libraryName(name, platform)}`]));
  }
  if (variants.wasm)
    plans.push(plan('wasm', 'emscripten', ['wasm', 'wasm-decode'], [`wasm/${name}.wasm`, `wasm/${name}.decode.wasm`]));
  if (variants.h5wasm) plans.push(plan('h5wasm', 'emscripten', ['h5wasm'], [`wasm/${name}.h5wasm.wasm`]));
  if ((variants.cuda?.mode ?? 'none') !== 'none') plans.push(plan('ptx', 'ptx', ['ptx'], [`gpu/${name}.ptx`]));
  plans.push({
    target: 'pack',
    toolchain: 'none',
    kinds: [],
    inputs: own,
    outputs: ['dist', 'manifest.json', 'LICENSES'],
    after: [],
    cache: false,
  });
  return plans;
}

export interface PackagePlan extends TargetPlan {
  /** Folder under packages/. */
  readonly package: string;
  readonly upstreams: readonly string[];
}

/** What can be built of the packages that hold C or C++ of their own: a CMakeLists.txt and the wish in package.json. */
export function packagePlans(name: string, root: string): PackagePlan[] {
  const folder = `packages/${name}`;
  if (!existsSync(`${root}/${folder}/CMakeLists.txt`)) return [];
  const { h5z } = JSON.parse(readFileSync(`${root}/${folder}/package.json`, 'utf8')) as {
    h5z?: { upstreams?: string[]; build?: Record<string, string[]> };
  };
  const upstreams = h5z?.upstreams ?? [];
  const plan = (target: Target, toolchain: Toolchain, outputs: readonly string[]): PackagePlan => ({
    package: name,
    target,
    toolchain,
    kinds: [],
    upstreams,
    inputs: [
      `${folder}/CMakeLists.txt`,
      `${folder}/c/**/*`,
      `${folder}/src/addon/**/*`,
      `${folder}/package.json`,
      FILTER_H,
      'packages/abi/src/new.cpp',
      ...upstreams.map((upstream) => `upstreams/${upstream}/**/*`),
      ...toolchainInputs(toolchain),
    ],
    outputs,
    after: [],
    cache: true,
  });
  return Object.entries(h5z?.build ?? {}).flatMap(([target, outputs]) =>
    target === 'platform'
      ? PLATFORMS.map((platform) =>
          plan(
            platform,
            'zig',
            outputs.map((file) => file.replaceAll('<platform>', platform)),
          ),
        )
      : [plan(target as Target, 'emscripten', outputs)],
  );
}
