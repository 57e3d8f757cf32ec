// docs/examples/webgpu, built by Vite with the packed packages: frames of detectors, dropped on the page in Chromium. On WebGPU
// (SwiftShader) and without, the page says which way it went, and both ways draw the same picture of the same counts.

import { cpSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { counts, DEAD, damage, SHAPE, writeFrames } from '../../packages/gpu/test/frames.ts';
import { env, need } from '../support/env.ts';
import { openPage, startChromium } from './chromium.ts';
import { builders, filters, installPacked, ROOT, type Site, scratch, serve } from './site.ts';

const EXAMPLE = join(ROOT, 'docs/examples/webgpu');
const work = scratch('webgpu-example');
let site: Site;
let browser: Browser | undefined;

beforeAll(async () => {
  if (!env.chromium) return;
  const [app, out] = [join(work.folder, 'app'), join(work.folder, 'site')];
  mkdirSync(out, { recursive: true });
  cpSync(EXAMPLE, app, { recursive: true });
  const used = ['bitshuffle', 'lz4', 'shuffle', 'fletcher32'];
  const own = filters().filter(({ name }) => used.includes(name));
  const libraries = ['packages/core', 'registry', 'packages/native', 'packages/chunks', 'packages/gpu'];
  installPacked([...libraries.map((folder) => join(ROOT, folder)), ...own.map(({ folder }) => folder)], app);
  const [one] = own;
  if (one === undefined) throw new Error('the filters of the example are gone');
  await builders.vite?.(app, out, one);
  const bitshuffle = await writeFrames(work.folder, 'bitshuffle.h5', [{ id: 32008, cdValues: [0, 2] }], true);
  await damage(bitshuffle, 5);
  await writeFrames(work.folder, 'lz4.h5', [
    { id: 2, cdValues: [] },
    { id: 32004, cdValues: [4096] },
    { id: 3, cdValues: [] },
  ]);
  site = await serve(out, { extra: { '/favicon.ico': '' } });
  browser = await startChromium(env.chromium, { webgpu: true });
});

afterAll(async () => {
  await browser?.close();
  await site?.close();
  work.remove();
});

interface Shown {
  readonly path: string;
  readonly device: string;
  readonly caption: string;
  readonly sums: readonly number[];
  /** Grey values of the picture, one for each pixel. */
  readonly greys: readonly number[];
  readonly complaints: readonly string[];
}

/** A file that is dropped, and whether its frames are summed once the first one is there. */
interface Step {
  readonly file: string;
  readonly sum?: boolean;
}

/** What one page shows after each step: its kernels are compiled once. */
async function visitPage(query: string, steps: readonly Step[]): Promise<Shown[]> {
  const page = await openPage(browser as Browser, { viewport: { width: 1100, height: 1100 } });
  try {
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`${site.url}?${query}`);
    const shown: Shown[] = [];
    for (const [index, { file, sum = false }] of steps.entries()) {
      // Nothing is left of the step before that could be taken for this one's.
      await page.evaluate(() => {
        document.querySelector('#image')?.removeAttribute('data-done');
        document.querySelector('#path')?.classList.remove('failed');
      });
      const finished = (what: string) =>
        page.waitForSelector(`#image[data-done="${what}"], #path.failed`, { state: 'attached' });
      await page.setInputFiles('#file', join(work.folder, file));
      await finished('0');
      if (sum) {
        await page.click('#sum');
        await finished('sum');
      }
      await page.screenshot({ path: join(shots, `${query || 'plain'}-${index}.png`), fullPage: true });
      shown.push(await lookAt(page, complaints));
    }
    return shown;
  } finally {
    await page.close();
  }
}

async function lookAt(page: Page, complaints: readonly string[]): Promise<Shown> {
  const picture = await page.locator('#image').screenshot();
  const greys = await page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const pen = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
    pen.drawImage(bitmap, 0, 0);
    const { data } = pen.getImageData(0, 0, bitmap.width, bitmap.height);
    return Array.from({ length: data.length / 4 }, (_, i) => data[4 * i] ?? 0);
  }, picture.toString('base64'));
  const text = async (selector: string) => (await page.textContent(selector)) ?? '';
  return {
    path: await text('#path'),
    device: await text('#device'),
    caption: await text('#caption'),
    sums: JSON.parse((await page.getAttribute('#image', 'data-sums')) ?? '[]') as number[],
    greys,
    complaints: [...complaints],
  };
}

/** Where pictures of the page are left for people to look at. */
const shots = mkdtempSync(join(tmpdir(), 'h5z-webgpu-shots-'));

/** Rings differ by a pixel where a distance is a whole number; what lies within a distance differs by no more. */
function same(a: Shown, b: Shown): void {
  const total = (sums: readonly number[]) => sums.reduce((all, n) => all + n, 0);
  expect(total(a.sums)).toBe(total(b.sums));
  expect(a.sums.length).toBe(b.sums.length);
  expect(a.caption).toBe(b.caption);
  expect(a.greys.length).toBe(b.greys.length);
  expect(new Set(a.greys).size).toBeGreaterThan(20);
  const apart = a.greys.filter((grey, i) => Math.abs(grey - (b.greys[i] ?? 0)) > 2).length;
  expect(apart / a.greys.length).toBeLessThan(0.001);
}

const sumOf = (frames: readonly number[]): number =>
  frames.reduce((all, n) => all + counts(n).reduce((sum, count) => sum + (count === DEAD ? 0 : count), 0), 0);

const noBrowser = env.chromium ? undefined : need('chromium');

const STEPS: readonly Step[] = [{ file: 'bitshuffle.h5' }, { file: 'lz4.h5' }, { file: 'bitshuffle.h5', sum: true }];
const DAMAGED = { file: 'bitshuffle-damaged.h5' };
const onGpu: Shown[] = [];
const without: Shown[] = [];
beforeAll(async () => {
  if (noBrowser !== undefined) return;
  onGpu.push(...(await visitPage('software', [...STEPS, DAMAGED])));
  without.push(...(await visitPage('cpu', STEPS)));
});

test.for([
  ['bitshuffle-LZ4 in tiles', 0],
  ['LZ4 behind shuffle and a checksum', 1],
] as const)('a frame in %s is decoded on WebGPU and drawn as the processor draws it', ([, step], { skip }) => {
  if (noBrowser !== undefined) return skip(noBrowser);
  const [here, there] = [onGpu[step] as Shown, without[step] as Shown];
  expect(here.path).toMatch(/^Decoded on WebGPU \(.*swiftshader.*\), drawn from the GPUBuffer$/i);
  expect(there.path).toContain('Decoded by the codecs in WebAssembly, because the address says ?cpu');
  expect(there.device).toContain('No GPU is used');
  same(here, there);
  expect(here.caption).toContain(
    `Frame 0: ${SHAPE[2]} × ${SHAPE[1]} pixels, ${sumOf([0]).toLocaleString('en')} counts`,
  );
  expect([...here.complaints, ...there.complaints]).toEqual([]);
});

test('the sum of all frames is made on the device', ({ skip }) => {
  if (noBrowser !== undefined) return skip(noBrowser);
  const here = onGpu[2] as Shown;
  expect(here.path).toMatch(/^Decoded and summed on WebGPU/);
  expect(here.caption).toContain(
    `Sum of 3 frames: ${SHAPE[2]} × ${SHAPE[1]} pixels, ${sumOf([0, 1, 2]).toLocaleString('en')} counts`,
  );
  same(here, without[2] as Shown);
});

test('a damaged tile is named, the others are drawn', ({ skip }) => {
  if (noBrowser !== undefined) return skip(noBrowser);
  const { path, greys } = onGpu[3] as Shown;
  expect(path).toMatch(/^1 of 12 chunks is damaged: chunk 5 on the GPU: corrupt input/);
  // The tile and the dead gap, in the colour of what has no counts.
  const dark = greys.filter((grey) => Math.abs(grey - 25.5) <= 1).length / greys.length;
  expect(dark).toBeGreaterThan(0.14);
  expect(dark).toBeLessThan(0.2);
  expect(new Set(greys).size).toBeGreaterThan(20);
});

test('a page without a GPU says so by itself', async ({ skip }) => {
  if (noBrowser !== undefined) return skip(noBrowser);
  const [plain] = await visitPage('', [{ file: 'lz4.h5' }]);
  expect(plain?.device).toMatch(/No GPU is used: WebGPU has only a stand-in for a GPU/);
  expect(plain?.path).toContain('Decoded by the codecs in WebAssembly, because WebGPU has only a stand-in');
});
