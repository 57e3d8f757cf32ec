// The golden chunks of a filter folder: bytes that other software wrote, and the digest of what they decode to.

import { existsSync, readFileSync } from 'node:fs';
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

/** A chunk as index.json lists it. */
export interface GoldenCase extends Omit<GoldenChunk, 'sha256'> {
  /** Absent for chunks of lossy filters that decoders may decode to different numbers. */
  readonly sha256?: string;
}

/** The chunks that decode, with `file` as index.json has it: relative to golden/. None where there is no index.json. */
export function goldenCases(filterDir: string): GoldenCase[] {
  const index = join(filterDir, 'golden/index.json');
  if (!existsSync(index)) return [];
  return (JSON.parse(readFileSync(index, 'utf8')) as { cases: GoldenCase[] }).cases;
}

/** Chunks of `filter` that decode; those that must be refused have no digest and are left out. */
export function golden(filter: { readonly folder: string }): GoldenChunk[] {
  const folder = join(filter.folder, 'golden');
  return goldenCases(filter.folder).flatMap(({ sha256, ...rest }) =>
    sha256 === undefined ? [] : [{ ...rest, sha256, file: join(folder, rest.file) }],
  );
}
