// Child processes, and the two things shared folders need: locks and atomic installs.

import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FarmError, FULL_DISK, say } from './log.ts';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Show the child's output as it comes; default: keep it and show it only on failure. */
  readonly show?: boolean;
  /** Milliseconds before the child is killed. */
  readonly timeout?: number;
  /** Return a failure's exit status instead of throwing. */
  readonly allowFailure?: boolean;
  /** What to tell people when it fails; ends the message. */
  readonly hint?: string;
  readonly input?: string;
}

export interface RunResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without a shell. Throws a {@link FarmError} with its last lines of output when it fails. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(options.timeout === undefined ? {} : { timeout: options.timeout, killSignal: 'SIGKILL' as const }),
    });
    const chunks: { stdout: Buffer[]; stderr: Buffer[]; both: Buffer[] } = { stdout: [], stderr: [], both: [] };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.on('data', (data: Buffer) => {
        chunks[name].push(data);
        chunks.both.push(data);
        if (options.show === true) process.stderr.write(data);
      });
    }
    child.on('error', (error) => {
      reject(new FarmError(`cannot run ${program}: ${error.message}. ${options.hint ?? 'Run ./farm doctor.'}`));
    });
    if (options.input !== undefined) child.stdin?.end(options.input);
    child.on('close', (code, signal) => {
      const text = (name: 'stdout' | 'stderr' | 'both'): string => Buffer.concat(chunks[name]).toString();
      const status = code ?? 128;
      if (status !== 0 && options.allowFailure !== true) {
        const tail = options.show === true ? '' : `\n${text('both').split('\n').slice(-40).join('\n').trimEnd()}`;
        const how = signal === null ? `exit status ${status}` : `signal ${signal}`;
        const full = /No space left on device|\bENOSPC\b/.test(text('both')) ? FULL_DISK : undefined;
        const hint = (full ?? options.hint) === undefined ? '' : `\n${full ?? options.hint}`;
        reject(new FarmError(`${[program, ...args].join(' ')} failed: ${how}${tail}${hint}`));
      } else resolve({ status, stdout: text('stdout'), stderr: text('stderr') });
    });
  });
}

/** Absolute path of a program on PATH, or undefined. */
export async function which(program: string, path = process.env.PATH ?? ''): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, program);
    try {
      await access(file, constants.X_OK);
      if ((await stat(file)).isFile()) return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Whether there is such a process, ours or somebody else's. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Removes the lock that `owner`, who is gone, left. One waiter at a time, so that nobody removes the lock of the next. */
async function removeStale(path: string, owner: number): Promise<void> {
  const guard = `${path}.guard`;
  try {
    await mkdir(guard);
  } catch {
    const { mtimeMs } = await stat(guard).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > 10_000) await rm(guard, { recursive: true, force: true });
    await sleep(100);
    return;
  }
  if (Number((await readFile(path, 'utf8').catch(() => '')).trim()) === owner) await rm(path, { force: true });
  await rm(guard, { recursive: true, force: true });
}

/** Holds the lock file `path` while `work` runs. A lock left by a process that is gone is taken over. */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  for (let round = 0; ; round++) {
    try {
      await writeFile(path, `${process.pid}\n`, { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = Number((await readFile(path, 'utf8').catch(() => '')).trim());
    if (owner > 0 && !alive(owner)) {
      await removeStale(path, owner);
      continue;
    }
    if (round % 60 === 10) say(`waiting for another farm (process ${owner}) that holds ${path}`);
    await sleep(500);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

/** Removes what killed farms had of `target`: its lock is held, so nobody fills one. */
async function removeHalves(target: string): Promise<void> {
  const folder = dirname(target);
  for (const name of await readdir(folder).catch(() => []))
    if (name.startsWith(`${basename(target)}.`) && /^\d+\.tmp(\.work)?$/.test(name.slice(basename(target).length + 1)))
      await rm(join(folder, name), { recursive: true, force: true });
}

/**
 * Makes folder `target` once: `fill` fills a temporary folder beside it, which is then renamed, so that a killed farm
 * leaves nothing half made and two farms do the work once. `fill` learns the final path too, for tools that record it.
 */
export async function installOnce(
  target: string,
  fill: (temporary: string, target: string) => Promise<void>,
): Promise<string> {
  if (await exists(target)) return target;
  return withLock(`${target}.lock`, async () => {
    if (await exists(target)) return target;
    const temporary = `${target}.${process.pid}.tmp`;
    await removeHalves(target);
    await mkdir(temporary, { recursive: true });
    try {
      await fill(temporary, target);
      await rename(temporary, target);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    return target;
  });
}
