// h5web in Chromium, with its HSDS provider, before a real HSDS with h5z_hsds: a bitshuffle image of a linked file, which HSDS
// by itself does not even accept. The pages' origin passes /hsds on to the unix socket of the service node.

import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { load } from '../../packages/hsds/test/support/client.ts';
import { type Environment, environment, installHere } from '../../packages/hsds/test/support/environment.ts';
import { BUCKET, Hsds } from '../../packages/hsds/test/support/server.ts';
import { env, need } from '../support/env.ts';
import { openPage, startChromium } from './chromium.ts';
import { ROOT, type Site, scratch, serve } from './site.ts';

const EDGE = 96;
/** A ring of counts: a pattern that somebody who looks at the screenshot recognises. */
const MAKE = `
import h5py, h5z_hsds, json, numpy, os, sys
for entry in h5z_hsds.filter_table().entries:
    h5py.h5pl.prepend(os.path.dirname(entry.path).encode())
y, x = numpy.mgrid[:${EDGE}, :${EDGE}] - ${EDGE} / 2
image = (1000 * numpy.exp(-((numpy.hypot(x, y) - 30) / 6) ** 2) + x % 7).astype("<u2")
with h5py.File(sys.argv[1], "w") as file:
    file.create_dataset("image", data=image, chunks=(32, ${EDGE}), compression=32008, compression_opts=(0, 2))
    file.create_dataset("zstd", data=image + 1, chunks=(32, ${EDGE}), compression=32015, shuffle=True)
print(json.dumps(image.tolist()))
`;
/** h5web makes functions of text (for its loops over arrays) and styles. */
const POLICY = `default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:`;
const missing = (['chromium', 'hsdsPython', 'h5web'] as const).find((name) => env[name] === undefined);
const skip = missing === undefined ? undefined : need(missing);

describe.skipIf(skip !== undefined)(`h5web before HSDS${skip === undefined ? '' : `: ${skip}`}`, () => {
  const work = scratch('h5web');
  let here: Environment;
  let server: Hsds;
  let site: Site;
  let browser: Browser;
  let image: number[][];
  /**
   * What HSDS answers when values are asked for, since the page was opened, seen on their way: a page may have left before the
   * end of an answer, and the next one been opened.
   */
  let answers: Promise<{ status: number | undefined; body: string }>[] = [];

  beforeAll(async () => {
    here = environment(env.hsdsPython as string);
    installHere(here.sitePackages, ['bitshuffle', 'shuffle', 'zstd']);
    server = await Hsds.start(here, { nodes: 2, settings: { H5Z_HSDS: '1' } });
    const { stdout } = await promisify(execFile)(here.python, ['-c', MAKE, join(server.bucket, 'image.h5')]);
    image = JSON.parse(stdout) as number[][];
    await load(here, server, 'hsload', ['--link', `${BUCKET}/image.h5`, '/home/admin/image.h5']);
    const app = join(ROOT, 'tests/browser/h5web-app');
    await build({
      entryPoints: [join(app, 'page.js')],
      nodePaths: [join(env.h5web as string, 'node_modules')],
      outdir: work.folder,
      bundle: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      logLevel: 'error',
      define: { 'process.env.NODE_ENV': '"production"' },
    });
    cpSync(join(app, 'index.html'), join(work.folder, 'index.html'));
    site = await serve(work.folder, { policy: POLICY, forward });
    browser = await startChromium(env.chromium as string);
  });

  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await server?.stop();
    here?.remove();
    work.remove();
  });

  /** /hsds/... to the service node. */
  function forward(asked: IncomingMessage, answer: ServerResponse): boolean {
    if (!asked.url?.startsWith('/hsds/')) return false;
    const path = asked.url.slice('/hsds'.length);
    // A connection each: one that is kept may be closed by HSDS while it is used again.
    const sent = request({
      socketPath: server.socket('sn'),
      path,
      method: asked.method,
      headers: asked.headers,
      agent: false,
    });
    // Whole before it goes on: a page that has left would hold back the rest.
    const whole = new Promise<{ got: IncomingMessage; bytes: Buffer }>((resolve, reject) => {
      sent.on('error', reject);
      sent.on('response', (got) => buffer(got).then((bytes) => resolve({ got, bytes }), reject));
    });
    whole.then(
      ({ got, bytes }) => {
        if (!answer.destroyed) answer.writeHead(got.statusCode ?? 502, got.statusMessage, got.headers).end(bytes);
      },
      (error) => answer.destroy(error),
    );
    if (/\/value\?/.test(path)) {
      const seen = whole.then(({ got, bytes }) => ({ status: got.statusCode, body: bytes.toString() }));
      seen.catch(() => undefined); // The test that asked may be over by then.
      answers.push(seen);
    }
    asked.pipe(sent);
    return true;
  }

  /** Opens a dataset and hands the page on, with what went wrong in it. */
  async function open(path: string): Promise<{ page: Page; complaints: string[] }> {
    const page = await openPage(browser, { viewport: { width: 1100, height: 700 } });
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    answers = [];
    await page.goto(`${site.url}?path=${path}&domain=/home/admin/image.h5`);
    return { page, complaints };
  }

  test.for([
    ['bitshuffle', '/image', 0],
    ['shuffle and zstd', '/zstd', 1],
  ] as const)('shows a dataset of %s', async ([, path, more]) => {
    const { page, complaints } = await open(path);
    await page.getByRole('tab', { name: 'Matrix' }).click();
    const cell = page.locator('[aria-rowindex="20"] [aria-colindex="5"]');
    await cell.waitFor();
    expect(Number(await cell.textContent())).toBe((image[19]?.[4] ?? Number.NaN) + more);
    expect(answers.length).toBeGreaterThan(0);
    const whole = image.map((row) => row.map((one) => one + more));
    for (const { status, body } of await Promise.all(answers)) {
      expect(status, body).toBe(200);
      expect(JSON.parse(body)).toMatchObject({ value: whole });
    }
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('our library is what the data nodes have, and no other plugin', () => {
    const maps = server.dataNodes.map((name) => server.maps(name)).join('\n');
    expect(maps).toContain(join(here.sitePackages, 'h5z_hsds/filters/bitshuffle/'));
    expect(maps).not.toContain('hdf5plugin');
  });
});
if (skip !== undefined) test(`h5web before HSDS: ${skip}`, ({ skip: leave }) => leave(skip));
