// Files that others read while the farm writes them: an app imports a filter's dist/ while ./farm build finishes it. What is as it
// should be is left alone, what is not comes into its place whole.

import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Content {
  readonly data: string | Uint8Array;
  /** Permissions; default: those of a new file. */
  readonly mode?: number;
}

/** Writes a file unless it has these bytes and permissions. Nobody ever reads a part of it. */
export function putFile(file: string, { data, mode }: Content): void {
  const bytes = Buffer.from(data as Uint8Array);
  const now = statSync(file, { throwIfNoEntry: false });
  if (now?.isFile() && now.size === bytes.length && (mode === undefined || (now.mode & 0o777) === mode))
    if (readFileSync(file).equals(bytes)) return;
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, bytes);
    if (mode !== undefined) chmodSync(temporary, mode);
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Makes `folder` hold these files, by their paths in it, and no others. */
export function putFolder(folder: string, files: ReadonlyMap<string, Content>): void {
  mkdirSync(folder, { recursive: true });
  for (const [path, content] of files) putFile(join(folder, path), content);
  const wanted = new Set([...files.keys()].map((path) => join(folder, path)));
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isDirectory() && !wanted.has(path)) rmSync(path, { force: true });
  }
}
