// Runs what was built on the filter's golden chunks, so that the manifest can say `executed` and mean it: a digest came out of
// that very file on its platform, and it is the right one. Files of this machine run in Node, with every build; those of other
// platforms under the emulators of emulation.ts, by ./farm verify. Each file is tried once, in a process of its own: a library
// that crashes is a sentence.

import { existsSync, readFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { libraryProblems } from './binary.ts';
import { type RunResult, run } from './exec.ts';
import { goldenCases } from './golden.ts';
import { FarmError } from './log.ts';
import { isVerified, makeManifest, recordVerified, type Verified } from './manifest.ts';
import { ROOT } from './paths.ts';
import { hostPlatform, isPlatform, libraryName, PLATFORMS, type Platform } from './targets.ts';

/** The program that decodes, beside this module: TypeScript in the repository, JavaScript in @h5z/abi. */
const CHILD = join(import.meta.dirname, `verify-child${extname(fileURLToPath(import.meta.url))}`);

/**
 * How far a file came, by what its process printed. Throws when a digest is missing or another than golden/index.json has:
 * that comparison is made here and not where the file ran.
 */
export function judge(filterDir: string, file: string, output: string): Verified {
  const digests = new Map(
    [...output.matchAll(/^digest ([0-9a-f]{64}) (.+?)\r?$/gm)].map(([, digest, name]) => [name as string, digest]),
  );
  let compared = 0;
  for (const { name, sha256 } of goldenCases(filterDir)) {
    if (sha256 === undefined) continue;
    const digest = digests.get(name);
    if (digest !== sha256)
      throw new FarmError(
        `${basename(filterDir)} does not decode its golden chunks: ${file}: golden chunk ${name} decodes to ${digest ?? 'nothing'}, not ${sha256}. Repair the filter, then build it again.`,
      );
    compared++;
  }
  return compared > 0 ? 'executed' : 'loaded';
}

function failure(filterDir: string, file: string, on: string, { status, stdout, stderr }: RunResult): FarmError {
  const lines = `${stdout}\n${stderr}`
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(digest|file) /.test(line));
  const said = lines.slice(-3).join(' | ') || 'it said nothing';
  return new FarmError(
    `${basename(filterDir)} does not decode its golden chunks: ${file} on ${on} ended with status ${status}: ${said}. Repair the filter, then build it again.`,
  );
}

// ---------------------------------------------------------------------------------------------------- this machine, in Node

/** Files that run on this machine and are not known to have run: paths relative to the filter's folder. */
function untried(filterDir: string): string[] {
  const { native, wasm } = makeManifest(filterDir).variants;
  const here = native.filter(({ platform }) => platform === hostPlatform());
  return [...here, ...wasm].map(({ file }) => file).filter((file) => !isVerified(filterDir, file));
}

/** Tries the filter's files that run here and have not been tried yet. Throws when one decodes golden bytes wrongly. */
export async function verifyFilter(filterDir: string): Promise<void> {
  const files = untried(filterDir);
  if (goldenCases(filterDir).length === 0 || files.length === 0) return;
  const result = await run(process.execPath, [CHILD, filterDir, ...files], { allowFailure: true });
  if (result.status !== 0) throw failure(filterDir, files.join(', '), 'Node', result);
  // Without the addon of this platform native libraries cannot be tried: they are not among what was printed.
  for (const part of result.stdout.split(/^file /m).slice(1)) {
    const file = part.slice(0, part.indexOf('\n'));
    recordVerified(filterDir, file, judge(filterDir, file, part), 'Node');
  }
}

// ------------------------------------------------------------------------------------------------- every platform, emulated

export interface Verdict {
  readonly filter: string;
  readonly platform: Platform;
  readonly file: string;
  readonly level: Verified;
  /** What ran it, or why nothing did. */
  readonly on: string;
  /** It was tried before. */
  readonly known: boolean;
  /** This machine lacks a tool that another like it has, and so nothing ran the file. */
  readonly lacking: boolean;
}

/** Tries the library of one platform by whatever runs it here, once for each file. Throws when it is wrong. */
export async function verifyPlatform(filterDir: string, platform: Platform): Promise<Verdict> {
  const filter = makeManifest(filterDir).filter.name;
  const file = `prebuilds/${platform}/${libraryName(filter, platform)}`;
  const path = join(filterDir, file);
  if (!existsSync(path))
    throw new FarmError(`${filter} was not built for ${platform}. Run ./farm build ${filter} --targets ${platform}.`);
  const problems = libraryProblems(readFileSync(path), platform, 'filter');
  if (problems.length > 0) throw new FarmError(`filters/${filter}/${file}: ${problems.join('; ')}.`);
  const verdict = (known: boolean, reason = '', lacking = false): Verdict => {
    const found = makeManifest(filterDir).variants.native.find((native) => native.file === file);
    return {
      filter,
      platform,
      file,
      level: found?.verified ?? 'built',
      on: found?.verifiedOn ?? reason,
      known,
      lacking,
    };
  };
  if (isVerified(filterDir, file)) return verdict(true);
  if (platform === hostPlatform()) {
    await verifyFilter(filterDir);
    const found = verdict(false, '@h5z/native has no addon for this machine: run ./farm build');
    return { ...found, lacking: found.level === 'built' };
  }

  const { ensureEmulator, whyNever } = await import('./emulation.ts');
  const { buildHarness } = await import('./build.ts');
  const never = whyNever(platform);
  if (never !== undefined) return verdict(false, never);
  let emulator: Awaited<ReturnType<typeof ensureEmulator>>;
  try {
    emulator = await ensureEmulator(platform);
  } catch (error) {
    // What cannot be had on this machine leaves the file `built`, and the reason is shown.
    if (error instanceof FarmError) return verdict(false, error.message, true);
    throw error;
  }
  const options = { env: emulator.env, allowFailure: true, timeout: 600_000 };
  const golden = emulator.path(join(filterDir, 'golden'));
  const harness = emulator.command(await buildHarness(platform), [emulator.path(path), golden]);
  const result = await run(...harness, options);
  if (result.status !== 0) throw failure(filterDir, file, emulator.name, result);
  const level = judge(filterDir, file, result.stdout);
  let on = emulator.name;
  if (existsSync(join(ROOT, 'packages/native/prebuilds', platform, 'h5z_native.node'))) {
    const node = await emulator.node();
    if (node !== undefined) {
      on = `Node on ${emulator.name}`;
      const again = await run(...emulator.command(node, [CHILD, filterDir, file]), options);
      if (again.status !== 0) throw failure(filterDir, file, on, again);
      judge(filterDir, file, again.stdout);
    }
  }
  recordVerified(filterDir, file, level, on);
  return verdict(false);
}

/** The platforms of `words` that this filter was built for; all of them when no word is given. */
export function builtPlatforms(filterDir: string, words: readonly string[]): Platform[] {
  for (const word of words)
    if (!isPlatform(word)) throw new FarmError(`no platform "${word}". Platforms: ${PLATFORMS.join(', ')}.`);
  const { name } = makeManifest(filterDir).filter;
  return words.length > 0
    ? PLATFORMS.filter((platform) => words.includes(platform))
    : PLATFORMS.filter((platform) => existsSync(join(filterDir, 'prebuilds', platform, libraryName(name, platform))));
}
