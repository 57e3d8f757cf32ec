// @h5z/chunks out of a bundle by esbuild, which finds no workers by itself: the script of its worker is an entry point beside the
// bundle, as its README says. In Node and in Chromium a Blob is read by that worker; workerd has none, and reads bytes.

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type BuildOptions, build } from 'esbuild';
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
/** Reads /values of what it is given: their sum, or the error's code and message. */
const APP = `
import { open, readDataset } from '@h5z/chunks';
export async function sum(input, options) {
  try {
    const file = await open(input, options);
    const { data } = await readDataset(file, '/values');
    const answer = [file.remote, data.reduce((a, b) => a + b, 0)];
    file.close();
    return answer;
  } catch (error) {
    return [error.code ?? 'none', error.message];
  }
}`;
const WORKERD = `
import { sum } from './app.js';
import wasm from '@h5z/chunks/wasm/h5c.wasm';
import data from './data.h5';
export default {
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    const input = pathname === '/bytes' ? new Uint8Array(data) : pathname === '/blob' ? new Blob([data]) : search.slice(1);
    return Response.json(await sum(input, { wasm }));
  },
};`;
const CONFIG = `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [
    (name = "main.js", esModule = embed "main.js"),
    (name = "h5c.wasm", wasm = embed "h5c.wasm"),
    (name = "data.h5", data = embed "data.h5"),
  ],
  compatibilityDate = "2026-11-01",
);`;

describe.skipIf(!env.python)('@h5z/chunks bundled by esbuild', () => {
  let folder: string;
  let bytes: Buffer;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'h5z-bundled-'));
    execFileSync(env.python ?? '', ['-c', SCRIPT, join(folder, 'data.h5')]);
    bytes = readFileSync(join(folder, 'data.h5'));
    writeFileSync(join(folder, 'app.js'), APP);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** The app and the worker's script in OUT/js, the module where both look for it. Returns OUT. */
  async function bundle(name: string, more: BuildOptions): Promise<string> {
    const out = join(folder, name);
    await build({
      entryPoints: { app: join(folder, 'app.js'), worker: join(ROOT, 'packages/chunks/dist/worker.js') },
      outdir: join(out, 'js'),
      bundle: true,
      format: 'esm',
      target: 'es2022',
      logLevel: 'error',
      nodePaths: [join(ROOT, 'node_modules')],
      ...more,
    });
    mkdirSync(join(out, 'wasm'));
    cpSync(join(ROOT, 'packages/chunks/wasm/h5c.wasm'), join(out, 'wasm/h5c.wasm'));
    return out;
  }

  test('in Node: a path, bytes, and a Blob by its worker', async () => {
    const out = await bundle('node', { platform: 'node', outExtension: { '.js': '.mjs' } });
    // Node's worker is asked for by the name that it has in the package.
    cpSync(join(out, 'js/worker.mjs'), join(out, 'js/worker.js'));
    writeFileSync(join(out, 'js/package.json'), '{ "type": "module" }');
    const script = `
      import { readFileSync, openAsBlob } from 'node:fs';
      import { sum } from './app.mjs';
      const path = ${JSON.stringify(join(folder, 'data.h5'))};
      console.log(JSON.stringify([await sum(path), await sum(readFileSync(path)), await sum(await openAsBlob(path))]));`;
    writeFileSync(join(out, 'js/main.mjs'), script);
    const { stdout } = await promisify(execFile)(process.execPath, [join(out, 'js/main.mjs')]);
    expect(JSON.parse(stdout)).toEqual([
      [false, 499500],
      [false, 499500],
      [true, 499500],
    ]);
  });

  test.skipIf(!env.chromium)('in Chromium: bytes, and a Blob by its worker', async () => {
    const out = await bundle('browser', { platform: 'browser' });
    const types: Record<string, string> = { '.js': 'text/javascript', '.wasm': 'application/wasm' };
    const server: Server = createServer((request, response) => {
      const path = new URL(request.url ?? '/', 'http://x').pathname;
      if (path === '/') return void response.setHeader('Content-Type', 'text/html').end('<!doctype html>');
      if (path === '/data.h5') return void response.end(bytes);
      if (!/^\/(js|wasm)\/[\w.-]+$/.test(path)) return void response.writeHead(404).end();
      response.setHeader('Content-Type', types[extname(path)] ?? 'application/octet-stream');
      response.end(readFileSync(join(out, path)));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const browser = await startChromium(env.chromium ?? '');
    try {
      const page = await openPage(browser);
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      const answers = await page.evaluate(`(async () => {
        const { sum } = await import('/js/app.js');
        const blob = await (await fetch('/data.h5')).blob();
        return [await sum(new Uint8Array(await blob.arrayBuffer())), await sum(blob)];
      })()`);
      expect(answers).toEqual([
        [false, 499500],
        [true, 499500],
      ]);
    } finally {
      await browser.close();
      server.close();
    }
  });

  test('in workerd: bytes, and what it says of addresses and Blobs', async () => {
    const out = join(folder, 'workerd');
    mkdirSync(out);
    writeFileSync(join(folder, 'main.js'), WORKERD);
    await build({
      entryPoints: [join(folder, 'main.js')],
      outdir: out,
      bundle: true,
      format: 'esm',
      platform: 'neutral',
      conditions: ['workerd', 'browser'],
      external: ['*.h5'],
      // As wrangler does: modules of WebAssembly lie beside the script.
      loader: { '.wasm': 'copy' },
      assetNames: '[name]',
      logLevel: 'error',
      nodePaths: [join(ROOT, 'node_modules')],
    });
    writeFileSync(join(out, 'data.h5'), bytes);
    writeFileSync(join(out, 'config.capnp'), CONFIG);
    const { default: program } = createRequire(import.meta.url)('workerd') as { default: string };
    const child: ChildProcess = spawn(program, ['serve', 'config.capnp', '--control-fd=3'], {
      cwd: out,
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    });
    const file = createServer((request, response) => {
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      const [from, end] = [Number(first), Math.min(Number(last) + 1, bytes.length)];
      const range = { 'Content-Range': `bytes ${from}-${end - 1}/${bytes.length}` };
      response.writeHead(206, range).end(bytes.subarray(from, end));
    });
    try {
      await new Promise<void>((done) => file.listen(0, '127.0.0.1', done));
      const address = `http://127.0.0.1:${(file.address() as AddressInfo).port}/data.h5`;
      const port = await new Promise<number>((done, failed) => {
        child.once('exit', (code) => failed(new Error(`workerd ended with ${code}`)));
        child.stdio[3]?.once('data', (line: Buffer) => done((JSON.parse(String(line)) as { port: number }).port));
      });
      const answer = async (path: string) => (await fetch(`http://127.0.0.1:${port}/${path}`)).json();
      expect(await answer('bytes')).toEqual([false, 499500]);
      for (const path of ['blob', `address?${address}`]) {
        expect(await answer(path)).toEqual(['H5Z_FILE', expect.stringMatching(/no workers.*pass the file's bytes/)]);
      }
    } finally {
      child.kill();
      file.close();
    }
  });
});
if (!env.python) test(`bundled @h5z/chunks: ${need('python')}`, ({ skip }) => skip(need('python')));
if (!env.chromium) test(`bundled in Chromium: ${need('chromium')}`, ({ skip }) => skip(need('chromium')));
