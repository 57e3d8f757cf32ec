// Starts Debian's Chromium for the browser tests and collects what a page says on its console.

import {
  type Browser,
  type BrowserContextOptions,
  type ConsoleMessage,
  chromium,
  type Page,
  type Request,
} from 'playwright-core';

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

/** A busy machine may be slow; what never comes is told before a test's own limit ends it. */
const PATIENCE = 150_000;

export function startChromium(executablePath: string, { webgpu = false } = {}): Promise<Browser> {
  const options = { executablePath, headless: true, timeout: PATIENCE };
  if (!webgpu) return chromium.launch({ ...options, args: FLAGS });
  return chromium.launch({
    ...options,
    args: [...FLAGS.filter((flag) => flag !== '--disable-gpu'), ...WEBGPU],
    ignoreDefaultArgs: ['--disable-gpu'],
  });
}

/** A page in a context of its own, which closes with it. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(PATIENCE);
  return page;
}

export interface Visit<T> {
  readonly value?: T;
  readonly error?: { readonly code?: string; readonly message: string };
  /** Errors and warnings on the console, uncaught exceptions, policy violations. */
  readonly complaints: readonly string[];
}

/** One page of each browser for all visits: a page of its own takes a process, and longer to start than most visits last. */
const pages = new WeakMap<Browser, Page>();

/**
 * Opens a page whose <output data-done> holds `{ value }` or `{ error }` as JSON when it has finished, within `timeout` ms. A
 * visit leaves nothing to the next: each has a document and an origin's storage is not used; the server forbids caching.
 */
export async function visit<T>(browser: Browser, url: string, timeout = PATIENCE): Promise<Visit<T>> {
  const page = pages.get(browser) ?? (await openPage(browser));
  pages.delete(browser);
  const { complaints, stop } = listen(page);
  await page.goto(url);
  try {
    await page.waitForSelector('output[data-done]', { state: 'attached', timeout });
  } catch {
    await page.close();
    return { complaints, error: { message: `the page never finished: ${complaints.join(' | ')}` } };
  }
  const text = (await page.textContent('output')) ?? '{}';
  stop();
  await page.goto('about:blank');
  pages.set(browser, page);
  return { ...(JSON.parse(text) as { value?: T; error?: { code?: string; message: string } }), complaints };
}

function listen(page: Page): { readonly complaints: string[]; stop(): void } {
  const complaints: string[] = [];
  const onConsole = (message: ConsoleMessage) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  };
  const onError = (error: Error) => complaints.push(`uncaught: ${error.message}`);
  // What a visit before left unfinished may be told of now.
  const own = new Set<Request>();
  const onRequest = (request: Request) => own.add(request);
  const onFailed = (request: Request) => {
    if (own.has(request)) complaints.push(`failed: ${request.url()} ${request.failure()?.errorText}`);
  };
  page.on('console', onConsole);
  page.on('pageerror', onError);
  page.on('request', onRequest);
  page.on('requestfailed', onFailed);
  return {
    complaints,
    stop() {
      page.off('console', onConsole);
      page.off('pageerror', onError);
      page.off('request', onRequest);
      page.off('requestfailed', onFailed);
    },
  };
}
