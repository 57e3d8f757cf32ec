// The worker in which libhdf5 runs for files whose bytes come asynchronously: libhdf5 reads synchronously, so its thread
// waits. In Node it waits for the main thread to fetch (Atomics.wait); in a browser it reads for itself, by a synchronous
// XMLHttpRequest or FileReaderSync, which need no cross-origin isolation. session.ts is the other side.

import { H5zError, isH5zError } from '@h5z/core';
import { checkAnswer, gaveUp, type RemoteFile, rangeHeaders, wrongLength } from './http.js';
import { Hdf5 } from './module.js';
import { PageCache } from './pages.js';
import { walk } from './walk.js';

/** How the worker gets bytes: from the main thread through shared memory, by HTTP, or from a Blob. */
export type Feed =
  | { readonly kind: 'shared'; readonly control: Int32Array; readonly data: Uint8Array }
  | { readonly kind: 'http'; readonly remote: RemoteFile }
  | { readonly kind: 'blob'; readonly blob: Blob };

export type Request =
  | {
      readonly ask: 'open';
      readonly module: WebAssembly.Module;
      readonly name: string;
      readonly size: number;
      readonly feed: Feed;
      readonly first: Uint8Array;
      readonly budget: number;
    }
  | { readonly ask: 'chunks' | 'compact'; readonly address: number };

/** What the worker sends: a wish for bytes (shared feed), or the answer to the request. */
export type Reply =
  | { readonly want: { readonly offset: number; readonly length: number } }
  | { readonly answer: unknown }
  | { readonly error: SentError };

/** An H5zError as plain data. */
export interface SentError {
  readonly code: string;
  readonly message: string;
  readonly details: unknown;
}

interface Port {
  postMessage(message: unknown): void;
}

/** A synchronous answer; the types of a browser's worker are not this package's. */
interface SyncRequest {
  open(method: string, url: string, async: boolean): void;
  setRequestHeader(name: string, value: string): void;
  getResponseHeader(name: string): string | null;
  send(): void;
  responseType: string;
  readonly status: number;
  readonly response: ArrayBuffer | null;
}

const browser = globalThis as unknown as {
  XMLHttpRequest: new () => SyncRequest;
  FileReaderSync: new () => { readAsArrayBuffer(blob: Blob): ArrayBuffer };
  addEventListener(type: 'message', listener: (event: { data: Request }) => void): void;
  postMessage(message: unknown): void;
};

let hdf5: Hdf5 | undefined;
/** What the first read that failed threw: a file that could not be read is not one with problems. */
let broken: unknown;

function serve(request: Request, port: Port): void {
  try {
    const reply = { answer: answer(request, port) } satisfies Reply;
    if (broken !== undefined) throw broken;
    port.postMessage(reply);
  } catch (error) {
    port.postMessage({ error: sent(error) } satisfies Reply);
  }
}

function answer(request: Request, port: Port): unknown {
  if (request.ask === 'open') {
    const { module, name, size, feed, first, budget } = request;
    const pages = new PageCache(size, fetcher(feed, port), budget);
    pages.prime(first);
    const readInto = (offset: number, to: Uint8Array) => {
      if (broken !== undefined) throw broken;
      try {
        pages.readInto(offset, to);
      } catch (error) {
        broken = error;
        throw error;
      }
    };
    hdf5 = new Hdf5(module, { name, size, readInto, close() {} });
    const walked = walk(hdf5, name);
    return { ...walked, problems: walked.problems.map(({ path, error }) => ({ path, error: sent(error) })) };
  }
  if (hdf5 === undefined) throw new H5zError('H5Z_E_INTERNAL', 'nothing is open in this worker');
  return request.ask === 'chunks' ? hdf5.chunks(request.address) : hdf5.compact(request.address);
}

function fetcher(feed: Feed, port: Port): (offset: number, length: number) => Uint8Array {
  switch (feed.kind) {
    case 'shared':
      return (offset, length) => {
        const { control, data } = feed;
        Atomics.store(control, 0, 0);
        port.postMessage({ want: { offset, length } } satisfies Reply);
        Atomics.wait(control, 0, 0);
        if (Atomics.load(control, 0) !== 1) throw new H5zError('H5Z_FILE', 'the file cannot be read');
        return data.slice(0, length);
      };
    case 'http':
      return (offset, length) => readHttp(feed.remote, offset, length);
    case 'blob':
      return (offset, length) => {
        const part = feed.blob.slice(offset, offset + length);
        try {
          return new Uint8Array(new browser.FileReaderSync().readAsArrayBuffer(part));
        } catch (cause) {
          throw new H5zError('H5Z_FILE', 'the file cannot be read any more', { cause, remedy: 'choose it anew' });
        }
      };
  }
}

function readHttp(remote: RemoteFile, offset: number, length: number): Uint8Array {
  const { url, attempts } = remote;
  for (let tried = 1; ; tried++) {
    try {
      const request = new browser.XMLHttpRequest();
      request.open('GET', url, false);
      request.responseType = 'arraybuffer';
      for (const [name, value] of Object.entries(rangeHeaders(offset, length, url, remote))) {
        request.setRequestHeader(name, value);
      }
      request.send();
      checkAnswer(
        { status: request.status, header: (name) => request.getResponseHeader(name) },
        url,
        offset,
        length,
        remote,
      );
      const bytes = new Uint8Array(request.response ?? new ArrayBuffer(0));
      if (bytes.length !== length) throw wrongLength(url, bytes.length, length);
      return bytes;
    } catch (error) {
      if (error instanceof H5zError) throw error;
      if (tried >= attempts) throw gaveUp(url, attempts, error);
    }
  }
}

function sent(error: unknown): SentError {
  if (isH5zError(error)) {
    let details: unknown;
    try {
      details = error.details === undefined ? undefined : JSON.parse(JSON.stringify(error.details));
    } catch {
      details = undefined;
    }
    return { code: error.code, message: error.message, details };
  }
  return {
    code: 'H5Z_E_INTERNAL',
    message: error instanceof Error ? error.message : String(error),
    details: undefined,
  };
}

const threads =
  typeof process === 'object' && typeof process.getBuiltinModule === 'function'
    ? process.getBuiltinModule('node:worker_threads')
    : undefined;
const parent = threads?.parentPort;
if (parent) parent.on('message', (request: Request) => serve(request, parent));
else browser.addEventListener('message', ({ data }) => serve(data, browser));
