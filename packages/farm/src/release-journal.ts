// What a release has to remember when it is killed: which bytes it set out to publish, and where to. Everything else - what
// is published, which dist-tag points where - it asks the registry again, which cannot be out of date.

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { FarmError } from './log.ts';
import { AGAIN } from './release-target.ts';

export interface JournalPackage {
  readonly name: string;
  readonly version: string;
  /** File beside the journal, in `packages/`. */
  readonly tarball: string;
  /** As npm writes it: `sha512-...`. */
  readonly integrity: string;
}

export interface Journal {
  readonly journalVersion: 1;
  readonly registry: string;
  /** The commit that the packages were made from; empty outside git. */
  readonly commit: string;
  /** Dependencies first. */
  readonly packages: readonly JournalPackage[];
  /** Steps that are done, for people: a second run asks the registry and does not believe this. */
  readonly done: readonly string[];
  readonly finished: boolean;
}

/** The journal in `file`; undefined when there is none. */
export function readJournal(file: string): Journal | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const journal = JSON.parse(readFileSync(file, 'utf8')) as Journal;
    if (journal.journalVersion !== 1 || !Array.isArray(journal.packages)) throw new Error('it is of another version');
    return journal;
  } catch (error) {
    throw new FarmError(
      `${file} cannot be read: ${(error as Error).message}. Start anew with ./farm release --forget: what is published already is found and left.`,
    );
  }
}

/** Replaces the journal in one step: a reader sees the old one or the new one, also after a power cut. */
export function writeJournal(file: string, journal: Journal): void {
  const temporary = `${file}.new`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    const descriptor = openSync(temporary, 'w');
    try {
      writeFileSync(descriptor, `${JSON.stringify(journal, null, 1)}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, file);
  } catch (error) {
    throw explainDisk(file, error);
  }
}

/** A full disk in words; every other error as it is. */
export function explainDisk(file: string, error: unknown): unknown {
  const { code, path } = error as NodeJS.ErrnoException;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new FarmError(`the disk is full: ${path ?? file} cannot be written. Free some room. ${AGAIN}`);
}
