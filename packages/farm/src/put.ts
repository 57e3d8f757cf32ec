// Files that others read while the farm writes them: an app imports a filter's dist/ while ./farm build finishes it. What is as it
// should be is left alone, what is not comes into its place whole.

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { alive } from './exec.ts';

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

/** Another farm writes it just now: its temporary file. */
function isUnderWay(name: string): boolean {
  const owner = Number(/\.(\d+)\.tmp$/.exec(name)?.[1] ?? process.pid);
  return owner !== process.pid && alive(owner);
}

function removeFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    // Another farm writes into it, or was faster.
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Makes `folder` hold these files, by their paths in it, and no others, but for those that another farm writes meanwhile. */
export function putFolder(folder: string, files: ReadonlyMap<string, Content>): void {
  mkdirSync(folder, { recursive: true });
  for (const [path, content] of files) putFile(join(folder, path), content);
  const wanted = new Set<string>();
  for (const path of files.keys())
    for (let one = join(path); one !== '.'; one = dirname(one)) wanted.add(join(folder, one));
  // A folder comes before what is in it.
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }).reverse()) {
    const path = join(entry.parentPath, entry.name);
    if (wanted.has(path)) continue;
    if (entry.isDirectory()) removeFolder(path);
    else if (!isUnderWay(entry.name)) rmSync(path, { force: true });
  }
}
