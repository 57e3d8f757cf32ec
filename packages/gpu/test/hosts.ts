// Where the tests have a WebGPU: Chromium, and Dawn in Node, both on SwiftShader. They run a bundled program's `main(gpu, input)`.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { startChromium, visit } from '../../../tests/browser/chromium.ts';
import { serve } from '../../../tests/browser/site.ts';
import { env, need } from '../../../tests/support/env.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const DRIVER = 'vk_swiftshader_icd.json';

/** Chromium's folder with SwiftShader and the Vulkan loader, which Dawn takes too. */
function vulkan(): string | undefined {
  if (!env.chromium) return undefined;
  const folders = [dirname(realpathSync(env.chromium)), '/usr/lib/chromium'];
  return folders.find((folder) => existsSync(join(folder, DRIVER)) && existsSync(join(folder, 'libvulkan.so.1')));
}

/** Why a host cannot run here; undefined when it can. */
export const ABSENT: Readonly<Record<'chromium' | 'dawn', string | undefined>> = {
  chromium: env.chromium ? undefined : need('chromium'),
  dawn: vulkan() === undefined ? `${need('chromium')} (Dawn runs on Chromium's SwiftShader)` : undefined,
};

async function bundle(contents: string, folder: string, platform: 'browser' | 'node'): Promise<string> {
  const outfile = join(folder, 'program.mjs');
  const stdin = { contents, resolveDir: HERE, loader: 'ts' as const };
  await build({ stdin, bundle: true, format: 'esm', platform, target: 'es2022', outfile, logLevel: 'error' });
  return outfile;
}

/** Runs the program in a page of Chromium, or in a Node of its own. `source` exports main(gpu: GPU, input): Promise<Out>. */
export async function runOn<Out>(host: 'chromium' | 'dawn', source: string, input: unknown): Promise<Out> {
  const folder = mkdtempSync(join(tmpdir(), 'h5z-webgpu-'));
  return (host === 'dawn' ? inNode(source, input, folder) : inPage(source, input, folder)) as Promise<Out>;
}

/**
 * Runs a program file in a Node of its own with Dawn, as it is: it may import packages that find their files beside them. It exports
 * main(gpu: GPU, input): Promise<Out>.
 */
export async function runFile<Out>(program: string, input: unknown): Promise<Out> {
  return spawnDawn(program, input, mkdtempSync(join(tmpdir(), 'h5z-webgpu-'))) as Promise<Out>;
}

const inNode = async (source: string, input: unknown, folder: string): Promise<unknown> =>
  spawnDawn(await bundle(source, folder, 'node'), input, folder);

async function spawnDawn(program: string, input: unknown, folder: string): Promise<unknown> {
  writeFileSync(join(folder, 'input.json'), JSON.stringify(input));
  const driver = vulkan() as string;
  const files = [program, join(folder, 'input.json'), join(folder, 'output.json')];
  const child = spawn(process.execPath, [join(HERE, 'dawn.mjs'), ...files], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LD_LIBRARY_PATH: driver, VK_ICD_FILENAMES: join(driver, DRIVER) },
  });
  const errors: Buffer[] = [];
  child.stderr.on('data', (piece: Buffer) => errors.push(piece));
  const status = await new Promise((resolve) => child.on('close', resolve));
  if (status !== 0) throw new Error(`Dawn ended with ${status}: ${Buffer.concat(errors).toString().slice(0, 4000)}`);
  return JSON.parse(readFileSync(join(folder, 'output.json'), 'utf8'));
}

/** What the page runs: the answer lies in its <output>, where `visit` looks. */
const PAGE = `
import { main } from './program.js';
const output = document.querySelector('output');
const run = async () => main(navigator.gpu, await (await fetch('input.json')).json());
const answer = await run().then((value) => ({ value }), (error) => ({ error: { message: String(error.stack ?? error) } }));
output.textContent = JSON.stringify(answer);
output.dataset.done = 'yes';
`;

async function inPage(source: string, input: unknown, folder: string): Promise<unknown> {
  const program = await bundle(source, folder, 'browser');
  const site = await serve(folder, {
    extra: {
      '/index.html':
        '<!doctype html><link rel="icon" href="icon.png"><output></output><script type="module" src="page.js"></script>',
      '/page.js': PAGE,
      '/program.js': readFileSync(program, 'utf8'),
      '/input.json': JSON.stringify(input),
    },
  });
  const browser = await startChromium(env.chromium as string, { webgpu: true });
  try {
    const { value, error, complaints } = await visit<unknown>(browser, site.url, 550_000);
    if (error !== undefined) throw new Error(`the page failed: ${error.message} ${complaints.join(' | ')}`);
    if (complaints.length > 0) throw new Error(`the page complained: ${complaints.join(' | ')}`);
    return value;
  } finally {
    await browser.close();
    await site.close();
  }
}
