// Decodes a filter's golden chunks with built files and prints digests, in a process of its own: verify.ts starts it.
//
//   node packages/farm/src/verify-child.ts filters/zstd prebuilds/linux-x64/libh5z_zstd.so ...
//
// prints, as packages/abi/harness does, a line "digest SHA256 CASE" for every golden chunk that was decoded, after
// "file FILE" for each file.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Codec } from '../../core/src/types.ts';
import { goldenCases } from './golden.ts';

async function load(path: string): Promise<Codec> {
  const { loadWasm } = await import('../../core/dist/index.js');
  if (path.endsWith('.wasm')) return loadWasm(readFileSync(path));
  const { loadNative } = await import('../../native/dist/index.js');
  return loadNative(path);
}

/** The child: decodes every golden chunk with each file and prints digests. */
async function decodeAll(filterDir: string, files: readonly string[]): Promise<void> {
  for (const file of files) {
    let codec: Codec;
    try {
      codec = await load(join(filterDir, file));
    } catch (error) {
      if ((error as { code?: string }).code === 'H5Z_NO_PLATFORM') continue;
      throw error;
    }
    console.log(`file ${file}`);
    for (const { name, file: chunk, cdValues, size } of goldenCases(filterDir)) {
      const decoded = codec.decode(readFileSync(join(filterDir, 'golden', chunk)), { cdValues, size });
      console.log(`digest ${createHash('sha256').update(decoded).digest('hex')} ${name}`);
    }
  }
}

try {
  await decodeAll(process.argv[2] ?? '', process.argv.slice(3));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
