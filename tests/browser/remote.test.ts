// @h5z/chunks in Chromium, unbundled, by an import map: a worker of its own reads a File by FileReaderSync and an address by
// synchronous XMLHttpRequest, without cross-origin isolation, and says what is wrong with a server.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, resolve } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { env, need } from '../support/env.ts';
import { openPage, startChromium } from './chromium.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const SCRIPT = `
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w") as f:
    f.create_dataset("far", data=np.zeros(3 << 20, "u1"))
    f.create_dataset("values", data=np.arange(1000, dtype="<i4"), chunks=(100,), compression="gzip")
`;
const TYPES: Record<string, string> = { '.js': 'text/javascript', '.wasm': 'application/wasm' };
const MAP = '{"imports":{"@h5z/core":"/packages/core/dist/index.js","@h5z/chunks":"/packages/chunks/dist/index.js"}}';
/** The worker has no import map: what it imports by name is given as text. */
const worker = (file: string) => readFileSync(file, 'utf8').replaceAll("'@h5z/core'", "'/packages/core/dist/index.js'");

describe.skipIf(!env.chromium || !env.python)('remote files in Chromium', () => {
  let browser: Browser;
  let servers: Server[] = [];
  let folder: string;
  let bytes: Buffer;

  /** The repository's built files and /data.h5, whose ranges `how` serves. */
  async function serve(how: 'well' | 'without ranges' | 'cross-origin, silent about headers'): Promise<string> {
    const server = createServer((request, response) => {
      const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname);
      if (path === '/')
        return void response.setHeader('Content-Type', 'text/html').end(`<script type=importmap>${MAP}</script>`);
      if (path !== '/data.h5') {
        const file = join(ROOT, path);
        if (!/^\/packages\/(core|chunks)\/(dist|wasm)\/[\w./-]+$/.test(path)) return void response.writeHead(404).end();
        response.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream');
        return void response.end(extname(file) === '.js' ? worker(file) : readFileSync(file));
      }
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      const [from, end] = [Number(first), Math.min(Number(last) + 1, bytes.length)];
      const range = { 'Content-Range': `bytes ${from}-${end - 1}/${bytes.length}`, ETag: '"1"' };
      const cors = how.startsWith('cross') ? { 'Access-Control-Allow-Origin': '*' } : {};
      if (how === 'without ranges') response.writeHead(200).end(bytes);
      else response.writeHead(206, { ...range, ...cors }).end(bytes.subarray(from, end));
    });
    servers.push(server);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'h5z-remote-'));
    execFileSync(env.python ?? '', ['-c', SCRIPT, join(folder, 'data.h5')]);
    bytes = readFileSync(join(folder, 'data.h5'));
    browser = await startChromium(env.chromium ?? '');
  });
  afterAll(async () => {
    await browser.close();
    for (const server of servers) server.close();
    servers = [];
    rmSync(folder, { recursive: true });
  });

  /** Sum of the values, or the error's code and message. */
  async function sum(site: string, address: string, asFile = false): Promise<unknown> {
    const page = await openPage(browser);
    try {
      await page.goto(site);
      const code = `(async () => {
        const { open, readDataset } = await import('/packages/chunks/dist/index.js');
        try {
          const input = ${asFile}
            ? new File([await (await fetch('${address}', { headers: { Range: 'bytes=0-99999999' } })).arrayBuffer()], 'data.h5')
            : '${address}';
          const file = await open(input, { attempts: 1 });
          const { data } = await readDataset(file, '/values');
          file.close();
          return data.reduce((a, b) => a + b, 0);
        } catch (error) {
          return [error.code, error.message];
        }
      })()`;
      return await page.evaluate(code);
    } finally {
      await page.close();
    }
  }

  test('an address, a File', async () => {
    const site = await serve('well');
    expect(await sum(site, `${site}data.h5`)).toBe(499500);
    expect(await sum(site, `${site}data.h5`, true)).toBe(499500);
  });

  test('a server without ranges, one without CORS, one that shows no Content-Range', async () => {
    const site = await serve('well');
    const plain = await serve('without ranges');
    expect(await sum(plain, `${plain}data.h5`)).toEqual([
      'H5Z_FILE',
      expect.stringContaining('ignores range requests'),
    ]);
    expect(await sum(site, `${plain}data.h5`)).toEqual(['H5Z_FILE', expect.stringContaining('CORS')]);
    const shy = await serve('cross-origin, silent about headers');
    expect(await sum(site, `${shy}data.h5`)).toEqual(['H5Z_FILE', expect.stringContaining('Expose-Headers')]);
  });
});
if (!env.chromium || !env.python) {
  const missing = need(env.chromium ? 'python' : 'chromium');
  test(`remote files in Chromium: ${missing}`, ({ skip }) => skip(missing));
}
