// Byte ranges over HTTP, and what a server may do wrong about them. The rules are here once; fetch (this file) and the
// synchronous XMLHttpRequest of a browser's worker (worker.ts) both answer to them.

import { H5zError } from '@h5z/core';

/** What is known of a remote file since its first answer; a later answer that says otherwise is an error. */
export interface RemoteFile {
  readonly url: string;
  readonly size: number;
  /** Empty where the server gives (or shows) none. */
  readonly etag: string;
  readonly lastModified: string;
  /** Header values to send along with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds that one attempt may take, and how many attempts there are. */
  readonly timeout: number;
  readonly attempts: number;
}

export interface HttpOptions {
  /** Sent with every request, such as `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds that one attempt at a range may take. Default: 30000. */
  readonly timeout?: number;
  /** How often a range is asked for before giving up on cut connections and overloaded servers. Default: 3. */
  readonly attempts?: number;
}

/** A failure that may go away: a cut connection, a time-out, an overloaded server. */
export class Passing extends Error {}

/** The part of an answer that the rules look at. */
export interface Answer {
  readonly status: number;
  header(name: string): string | null;
}

/** Checks an answer to a request for bytes [from, from + length) before its body is read; `known` from the second on. */
export function checkAnswer(answer: Answer, url: string, from: number, length: number, known?: RemoteFile): number {
  const { status } = answer;
  if (status === 429 || status >= 500) throw new Passing(`HTTP status ${status}`);
  const etag = answer.header('etag') ?? '';
  const modified = answer.header('last-modified') ?? '';
  if (known !== undefined) {
    const other =
      etag !== '' && known.etag !== '' ? etag !== known.etag : modified !== known.lastModified && modified !== '';
    if ((status === 200 || status === 206 || status === 412 || status === 416) && other) throw changed(url);
    if (status === 416) throw changed(url);
  }
  if (status === 200) {
    throw fileError(
      url,
      'the server ignores range requests (status 200 for a range)',
      'download it and pass its bytes',
    );
  }
  if (status === 416) throw fileError(url, 'the file is empty', 'check the address');
  if (status !== 206)
    throw fileError(url, `the server answers with status ${status}`, 'check the address and who may read it');
  const encoding = answer.header('content-encoding');
  if (encoding !== null && encoding !== '' && encoding !== 'identity') {
    throw fileError(url, `the server compresses ranges (${encoding})`, 'have it serve the file as it is');
  }
  const range = answer.header('content-range');
  if (range === null) {
    throw fileError(
      url,
      'the answer to a range has no Content-Range that can be seen',
      'have the server send it, and with CORS list it in Access-Control-Expose-Headers',
    );
  }
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? [];
  const size = Number(total);
  const end = Math.min(from + length, size);
  if (Number(first) !== from || Number(last) !== end - 1 || !Number.isSafeInteger(size)) {
    const asked = `bytes ${from}-${from + length - 1} were asked for`;
    throw fileError(url, `the server sent the wrong range ("${range.slice(0, 80)}", ${asked})`, 'repair the server');
  }
  if (known !== undefined && size !== known.size) throw changed(url);
  return size;
}

/** The request's headers. `If-Range` only where it needs no leave of another origin; elsewhere the answer's ETag is compared. */
export function rangeHeaders(from: number, length: number, url: string, known?: RemoteFile): Record<string, string> {
  const headers: Record<string, string> = { ...known?.headers, Range: `bytes=${from}-${from + length - 1}` };
  const here = (globalThis as { location?: { origin?: string } }).location?.origin;
  if (known !== undefined && (here === undefined || new URL(url).origin === here)) {
    const validator = known.etag !== '' && !known.etag.startsWith('W/') ? known.etag : known.lastModified;
    if (validator !== '') headers['If-Range'] = validator;
  }
  return headers;
}

export function wrongLength(url: string, got: number, length: number): Passing {
  return new Passing(`${got} of ${length} bytes came of ${url}`);
}

export function gaveUp(url: string, attempts: number, cause: unknown): H5zError {
  const reason =
    cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : String(cause);
  const browser = (globalThis as { location?: unknown }).location !== undefined;
  return fileError(
    url,
    `the server cannot be read (${reason}; tried ${attempts} times)`.replace('; ', ', '),
    browser
      ? 'check the connection, and that the server lets this page read it (CORS: Access-Control-Allow-Origin)'
      : 'check the connection and try again',
    cause,
  );
}

function changed(url: string): H5zError {
  return fileError(url, 'the file changed while it was read', 'open it anew');
}

function fileError(url: string, problem: string, remedy: string, cause?: unknown): H5zError {
  return new H5zError('H5Z_FILE', `${url}: ${problem}`, cause === undefined ? { remedy } : { remedy, cause });
}

/** Asks for the first bytes: gives what the file is, and them. */
export async function openHttp(
  url: string,
  length: number,
  options: HttpOptions = {},
): Promise<{ remote: RemoteFile; first: Uint8Array }> {
  const { headers = {}, timeout = 30_000, attempts = 3 } = options;
  const start: RemoteFile = { url, size: 0, etag: '', lastModified: '', headers, timeout, attempts };
  let remote = start;
  const first = await attempt(start, (signal) =>
    get(url, { ...headers, Range: `bytes=0-${length - 1}` }, signal, (answer) => {
      const size = checkAnswer(answer, url, 0, length);
      remote = {
        ...start,
        size,
        etag: answer.header('etag') ?? '',
        lastModified: answer.header('last-modified') ?? '',
      };
      return Math.min(length, size);
    }),
  );
  return { remote, first };
}

/** `length` bytes from byte `from`, which must lie in the file. */
export async function fetchRange(
  file: RemoteFile,
  from: number,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const { url } = file;
  return attempt(
    file,
    (own) =>
      get(url, rangeHeaders(from, length, url, file), own, (answer) => {
        checkAnswer(answer, url, from, length, file);
        return length;
      }),
    signal,
  );
}

async function attempt(
  { url, timeout, attempts }: RemoteFile,
  work: (signal: AbortSignal) => Promise<Uint8Array>,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  for (let tried = 1; ; tried++) {
    signal?.throwIfAborted();
    const limit = AbortSignal.timeout(timeout);
    try {
      return await work(signal === undefined ? limit : AbortSignal.any([signal, limit]));
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof H5zError) throw error;
      if (tried >= attempts) throw gaveUp(url, attempts, error);
      await new Promise((resolve) => setTimeout(resolve, 50 * 4 ** (tried - 1)));
    }
  }
}

/** One GET; `check` sees the head and says how long the body is. Never takes more of it than that. */
async function get(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
  check: (answer: Answer) => number,
): Promise<Uint8Array> {
  const response = await fetch(url, { headers, signal, cache: 'no-store' });
  let length: number;
  try {
    length = check({ status: response.status, header: (name) => response.headers.get(name) });
  } catch (error) {
    await response.body?.cancel().catch(() => undefined);
    throw error;
  }
  const bytes = new Uint8Array(length);
  let done = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const part = await reader?.read();
    if (part === undefined || part.done) break;
    if (done + part.value.length > length) {
      await reader?.cancel().catch(() => undefined);
      throw fileError(url, 'the server sends more bytes than its Content-Range says', 'repair the server');
    }
    bytes.set(part.value, done);
    done += part.value.length;
  }
  if (done !== length) throw wrongLength(url, done, length);
  return bytes;
}
