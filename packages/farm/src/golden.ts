// The golden chunks of a filter folder: bytes that other software wrote, and the digest of what they decode to.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface GoldenChunk {
  readonly name: string;
  /** Absolute path of the encoded bytes. */
  readonly file: string;
  /** Stored cd_values. */
  readonly cdValues: readonly number[];
  /** Bytes of the decoded chunk. */
  readonly size: number;
  /** Of the decoded bytes. */
  readonly sha256: string;
}

/** Chunks of `filter` that decode; those that must be refused have no digest and are left out. */
export function golden(filter: { readonly folder: string }): GoldenChunk[] {
  const folder = join(filter.folder, 'golden');
  const { cases } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
    cases: (Omit<GoldenChunk, 'sha256'> & { sha256?: string })[];
  };
  return cases.flatMap(({ sha256, ...rest }) =>
    sha256 === undefined ? [] : [{ ...rest, sha256, file: join(folder, rest.file) }],
  );
}
