// Files cut short and with bits flipped: every dataset gives a digest or an error that names the file; nothing crashes or hangs.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { need } from '../support/env.ts';
import { corpusFiles } from './corpus.ts';

const MOST_BYTES = 40_000;
const LIMIT_MS = 150_000;

/** The smallest files of each kind of pipeline: other code, other ways to fail. */
const kinds = new Map<string, string[]>();
for (const file of [...corpusFiles()].sort((a, b) => a.size - b.size)) {
  const kind = file.file.split('/')[0] ?? '';
  const list = kinds.get(kind) ?? [];
  if (file.size <= MOST_BYTES && list.length < 2) kinds.set(kind, [...list, file.path]);
}

if (kinds.size === 0) test(`damaged files: ${need('shared')}`, ({ skip }) => skip(need('shared')));

describe.skipIf(kinds.size === 0)('damaged files', () => {
  test.each([...kinds])('%s', async (_kind, files) => {
    const folder = mkdtempSync(join(tmpdir(), 'h5z-damage-'));
    try {
      const script = join(import.meta.dirname, 'mutate.ts');
      const args = [script, JSON.stringify(files), join(folder, 'damaged.h5')];
      const output = await new Promise<string>((resolve, reject) => {
        execFile(process.execPath, args, { timeout: LIMIT_MS, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
          if (error) reject(new Error(`${error.killed ? 'ran too long' : error.message}\n${stderr}`));
          else resolve(stdout);
        });
      });
      const counts = JSON.parse(output) as { files: number; digests: number; errors: number };
      expect(counts.files).toBe(files.length * 69);
      expect(counts.errors).toBeGreaterThan(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
