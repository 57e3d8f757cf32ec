// Folders that several farms write at once: each leaves what it wants there, nothing else, and the others in peace.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { putFolder } from '../src/put.ts';

test('a folder holds what was put there, no file and no folder of before, and what another farm is writing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'h5z-put-'));
  const gone = spawnSync(process.execPath, ['-e', '']).pid;
  const theirs = [`new.txt.${process.ppid}.tmp`, `writing/now.txt.${process.ppid}.tmp`];
  for (const name of ['empty/deep', 'old', 'kept/old', 'writing']) mkdirSync(join(folder, name), { recursive: true });
  for (const name of ['old/a.txt', 'kept/old/b.txt', 'c.12.tmp.txt', `new.txt.${gone}.tmp`, ...theirs])
    writeFileSync(join(folder, name), name);
  const files = new Map(['new.txt', 'kept/new.txt'].map((name) => [name, { data: name }]));
  putFolder(folder, files);
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  expect(found.sort()).toEqual(['kept', 'writing', ...files.keys(), ...theirs].sort());
  for (const name of files.keys()) expect(readFileSync(join(folder, name), 'utf8')).toBe(name);
  rmSync(folder, { recursive: true });
});
