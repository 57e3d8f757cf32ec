// Runs what was built for this machine on the filter's golden chunks, so that the manifest can say `executed` and mean it.
// Each file is tried once, in a process of its own: a library that crashes fails the build with a sentence.
//
//   node packages/farm/src/verify.ts filters/zstd        (what verifyFilter starts)

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Codec } from '../../core/src/types.ts';
import { FarmError } from './log.ts';
import { isVerified, makeManifest, recordVerified } from './manifest.ts';
import { hostPlatform } from './targets.ts';

const SELF = fileURLToPath(import.meta.url);

interface GoldenCase {
  readonly name: string;
  readonly file: string;
  readonly cdValues: readonly number[];
  readonly size: number;
  /** Absent for chunks that must be refused. */
  readonly sha256?: string;
}

/** Tries the filter's files that run here and have not been tried yet. Throws when one decodes golden bytes wrongly. */
export async function verifyFilter(filterDir: string): Promise<void> {
  if (goldenCases(filterDir).length === 0 || untried(filterDir).length === 0) return;
  try {
    await promisify(execFile)(process.execPath, [SELF, filterDir]);
  } catch (error) {
    const { stderr, signal } = error as { stderr?: string; signal?: string };
    const problem = stderr?.trim().split('\n').at(-1) || `the process ended with ${signal ?? 'an error'}`;
    throw new FarmError(
      `${basename(filterDir)} does not decode its golden chunks: ${problem}. Repair the filter, then build it again.`,
    );
  }
}

function goldenCases(filterDir: string): GoldenCase[] {
  const index = join(filterDir, 'golden/index.json');
  if (!existsSync(index)) return [];
  return (JSON.parse(readFileSync(index, 'utf8')) as { cases: GoldenCase[] }).cases;
}

/** Files that run on this machine and are not known to have run: paths relative to the filter's folder. */
function untried(filterDir: string): string[] {
  const { native, wasm } = makeManifest(filterDir).variants;
  const here = native.filter(({ platform }) => platform === hostPlatform());
  return [...here, ...wasm].map(({ file }) => file).filter((file) => !isVerified(filterDir, file));
}

async function load(path: string): Promise<Codec> {
  const { loadWasm } = await import('../../core/dist/index.js');
  if (path.endsWith('.wasm')) return loadWasm(readFileSync(path));
  const { loadNative } = await import('../../native/dist/index.js');
  return loadNative(path);
}

async function verify(filterDir: string): Promise<void> {
  for (const file of untried(filterDir)) {
    let codec: Codec;
    try {
      codec = await load(join(filterDir, file));
    } catch (error) {
      // Without the addon of this platform native libraries cannot be tried here: they stay `built`.
      if ((error as { code?: string }).code === 'H5Z_NO_PLATFORM') continue;
      throw error;
    }
    for (const { name, file: chunk, cdValues, size, sha256 } of goldenCases(filterDir)) {
      if (sha256 === undefined) continue;
      const decoded = codec.decode(readFileSync(join(filterDir, 'golden', chunk)), { cdValues, size });
      const actual = createHash('sha256').update(decoded).digest('hex');
      if (actual !== sha256) throw new Error(`${file}: golden chunk ${name} decodes to ${actual}, not ${sha256}`);
    }
    recordVerified(filterDir, file, 'executed');
  }
}

if (process.argv[1] === SELF) {
  try {
    await verify(process.argv[2] ?? '');
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
