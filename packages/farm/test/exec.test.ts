// Shared folders: an install happens once, leaves nothing half made, and survives farms that were killed.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { installOnce, run, withLock } from '../src/exec.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'h5z-exec-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('installOnce', () => {
  test('does the work once for callers at the same time, and tells the final path', async () => {
    const target = join(folder, 'tool');
    let times = 0;
    const install = () =>
      installOnce(target, async (temporary, final) => {
        times++;
        expect(final).toBe(target);
        await sleep(50);
        writeFileSync(join(temporary, 'file'), 'whole');
      });
    expect(await Promise.all([install(), install(), install()])).toEqual([target, target, target]);
    expect(times).toBe(1);
    expect(readdirSync(folder)).toEqual(['tool']);
  });

  test('a failure leaves nothing, and the next call starts anew', async () => {
    const target = join(folder, 'tool');
    const broken = installOnce(target, async (temporary) => {
      writeFileSync(join(temporary, 'half'), '');
      throw new Error('no network');
    });
    await expect(broken).rejects.toThrow('no network');
    expect(readdirSync(folder)).toEqual([]);
    await installOnce(target, async () => {});
    expect(existsSync(target)).toBe(true);
  });
});

describe('withLock', () => {
  test('takes over the lock of a process that is gone, once', async () => {
    const lock = join(folder, 'lock');
    const gone = spawnSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }).stdout;
    writeFileSync(lock, gone);
    let inside = 0;
    const work = () =>
      withLock(lock, async () => {
        inside++;
        expect(inside).toBe(1);
        await sleep(20);
        inside--;
      });
    await Promise.all([work(), work(), work(), work()]);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('run', () => {
  test('a failure says the command, the status and the last words', async () => {
    const failing = run(process.execPath, ['-e', 'console.error("last words"); process.exit(3)'], {
      hint: 'Try again.',
    });
    await expect(failing).rejects.toThrow(/-e .* failed: exit status 3\n.*last words\nTry again\./s);
    await expect(run('no-such-program', [])).rejects.toThrow(/cannot run no-such-program: .*\./);
  });
});
