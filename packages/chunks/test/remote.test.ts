// Files over HTTP and from Blobs against the same files on disk: what is fetched, and what a bad server makes of it. The
// server is a loopback one with a fault to order.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import { open, readDataset } from '../dist/index.js';

type Fault =
  | 'none'
  | 'no ranges'
  | 'cut once'
  | 'cut'
  | 'busy once'
  | 'busy'
  | 'wrong range'
  | 'too long'
  | 'too short'
  | 'no content-range'
  | 'changes'
  | 'changes without tag'
  | 'changes size'
  | 'gzip'
  | 'silent'
  | 'forbidden';

const SCRIPT = `
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w", libver=sys.argv[2]) as f:
    f.create_dataset("first", data=np.arange(100, dtype="<i4"), chunks=(10,), compression="gzip")
    rng = np.random.default_rng(1)
    f.create_dataset("large", data=rng.integers(0, 256, (48, 1 << 19), dtype="u1"), chunks=(1, 1 << 19))
    f.create_dataset("flat", data=np.arange(1 << 20, dtype="<i4"))
    f.create_dataset("last", data=np.arange(100, dtype="<i4"), chunks=(10,), compression="gzip")
`;

describe.skipIf(env.python === undefined)('remote files', () => {
  let folder: string;
  let path: string;
  let bytes: Buffer;
  let server: Server;
  let url: string;
  let fault: Fault = 'none';
  let requests: { from: number; length: number; ifRange: string | undefined }[] = [];

  function serve(request: IncomingMessage, response: ServerResponse): void {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const from = Number(first);
    const end = Math.min(Number(last) + 1, bytes.length);
    requests.push({ from, length: end - from, ifRange: request.headers['if-range'] as string | undefined });
    const count = requests.length;
    const body = bytes.subarray(from, end);
    const tag = fault === 'changes' && count > 1 ? '"two"' : '"one"';
    const modified =
      fault === 'changes without tag' && count > 1 ? 'Tue, 03 Mar 2026 00:00:00 GMT' : 'Mon, 02 Mar 2026 00:00:00 GMT';
    const size = fault === 'changes size' && count > 1 ? bytes.length + 1 : bytes.length;
    const headers: Record<string, string> = {
      'Content-Range': `bytes ${fault === 'wrong range' && count > 1 ? from + 1 : from}-${end - 1}/${size}`,
      'Last-Modified': modified,
      ...(fault === 'changes without tag' ? {} : { ETag: tag }),
    };
    if (fault === 'no content-range') delete headers['Content-Range'];
    if (fault === 'gzip') headers['Content-Encoding'] = 'gzip';
    if (fault === 'silent' && count > 1) return;
    if (fault === 'forbidden') return void response.writeHead(403).end('no');
    if (fault === 'no ranges') return void response.writeHead(200, { ETag: tag }).end(bytes);
    if (fault === 'busy' || (fault === 'busy once' && count === 2)) return void response.writeHead(503).end();
    if ((fault === 'changes' || fault === 'changes without tag') && count > 1) {
      return void response.writeHead(200, headers).end(bytes);
    }
    if ((fault === 'cut' && count > 1) || (fault === 'cut once' && count === 2)) {
      response.writeHead(206, { ...headers, 'Content-Length': String(body.length) });
      response.write(body.subarray(0, body.length >> 1), () => response.destroy());
      return;
    }
    const sent = fault === 'too long' ? Buffer.concat([body, body]) : fault === 'too short' ? body.subarray(1) : body;
    response.writeHead(206, headers).end(sent);
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'h5z-remote-'));
    path = join(folder, 'remote.h5');
    execFileSync(env.python ?? '', ['-c', SCRIPT, path, 'latest']);
    bytes = readFileSync(path);
    server = createServer(serve);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/remote.h5`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    fault = 'none';
    requests = [];
  });

  const total = () => requests.reduce((sum, { length }) => sum + length, 0);

  test('the same values as from disk, by HTTP and from a Blob', async () => {
    const local = await open(path);
    for (const input of [url, new URL(url), new Blob([new Uint8Array(bytes)])]) {
      const file = await open(input);
      expect(file.size).toBe(bytes.length);
      expect(file.remote).toBe(true);
      expect(file.datasets.map(({ path, info }) => [path, info])).toEqual(
        local.datasets.map(({ path, info }) => [path, info]),
      );
      for (const { path } of local.datasets) {
        expect(
          Buffer.compare(
            new Uint8Array((await readDataset(file, path)).data.buffer),
            new Uint8Array((await readDataset(local, path)).data.buffer),
          ),
        ).toBe(0);
      }
      const large = file.dataset('/large');
      const chunk = (await large.loadChunks()).at(-1);
      if (chunk === undefined) throw new Error('no chunks');
      expect(await large.fetchChunk(chunk)).toEqual(local.dataset('/large').readChunk(chunk));
      expect(() => large.readChunk(chunk)).toThrow(expect.objectContaining({ code: 'H5Z_FILE' }));
      file.close();
      await expect(large.fetchChunk(chunk)).rejects.toThrow(expect.objectContaining({ code: 'H5Z_FILE' }));
    }
    local.close();
  });

  test('fetches what is needed and no more', async () => {
    const file = await open(url);
    const opening = requests.length;
    expect(opening).toBeLessThanOrEqual(6);
    expect(total()).toBeLessThan(8 << 20);
    expect(requests.slice(1).every(({ ifRange }) => ifRange === '"one"')).toBe(true);
    expect(() => file.dataset('/large').chunks).toThrow(/loadChunks/);
    await file.dataset('/large').loadChunks();
    requests = [];
    await readDataset(file, '/large', {
      slice: [
        [10, 12],
        [0, 100],
      ],
    });
    expect(requests).toHaveLength(1); // two neighbouring chunks, one range
    expect(total()).toBe(2 << 19);
    requests = [];
    await readDataset(file, '/flat', { slice: [[1000, 1010]] });
    expect(requests.map(({ length }) => length)).toEqual([40]);
    requests = [];
    await readDataset(file, '/large');
    expect(total()).toBe(48 << 19);
    expect(requests).toHaveLength(3); // of 8 MiB
    file.close();
  });

  test.each<[Fault, RegExp]>([
    ['no ranges', /ignores range requests/],
    ['cut', /cannot be read .*tried 2 times/],
    ['busy', /status 503.*tried 2 times/],
    ['wrong range', /wrong range/],
    ['too long', /more bytes/],
    ['too short', /cannot be read/],
    ['no content-range', /no Content-Range/],
    ['changes', /changed while it was read/],
    ['changes without tag', /changed while it was read/],
    ['changes size', /changed while it was read/],
    ['gzip', /compresses ranges/],
    ['silent', /cannot be read/],
    ['forbidden', /status 403/],
  ])('a server with the fault "%s"', async (which, message) => {
    fault = which;
    const reading = async () => {
      const file = await open(url, { attempts: 2, ...(which === 'silent' ? { timeout: 1000 } : {}) });
      try {
        await readDataset(file, '/large', { slice: [3] });
      } finally {
        file.close();
      }
    };
    const error = await reading().then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toMatchObject({ name: 'H5zError', code: 'H5Z_FILE', message: expect.stringMatching(message) });
    expect((error as Error).message).toContain(url);
  });

  test.each<Fault>(['cut once', 'busy once'])('goes on after "%s"', async (which) => {
    fault = which;
    const file = await open(url);
    expect((await readDataset(file, '/last')).data).toEqual(Int32Array.from({ length: 100 }, (_, i) => i));
    file.close();
  });

  test('no server, no HDF5 file', async () => {
    for (const none of ['http://', 'https://:80', 'http://a b/c'])
      await expect(open(none)).rejects.toMatchObject({ code: 'H5Z_PARAMETER', message: expect.stringContaining(none) });
    await expect(open('http://127.0.0.1:1/x.h5', { attempts: 1 })).rejects.toThrow(
      expect.objectContaining({ code: 'H5Z_FILE' }),
    );
    await expect(open(new Blob([new Uint8Array(5000)]))).rejects.toThrow(
      expect.objectContaining({ code: 'H5Z_E_CORRUPT' }),
    );
  });
});
if (env.python === undefined) test(`remote files: ${need('python')}`, ({ skip }) => skip(need('python')));
