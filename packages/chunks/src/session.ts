// A file whose bytes come asynchronously (HTTP, File, Blob): libhdf5 in a worker for what is where, and the bytes of chunks
// straight to the caller's thread. worker.ts is the other side.

import { type ErrorCode, H5zError } from '@h5z/core';
import { fetchRange, type HttpOptions, openHttp } from './http.js';
import { CACHE_BYTES, MOST_PAGES, PAGE_BYTES } from './pages.js';
import type { Walked } from './walk.js';
import type { Feed, Reply, Request, SentError } from './worker.js';

export interface RemoteOptions extends HttpOptions {
  /** Budget of the page cache that libhdf5 reads metadata through, in bytes; at least 8 MiB. Default: 64 MiB. */
  readonly cacheBytes?: number;
}

/** A file's bytes, asynchronously. */
export interface RemoteBytes {
  readonly name: string;
  readonly size: number;
  /** Exactly these bytes, which are the caller's, or an H5zError. */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** How a browser's worker reads it by itself. */
  readonly feed: Feed;
  /** The start of the file, where opening it brought that along. */
  readonly first: Uint8Array;
}

export async function remoteHttp(url: URL, options: RemoteOptions): Promise<RemoteBytes> {
  const { remote, first } = await openHttp(url.href, PAGE_BYTES, options);
  return {
    name: url.href,
    size: remote.size,
    read: (offset, length, signal) => fetchRange(remote, offset, length, signal),
    feed: { kind: 'http', remote },
    first,
  };
}

export function remoteBlob(blob: Blob, name: string): RemoteBytes {
  return {
    name,
    size: blob.size,
    async read(offset, length) {
      try {
        const bytes = new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
        if (bytes.length === length) return bytes;
      } catch (cause) {
        throw unreadable(name, cause);
      }
      throw unreadable(name);
    },
    feed: { kind: 'blob', blob },
    first: new Uint8Array(0),
  };
}

function unreadable(name: string, cause?: unknown): H5zError {
  const remedy = 'it has changed or gone since it was chosen: choose it anew';
  return new H5zError(
    'H5Z_FILE',
    `${name}: the file cannot be read any more`,
    cause === undefined ? { remedy } : { remedy, cause },
  );
}

/** A worker, whatever the platform calls its methods. */
interface Thread {
  post(request: Request): void;
  onMessage(listener: (reply: Reply) => void): void;
  onFailure(listener: (error: unknown) => void): void;
  /** Whether it keeps the program alive. */
  hold(on: boolean): void;
  end(): void;
}

/** libhdf5 in a worker, asked one question at a time. */
export class Session {
  readonly bytes: RemoteBytes;
  readonly #thread: Thread;
  #queue: Promise<unknown> = Promise.resolve();
  #settle: { resolve(answer: unknown): void; reject(error: unknown): void } | undefined;
  #readError: unknown;
  #closed = false;

  private constructor(
    bytes: RemoteBytes,
    thread: Thread,
    shared: { control: Int32Array; data: Uint8Array } | undefined,
  ) {
    this.bytes = bytes;
    this.#thread = thread;
    thread.hold(false);
    thread.onMessage((reply) => {
      if ('want' in reply) {
        if (shared !== undefined) void this.#feed(reply.want, shared);
      } else if ('error' in reply) this.#settle?.reject(this.#readError ?? received(reply.error));
      else if (this.#readError !== undefined) this.#settle?.reject(this.#readError);
      else this.#settle?.resolve(reply.answer);
    });
    thread.onFailure((cause) => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const error = new H5zError('H5Z_FILE', `${bytes.name}: the worker of @h5z/chunks failed (${reason})`, {
        cause,
        remedy: "let the bundler emit dist/worker.js, or pass the file's bytes",
      });
      this.#settle?.reject(error);
    });
  }

  /** Starts a worker and walks through the file in it. */
  static async open(
    module: WebAssembly.Module,
    bytes: RemoteBytes,
    name: string,
    budget = CACHE_BYTES,
  ): Promise<{ session: Session; walked: Walked }> {
    const node = nodeThreads();
    const shared =
      node === undefined
        ? undefined
        : {
            control: new Int32Array(new SharedArrayBuffer(4)),
            data: new Uint8Array(new SharedArrayBuffer(MOST_PAGES * PAGE_BYTES)),
          };
    const session = new Session(bytes, startThread(node, name), shared);
    try {
      const feed: Feed = shared === undefined ? bytes.feed : { kind: 'shared', ...shared };
      const { size, first } = bytes;
      const answer = await session.#ask({ ask: 'open', module, name, size, feed, first, budget });
      const walked = answer as Omit<Walked, 'problems'> & { problems: { path: string; error: SentError }[] };
      const problems = walked.problems.map(({ path, error }) => ({ path, error: received(error) }));
      return { session, walked: { ...walked, problems } };
    } catch (error) {
      session.close();
      throw error;
    }
  }

  async chunks(address: number): Promise<Float64Array[]> {
    return (await this.#ask({ ask: 'chunks', address })) as Float64Array[];
  }

  async compact(address: number): Promise<Uint8Array> {
    return (await this.#ask({ ask: 'compact', address })) as Uint8Array;
  }

  /** Bytes of the file, not through the worker. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#closed) throw this.#isClosed();
    return this.bytes.read(offset, length);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#thread.end();
    this.#settle?.reject(this.#isClosed());
  }

  #isClosed(): H5zError {
    return new H5zError('H5Z_FILE', `${this.bytes.name} is closed`, { remedy: 'close it after the last read' });
  }

  #ask(request: Request): Promise<unknown> {
    const turn = this.#queue.then(
      () =>
        new Promise<unknown>((resolve, reject) => {
          if (this.#closed) throw this.#isClosed();
          this.#settle = { resolve, reject };
          this.#thread.hold(true);
          this.#thread.post(request);
        }),
    );
    const done = turn.finally(() => {
      this.#settle = undefined;
      if (!this.#closed) this.#thread.hold(false);
    });
    this.#queue = done.catch(() => undefined);
    return done;
  }

  async #feed(
    want: { offset: number; length: number },
    shared: { control: Int32Array; data: Uint8Array },
  ): Promise<void> {
    let status = 1;
    try {
      shared.data.set(await this.bytes.read(want.offset, want.length));
    } catch (error) {
      this.#readError = error;
      status = 2;
    }
    Atomics.store(shared.control, 0, status);
    Atomics.notify(shared.control, 0);
  }
}

function received({ code, message, details }: SentError): H5zError {
  const [problem = '', ...remedy] = message.split('; ');
  const given = (details ?? {}) as Record<string, unknown>;
  const options = remedy.length > 0 ? { details: given, remedy: remedy.join('; ') } : { details: given };
  return new H5zError(code as ErrorCode, problem, options);
}

type NodeThreads = typeof import('node:worker_threads');

function nodeThreads(): NodeThreads | undefined {
  if (typeof process !== 'object' || typeof process.getBuiltinModule !== 'function') return undefined;
  // workerd has node:worker_threads by name only.
  return typeof process.versions?.node === 'string' && navigator.userAgent !== 'Cloudflare-Workers'
    ? process.getBuiltinModule('node:worker_threads')
    : undefined;
}

/** The types of browsers' workers are not this package's. */
interface WebWorker {
  postMessage(message: unknown): void;
  addEventListener(type: string, listener: (event: { data?: Reply; message?: string }) => void): void;
  terminate(): void;
}
declare const Worker: (new (url: URL, options: { type: 'module' }) => WebWorker) | undefined;

function startThread(node: NodeThreads | undefined, name: string): Thread {
  if (node !== undefined) {
    // Not the pattern that bundlers look for: what they make is for browsers.
    const script = './worker.js';
    const worker = new node.Worker(new URL(script, import.meta.url));
    return {
      post: (request) => worker.postMessage(request),
      onMessage: (listener) => void worker.on('message', listener),
      onFailure: (listener) => void worker.on('error', listener),
      hold: (on) => (on ? worker.ref() : worker.unref()),
      end: () => void worker.terminate(),
    };
  }
  if (typeof Worker === 'undefined') {
    throw new H5zError('H5Z_FILE', `${name} cannot be opened: this platform has no workers to read it in`, {
      remedy: "pass the file's bytes",
    });
  }
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  return {
    post: (request) => worker.postMessage(request),
    onMessage: (listener) => worker.addEventListener('message', ({ data }) => data && listener(data)),
    onFailure: (listener) =>
      worker.addEventListener('error', ({ message }) => listener(new Error(message ?? 'it would not start'))),
    hold: () => undefined,
    end: () => worker.terminate(),
  };
}
