// Starts Debian's Chromium for the browser tests and collects what a page says on its console.

import { type Browser, chromium, type Page } from 'playwright-core';

/** The flags keep Chromium from looking for the network at start; tests talk to loopback only. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** WebGPU by SwiftShader, which stands in for a GPU on this processor; canvases too, or the first one drawn to ends it. */
const WEBGPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--use-vulkan=swiftshader',
  '--use-angle=swiftshader',
];

export function startChromium(executablePath: string, { webgpu = false } = {}): Promise<Browser> {
  if (!webgpu) return chromium.launch({ executablePath, headless: true, args: FLAGS });
  return chromium.launch({
    executablePath,
    headless: true,
    args: [...FLAGS.filter((flag) => flag !== '--disable-gpu'), ...WEBGPU],
    ignoreDefaultArgs: ['--disable-gpu'],
  });
}

export interface Visit<T> {
  readonly value?: T;
  readonly error?: { readonly code?: string; readonly message: string };
  /** Errors and warnings on the console, uncaught exceptions, policy violations. */
  readonly complaints: readonly string[];
}

/** Opens a page whose <output data-done> holds `{ value }` or `{ error }` as JSON when it has finished, within `timeout` ms. */
export async function visit<T>(browser: Browser, url: string, timeout = 60_000): Promise<Visit<T>> {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const complaints = listen(page);
    await page.goto(url);
    try {
      await page.waitForSelector('output[data-done]', { state: 'attached', timeout });
    } catch {
      return { complaints, error: { message: `the page never finished: ${complaints.join(' | ')}` } };
    }
    const text = (await page.textContent('output')) ?? '{}';
    return { ...(JSON.parse(text) as { value?: T; error?: { code?: string; message: string } }), complaints };
  } finally {
    await context.close();
  }
}

function listen(page: Page): string[] {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  return complaints;
}
