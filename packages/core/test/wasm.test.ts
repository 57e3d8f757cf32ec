// The WebAssembly loader: what it accepts, what it refuses, and that a misbehaving codec harms nobody.

import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { datasetStruct, loadWasm, sha256, type WasmSource } from '../dist/index.js';
import { BOAST, COPY, CORRUPT, FUTURE, fakeModule, GROW, LIE, RECURSE, TRAP } from './support/fake-module.ts';

const bytes = fakeModule();
const chunk = (command: number, ...rest: number[]) => new Uint8Array([command, ...rest]);
const refuse = (code: string, message?: RegExp) =>
  expect.objectContaining({ code, ...(message ? { message: expect.stringMatching(message) } : {}) });

async function failure(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('sources', () => {
  let server: Server;
  let base: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url !== '/fake.wasm') response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': 'application/wasm' }).end(bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  test.each<[string, () => WasmSource | Promise<WasmSource>]>([
    ['bytes', () => bytes],
    ['a view into a larger buffer', () => new Uint8Array([9, ...bytes, 9]).subarray(1, 1 + bytes.length)],
    ['an ArrayBuffer', () => bytes.buffer],
    ['a promise', () => Promise.resolve(bytes)],
    ['a compiled module', () => WebAssembly.compile(bytes)],
    ['a data: URL', () => `data:application/wasm;base64,${Buffer.from(bytes).toString('base64')}`],
    ['a URL', () => new URL('/fake.wasm', base)],
    ['a URL as text', () => `${base}/fake.wasm`],
    ['a Response', () => fetch(`${base}/fake.wasm`)],
  ])('%s', async (_, source) => {
    const codec = await loadWasm(source());
    expect([codec.id, codec.name, codec.variant, codec.canEncode]).toEqual([40000, 'fake', 'wasm', false]);
    expect(codec.decode(chunk(COPY, 7, 8), { size: 2 })).toEqual(new Uint8Array([7, 8]));
  });

  test('a URL that fetch cannot read goes through readFile', async () => {
    const codec = await loadWasm(new URL('file:///x/fake.wasm'), { readFile: async () => bytes });
    expect(codec.source).toBe('file:///x/fake.wasm');
  });

  test('a hash that fits is accepted, for bytes and over HTTP', async () => {
    const hash = await sha256(bytes);
    await loadWasm(bytes, { sha256: hash });
    await loadWasm(`${base}/fake.wasm`, { sha256: hash });
  });

  test.each(['bytes', 'URL'])('a hash that does not fit is refused with both hashes (%s)', async (kind) => {
    const wrong = '0'.repeat(64);
    const error = await failure(() => loadWasm(kind === 'bytes' ? bytes : `${base}/fake.wasm`, { sha256: wrong }));
    expect(error).toEqual(refuse('H5Z_INTEGRITY', new RegExp(`${await sha256(bytes)}.*${wrong}.*reinstall`)));
  });

  test('what is no module of ours is refused with the reason', async () => {
    expect(await failure(() => loadWasm(new Uint8Array(8)))).toEqual(refuse('H5Z_WASM_LOAD'));
    expect(await failure(() => loadWasm(`${base}/nothing`))).toEqual(refuse('H5Z_WASM_LOAD', /HTTP status 404/));
    expect(await failure(() => loadWasm(fakeModule({ imports: true })))).toEqual(
      refuse('H5Z_WASM_LOAD', /imports \(env\.f\)/),
    );
    expect(await failure(() => loadWasm(fakeModule({ without: 'h5z_decode' })))).toEqual(
      refuse('H5Z_WASM_LOAD', /h5z_decode/),
    );
    expect(await failure(() => loadWasm(fakeModule({ abi: 2 })))).toEqual(refuse('H5Z_WASM_LOAD', /ABI version 2/));
    expect(await failure(() => loadWasm(bytes, { id: 5 }))).toEqual(refuse('H5Z_WASM_LOAD', /filter 40000, not 5/));
  });
});

describe('a codec', () => {
  test('gives arrays that belong to the caller', async () => {
    const codec = await loadWasm(bytes);
    const first = codec.decode(chunk(COPY, 1));
    const second = codec.decode(chunk(COPY, 2));
    expect([first, second]).toEqual([new Uint8Array([1]), new Uint8Array([2])]);
    expect(first.buffer.byteLength).toBe(1);
  });

  test('gives large results in memory of their own, exactly as long', async () => {
    const codec = await loadWasm(bytes);
    const data = Uint8Array.from({ length: 200_001 }, (_, i) => i);
    data[0] = COPY;
    const first = codec.decode(data, { size: 200_000 });
    const second = codec.decode(data);
    expect([first.length, first.byteOffset, first.buffer.byteLength, first.constructor]).toEqual([
      200_000,
      0,
      200_000,
      Uint8Array,
    ]);
    expect(first).toEqual(data.subarray(1));
    expect(second.buffer).not.toBe(first.buffer);
  });

  test('grows the output when nobody says how large it is, and stops at `size`', async () => {
    const codec = await loadWasm(bytes);
    expect(codec.decode(chunk(GROW)).length).toBe(65536);
    expect(codec.decode(chunk(GROW), { size: 65536 }).length).toBe(65536);
    expect(await failure(() => codec.decode(chunk(GROW), { size: 65535 }))).toEqual(refuse('H5Z_E_OUTPUT', /size/));
  });

  test('refuses a header that claims more than `size`, before any memory is taken', async () => {
    const codec = await loadWasm(bytes);
    expect(codec.decodedSize(chunk(BOAST))).toBe(4e9);
    expect(codec.decodedSize(chunk(COPY))).toBeUndefined();
    expect(await failure(() => codec.decode(chunk(BOAST), { size: 1000 }))).toEqual(refuse('H5Z_E_OUTPUT'));
    expect(codec.decode(chunk(COPY, 5))).toEqual(new Uint8Array([5]));
  });

  test('never writes past the output', async () => {
    const codec = await loadWasm(bytes);
    const out = new Uint8Array(8).fill(0xaa);
    expect(codec.decodeInto(chunk(COPY, 1, 2, 3), out.subarray(2, 5))).toBe(3);
    expect(out).toEqual(new Uint8Array([0xaa, 0xaa, 1, 2, 3, 0xaa, 0xaa, 0xaa]));
    expect(await failure(() => codec.decodeInto(chunk(COPY, 1, 2, 3), out.subarray(0, 2)))).toEqual(
      refuse('H5Z_E_OUTPUT'),
    );
    expect(await failure(() => codec.decodeInto(chunk(LIE), out.subarray(0, 2)))).toEqual(refuse('H5Z_E_INTERNAL'));
    expect(out.subarray(5)).toEqual(new Uint8Array([0xaa, 0xaa, 0xaa]));
  });

  test.each([
    ['a trap', TRAP],
    ['a full stack', RECURSE],
  ])('%s is an internal error, and the next call works', async (_, command) => {
    const codec = await loadWasm(bytes);
    for (let i = 0; i < 3; i++) {
      expect(await failure(() => codec.decode(chunk(command), { size: 9 }))).toEqual(
        refuse('H5Z_E_INTERNAL', /trapped/),
      );
      expect(codec.decode(chunk(COPY, 4), { size: 9 })).toEqual(new Uint8Array([4]));
    }
  });

  test('errors of the filter carry its name, ID and code', async () => {
    const codec = await loadWasm(bytes);
    expect(await failure(() => codec.decode(chunk(CORRUPT)))).toEqual(
      refuse('H5Z_E_CORRUPT', /^fake \(40000, wasm\) decode: /),
    );
    await expect(codec.decodeAsync(chunk(CORRUPT))).rejects.toEqual(refuse('H5Z_E_CORRUPT'));
  });

  test('what the filter adds to a refusal is part of the sentence', async () => {
    const codec = await loadWasm(bytes);
    expect(await failure(() => codec.decode(chunk(FUTURE)))).toEqual(refuse('H5Z_E_VERSION', /revision .* \(why!\); /));
  });

  test('without an encoder says so', async () => {
    const codec = await loadWasm(bytes);
    const dataset = { typeClass: 'integer', typeSize: 1, chunk: [1] } as const;
    for (const work of [
      () => codec.encode(chunk(0)),
      () => codec.encodeInto(chunk(0), chunk(0)),
      () => codec.encodeBound(1),
      () => codec.derive([], dataset),
    ]) {
      expect(await failure(work)).toEqual(refuse('H5Z_READ_ONLY', /encode: true/));
    }
  });

  test('cd_values must be 32-bit words, at most 4096', async () => {
    const codec = await loadWasm(bytes);
    const decode = (cdValues: number[]) => failure(() => codec.decode(chunk(COPY, 1), { cdValues }));
    expect(await decode([-1, 0xffffffff])).toBeUndefined();
    expect(await decode([0.5])).toEqual(refuse('H5Z_PARAMETER'));
    expect(await decode([2 ** 32])).toEqual(refuse('H5Z_PARAMETER'));
    expect(await decode(Array(4096).fill(0))).toBeUndefined();
    expect(await decode(Array(4097).fill(0))).toEqual(refuse('H5Z_PARAMETER', /4096/));
  });

  test('an empty chunk is passed on, not read past', async () => {
    const codec = await loadWasm(bytes);
    expect(await failure(() => codec.decode(new Uint8Array(0), { size: 4 }))).toEqual(refuse('H5Z_E_OUTPUT'));
  });
});

describe('h5z_dataset', () => {
  test('every field lies where filter.h says', () => {
    const header = readFileSync(new URL('../../abi/include/h5z/filter.h', import.meta.url), 'utf8');
    const struct = /typedef struct h5z_dataset \{([\s\S]*?)\} h5z_dataset;/.exec(header)?.[1] ?? '';
    const offsets = Object.fromEntries(
      [...struct.matchAll(/(\w+)(?:\[\w+\])?;\s*\/\*\s*(\d+) /g)].map((match) => [match[1], Number(match[2])]),
    );
    const view = new DataView(
      datasetStruct({
        typeClass: 'array',
        typeSize: 24,
        baseClass: 'float',
        baseSize: 8,
        signed: true,
        bigEndian: true,
        precision: 64,
        bitOffset: 5,
        chunk: [11, 2 ** 40],
        shape: [110, 0],
        fill: new Uint8Array([1, 2, 3]),
      }).buffer,
    );
    const u32 = (name: string) => view.getUint32(offsets[name] ?? -1, true);
    const u64 = (name: string, i: number) => Number(view.getBigUint64((offsets[name] ?? -1) + 8 * i, true));
    expect(view.byteLength).toBe(624);
    expect(Object.keys(offsets).length).toBe(15);
    expect(
      ['struct_size', 'type_class', 'type_size', 'base_class', 'base_size', 'is_signed', 'big_endian', 'precision'].map(
        u32,
      ),
    ).toEqual([624, 10, 24, 1, 8, 1, 1, 64]);
    expect(['bit_offset', 'rank', 'fill_defined', 'fill_size'].map(u32)).toEqual([5, 2, 1, 3]);
    expect([u64('chunk_dims', 0), u64('chunk_dims', 1), u64('dims', 0), u64('dims', 1)]).toEqual([11, 2 ** 40, 110, 0]);
    expect(view.getUint8((offsets.fill ?? -1) + 2)).toBe(3);
  });

  test('nonsense is refused', () => {
    const good = { typeClass: 'integer', typeSize: 4, chunk: [1] } as const;
    const bad = [{ typeSize: 0 }, { chunk: [-1] }, { chunk: Array(33).fill(1) }, { fill: new Uint8Array(65) }];
    for (const wrong of bad) {
      expect(() => datasetStruct({ ...good, ...wrong })).toThrow(refuse('H5Z_PARAMETER'));
    }
  });
});
