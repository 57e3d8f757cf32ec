// The package managers that people install with, each from its own npm package (devDependencies), so that every machine
// tries the same versions: npm, pnpm with its symbolic links, Yarn with Plug'n'Play, where no node_modules exists at all.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { run } from './exec.ts';
import { FarmError } from './log.ts';
import { ROOT } from './paths.ts';
import type { RunningRegistry } from './registry-server.ts';

export interface PackageManager {
  readonly name: string;
  /** Installs packages by name into `folder`, without running any script of theirs. */
  install(folder: string, names: readonly string[]): Promise<void>;
  /** Removes what was installed and installs it again from the lock file and the manager's own cache, without a network. */
  again(folder: string): Promise<void>;
  /** Runs a module of `folder` as the manager wants it run; resolves with what it printed. */
  node(folder: string, module: string): Promise<string>;
}

/** A chunk to decode after installing: what the package is asked to do. */
export interface Sample {
  readonly package: string;
  readonly file: string;
  readonly cdValues: readonly number[];
  readonly size: number;
  readonly sha256: string;
}

export interface Decoded {
  readonly package: string;
  readonly version: string;
  /** Version of the Node that decoded. */
  readonly node: string;
  readonly variant: string;
  readonly sha256: string;
}

/** Entry of a program that an npm package of this repository's node_modules brings; undefined when it is not there. */
function programOf(name: string, program: string): string | undefined {
  const folder = join(ROOT, 'node_modules', name);
  if (!existsSync(join(folder, 'package.json'))) return undefined;
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { bin: Record<string, string> };
  return join(folder, bin[program] ?? '');
}

/** The managers that are here, set up for `registry`, with caches in `scratch` and run by the Node whose program is `node`. */
export function packageManagers(registry: RunningRegistry, scratch: string, node = process.execPath): PackageManager[] {
  const path = { PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` };
  const env = (folder: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
    ...registry.env,
    ...path,
    // Theirs, not the person's.
    HOME: join(scratch, 'home'),
    XDG_CACHE_HOME: join(scratch, 'cache'),
    XDG_DATA_HOME: join(scratch, 'data'),
    INIT_CWD: folder,
    COREPACK_ENABLE_STRICT: '0',
    ...more,
  });
  const remove = (folder: string, ...names: string[]): void => {
    for (const name of names) rmSync(join(folder, name), { recursive: true, force: true });
  };
  const plainNode = async (folder: string, module: string): Promise<string> =>
    (await run(node, [module], { cwd: folder, env: env(folder) })).stdout;

  const managers: PackageManager[] = [
    {
      name: 'npm',
      async install(folder, names) {
        await registry.npm(['install', ...names, '--ignore-scripts', '--registry', registry.url], folder, path);
      },
      async again(folder) {
        remove(folder, 'node_modules');
        await registry.npm(['ci', '--offline', '--ignore-scripts', '--registry', registry.url], folder, path);
      },
      node: plainNode,
    },
  ];
  const pnpm = programOf('pnpm', 'pnpm');
  if (pnpm !== undefined) {
    const call = (folder: string, ...args: string[]) =>
      run(node, [pnpm, ...args, '--ignore-scripts', '--store-dir', join(scratch, 'pnpm-store')], {
        cwd: folder,
        env: env(folder, { npm_config_registry: registry.url, CI: '1' }),
      });
    managers.push({
      name: 'pnpm',
      async install(folder, names) {
        await call(folder, 'add', ...names);
      },
      async again(folder) {
        remove(folder, 'node_modules');
        await call(folder, 'install', '--offline', '--frozen-lockfile');
      },
      node: plainNode,
    });
  }
  const yarn = programOf('@yarnpkg/cli-dist', 'yarn');
  if (yarn !== undefined) {
    const call = (folder: string, args: readonly string[], more: NodeJS.ProcessEnv = {}) =>
      run(node, [yarn, ...args], { cwd: folder, env: env(folder, more) });
    managers.push({
      name: 'yarn-pnp',
      async install(folder, names) {
        const settings = {
          nodeLinker: 'pnp',
          npmRegistryServer: registry.url,
          unsafeHttpWhitelist: ['127.0.0.1'],
          enableScripts: false,
          enableTelemetry: false,
          enableGlobalCache: false,
          enableImmutableInstalls: false,
          npmMinimalAgeGate: 0,
        };
        writeFileSync(join(folder, '.yarnrc.yml'), `${JSON.stringify(settings)}\n`);
        if (!existsSync(join(folder, 'yarn.lock'))) writeFileSync(join(folder, 'yarn.lock'), '');
        await call(folder, ['add', ...names]);
      },
      async again(folder) {
        remove(folder, '.pnp.cjs', '.pnp.loader.mjs', '.yarn/unplugged', '.yarn/install-state.gz');
        await call(folder, ['install', '--immutable'], { YARN_ENABLE_NETWORK: '0' });
      },
      node: async (folder, module) => (await call(folder, ['node', module])).stdout,
    });
  }
  return managers;
}

const CHECK = `
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
process.on('warning', (warning) => { if (/H5Z/.test(warning.code ?? '')) { console.error(warning.message); process.exit(1); } });
const answers = [];
for (const { package: name, file, cdValues, size } of JSON.parse(readFileSync('samples.json', 'utf8'))) {
  const { default: filter } = await import(name);
  const { default: { version } } = await import(name + '/package.json', { with: { type: 'json' } });
  const codec = await filter.load();
  const out = codec.decode(readFileSync(file), { cdValues, size });
  answers.push({ package: name, version, node: process.versions.node, variant: codec.variant, sha256: createHash('sha256').update(out).digest('hex') });
}
await new Promise((resolve) => setTimeout(resolve, 20));
console.log('H5Z ' + JSON.stringify(answers));
`;

/** A new application in `folder`, with nothing installed. */
export function emptyApplication(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "name": "application", "private": true, "type": "module" }\n');
}

/** Decodes each sample with what is installed in `folder`. Throws when a digest is another. */
export async function decodeSamples(
  manager: PackageManager,
  folder: string,
  samples: readonly Sample[],
): Promise<Decoded[]> {
  writeFileSync(join(folder, 'samples.json'), JSON.stringify(samples));
  writeFileSync(join(folder, 'check.mjs'), CHECK);
  const printed = await manager.node(folder, 'check.mjs');
  const line = printed.split('\n').find((text) => text.startsWith('H5Z '));
  if (line === undefined) throw new FarmError(`${manager.name}: the installed packages printed no digest:\n${printed}`);
  const decoded = JSON.parse(line.slice(4)) as Decoded[];
  for (const [i, { package: name, sha256 }] of decoded.entries()) {
    const wanted = samples[i]?.sha256;
    if (sha256 !== wanted)
      throw new FarmError(
        `${manager.name}: ${name} as installed decodes its golden chunk to ${sha256}, not ${wanted}.`,
      );
  }
  return decoded;
}
