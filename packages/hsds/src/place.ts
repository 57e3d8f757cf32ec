// Puts an installation into a folder of Python packages and takes it out: whole or not at all. Everything is written
// beside its place first; then the package's folder changes in one step, and only bookkeeping follows. What is in the way
// and not ours is left alone. A run that was killed is put right by the next one.

import { constants } from 'node:fs';
import { access, lstat, mkdir, open, readdir, readFile, rename, rm, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { H5zError } from '@h5z/core';
import { DISTRIBUTION, type InstalledJson, type Layout, PACKAGE, parseInstalled, START_FILE } from './layout.js';

/** Where everything is made ready, and where what is replaced goes before it is deleted. */
const STAGE = '.h5z_hsds.stage';
/** Held while a folder is changed: the number of the process. */
const LOCK = '.h5z_hsds.lock';
/** A lock without a number in it belongs to nobody after this time. */
const LOCK_MS = 10_000;

/** What has just been done, for progress and for tests that end the process there. */
export type PlaceStep =
  | 'locked'
  | 'recovered'
  | 'staged'
  | 'package moved away'
  | 'package'
  | 'metadata'
  | 'start file';

export interface PlaceOptions {
  /** Exchanges two folders in one step; false where the system cannot. Without it an upgrade takes two renames. */
  readonly exchange?: (a: string, b: string) => Promise<boolean>;
  readonly onStep?: (step: PlaceStep) => void;
}

/** What lies in a folder of Python packages. */
export interface Found {
  readonly installed?: InstalledJson;
  /** Folder names of metadata that is ours. */
  readonly metadata: readonly string[];
  readonly startFile: boolean;
  /** An installation or removal was interrupted. The next one puts it right. */
  readonly interrupted: boolean;
  /** Files of ours that are not as they were written, or gone. Relative to the folder. */
  readonly altered: readonly string[];
  /** Things at our paths that are not ours. */
  readonly foreign: readonly string[];
}

/** Looks, without changing anything. A folder that does not exist holds nothing. */
export async function lookInto(folder: string): Promise<Found> {
  const place = join(folder, PACKAGE);
  const kind = await kindOf(place);
  const foreign: string[] = [];
  let installed: InstalledJson | undefined;
  const there = kind === 'folder' ? await filesBelow(place) : [];
  if (kind === 'folder') {
    installed = parseInstalled(await readFile(join(place, 'installed.json')).catch(() => new Uint8Array()));
    const ours = new Set(installed?.files);
    foreign.push(...there.filter((file) => !ours.has(file)).map((file) => `${PACKAGE}/${file}`));
  } else if (kind !== 'nothing') foreign.push(PACKAGE);

  const metadata: string[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    if (!/^h5z_hsds-.*\.dist-info$/i.test(name)) continue;
    const said = await readFile(join(folder, name, 'METADATA'), 'utf8').catch(() => '');
    const distribution = /^Name:\s*(\S+)/m
      .exec(said)?.[1]
      ?.toLowerCase()
      .replace(/[-_.]+/g, '-');
    if (distribution === DISTRIBUTION) metadata.push(name);
    else foreign.push(name);
  }
  const startKind = await kindOf(join(folder, START_FILE));
  const startText = startKind === 'file' ? await readFile(join(folder, START_FILE), 'utf8') : '';
  const startFile = startText.includes(PACKAGE);
  if (startKind !== 'nothing' && !startFile) foreign.push(START_FILE);

  const parts = [installed !== undefined, metadata.length > 0, startFile].filter(Boolean).length;
  const interrupted =
    (parts > 0 && parts < 3) || metadata.length > 1 || (await kindOf(join(folder, STAGE))) !== 'nothing';
  const gone = (installed?.files ?? []).filter((file) => !there.includes(file)).map((file) => `${PACKAGE}/${file}`);
  const altered = new Set([...gone, ...(metadata.length === 1 ? await alteredBy(folder, metadata[0] as string) : [])]);
  return {
    ...(installed === undefined ? {} : { installed }),
    metadata,
    startFile,
    interrupted,
    altered: [...altered].sort(),
    foreign,
  };
}

/** Files that are not what RECORD says, or gone. Lines that name a place outside the folder are nobody's business here. */
async function alteredBy(folder: string, metadata: string): Promise<string[]> {
  const { createHash } = await import('node:crypto');
  const record = await readFile(join(folder, metadata, 'RECORD'), 'utf8').catch(() => '');
  if (record === '') return [`${metadata}/RECORD`];
  const altered: string[] = [];
  for (const line of record.split('\n')) {
    const [path = '', hash = ''] = line.trim().split(',');
    if (!hash.startsWith('sha256=') || path.includes('..') || path.startsWith('/')) continue;
    const content = await readFile(join(folder, ...path.split('/'))).catch(() => undefined);
    const actual = content && createHash('sha256').update(content).digest('base64url');
    if (actual !== hash.slice('sha256='.length)) altered.push(path);
  }
  return altered;
}

/**
 * Puts `layout` into `folder` in place of what is there of ours. True when something was changed: the same installation
 * again is left as it is. Throws H5Z_FILE when the folder cannot be written, when another process is at it, or when
 * something that is not ours lies in the way; then nothing has changed.
 */
export async function placeInto(folder: string, layout: Layout, options: PlaceOptions = {}): Promise<boolean> {
  return locked(folder, options, async (step) => {
    const found = await lookInto(folder);
    refuseForeign(folder, found);
    if (await isAsWanted(folder, found, layout)) return false;
    const fresh = join(folder, STAGE, 'new');
    await mkdir(fresh, { recursive: true });
    await Promise.all([...layout.files].map(([path, content]) => writeNew(join(fresh, ...path.split('/')), content)));
    step('staged');
    // From here on nothing is left to fail but the renames themselves.
    await replaceFolder(folder, PACKAGE, { ...options, onStep: step });
    step('package');
    await replaceFolder(folder, layout.metadata, options);
    for (const name of found.metadata) {
      if (name !== layout.metadata) await rename(join(folder, name), join(folder, STAGE, `old-${name}`));
    }
    step('metadata');
    await rename(join(fresh, START_FILE), join(folder, START_FILE));
    step('start file');
    return true;
  });
}

/** Takes ours out of `folder`, the start file first. What was there, or undefined where nothing was. Throws as placeInto. */
export async function removeFrom(folder: string, options: PlaceOptions = {}): Promise<Found | undefined> {
  if ((await kindOf(folder)) !== 'folder') return undefined;
  return locked(folder, options, async (step) => {
    const found = await lookInto(folder);
    refuseForeign(folder, found);
    await mkdir(join(folder, STAGE));
    if (found.startFile) await unlink(join(folder, START_FILE));
    step('start file');
    if ((await kindOf(join(folder, PACKAGE))) === 'folder') {
      await rename(join(folder, PACKAGE), join(folder, STAGE, `old-${PACKAGE}`));
    }
    step('package');
    for (const name of found.metadata) await rename(join(folder, name), join(folder, STAGE, `old-${name}`));
    step('metadata');
    return found.startFile || found.installed !== undefined || found.metadata.length > 0 ? found : undefined;
  });
}

/** Throws H5Z_FILE when what is not ours lies in the way. */
export function refuseForeign(folder: string, { foreign }: Found): void {
  if (foreign.length === 0) return;
  const named = foreign.slice(0, 3).join(', ') + (foreign.length > 3 ? ` and ${foreign.length - 3} more` : '');
  throw new H5zError('H5Z_FILE', `${folder} holds things that h5z did not put there (${named})`, {
    remedy: 'move them away and run this again; nothing was changed',
    details: { folder, foreign },
  });
}

/** Whether all of `layout` is there already, to the byte. */
async function isAsWanted(folder: string, found: Found, layout: Layout): Promise<boolean> {
  if (found.interrupted || found.altered.length > 0 || found.metadata[0] !== layout.metadata) return false;
  for (const [path, content] of layout.files) {
    const there = await readFile(join(folder, ...path.split('/'))).catch(() => undefined);
    if (there === undefined || Buffer.compare(there, content) !== 0) return false;
  }
  return true;
}

/** Runs `work` with the folder to itself, an interrupted run put right before it, and what is left of the stage gone after. */
async function locked<T>(
  folder: string,
  { onStep }: PlaceOptions,
  work: (step: (step: PlaceStep) => void) => Promise<T>,
): Promise<T> {
  const step = (name: PlaceStep): void => onStep?.(name);
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    await takeLock(join(folder, LOCK));
  } catch (cause) {
    if (cause instanceof H5zError) throw cause;
    throw unwritable(folder, cause);
  }
  try {
    step('locked');
    await recover(folder);
    step('recovered');
    return await work(step);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && !(cause instanceof H5zError)) throw unwritable(folder, cause);
    throw cause;
  } finally {
    await recover(folder).catch(() => undefined);
    await rm(join(folder, LOCK), { force: true });
  }
}

function unwritable(folder: string, cause: unknown): H5zError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new H5zError('H5Z_FILE', `${folder} cannot be changed (${why})`, {
    cause,
    remedy:
      cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT')
        ? 'make room there; nothing was changed'
        : 'run this as the owner of the environment, or make a wheel (--wheel) and install it where it may be written',
  });
}

/** What a killed run left: the package that it had moved away comes back, the rest of its stage goes. */
async function recover(folder: string): Promise<void> {
  const stage = join(folder, STAGE);
  for (const name of await readdir(stage).catch(() => [])) {
    const away = /^away-(.*)$/.exec(name)?.[1];
    if (away !== undefined && (await kindOf(join(folder, away))) === 'nothing') {
      await rename(join(stage, name), join(folder, away));
    }
  }
  await rm(stage, { recursive: true, force: true });
}

/** Puts STAGE/new/NAME where NAME is, in one step where the system can, else in two, the first of which `recover` undoes. */
async function replaceFolder(folder: string, name: string, { exchange, onStep }: PlaceOptions): Promise<void> {
  const [fresh, place] = [join(folder, STAGE, 'new', name), join(folder, name)];
  if ((await kindOf(place)) === 'nothing') await rename(fresh, place);
  else if (!(await exchange?.(fresh, place))) {
    await rename(place, join(folder, STAGE, `away-${name}`));
    onStep?.('package moved away');
    await rename(fresh, place);
  }
}

async function writeNew(path: string, content: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'wx', 0o644);
  try {
    await file.writeFile(content);
    await file.sync(); // a machine that loses power must not come back with an empty library behind a new name
  } finally {
    await file.close();
  }
}

async function takeLock(path: string): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const file = await open(path, 'wx');
      await file.writeFile(String(process.pid));
      await file.close();
      return;
    } catch (cause) {
      if ((cause as { code?: string }).code !== 'EEXIST') throw cause;
    }
    const owner = await readFile(path, 'utf8').catch(() => undefined);
    if (owner === undefined) continue;
    const age = Date.now() - (await lstat(path).catch(() => ({ mtimeMs: 0 }))).mtimeMs;
    if (owner === '' ? age < LOCK_MS : isAlive(Number(owner))) {
      throw new H5zError('H5Z_FILE', `process ${owner || '(starting)'} is changing ${dirname(path)}`, {
        remedy: `wait for it, or delete ${path} when there is no such process`,
      });
    }
    await rm(path, { force: true });
  }
  throw new H5zError('H5Z_FILE', `${path} comes back each time it is removed`, { remedy: 'run one command at a time' });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}

async function kindOf(path: string): Promise<'nothing' | 'file' | 'folder' | 'other'> {
  const facts = await lstat(path).catch(() => undefined);
  if (facts === undefined) return 'nothing';
  return facts.isDirectory() ? 'folder' : facts.isFile() ? 'file' : 'other';
}

/** Files below, relative, with forward slashes; not what Python compiles for itself. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .filter((file) => !/(^|\/)__pycache__\//.test(file))
    .sort();
}
