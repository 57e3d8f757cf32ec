// Pipelines: order, filter masks, bounds, and that errors say which stage failed.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Codec, createPipeline, FLAG_OPTIONAL, filterError } from '../dist/index.js';
import { stage, tagging } from './support/tagging.ts';

const coded = (code: string, details: object = {}) =>
  expect.objectContaining({ code, details: expect.objectContaining(details) });

describe('order and masks', () => {
  const tags = fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { maxLength: 8 });
  const bytes = fc.uint8Array({ maxLength: 50 });

  test('encoding runs first to last, decoding undoes it', () => {
    fc.assert(
      fc.property(tags, bytes, (numbers, data) => {
        const pipeline = createPipeline(numbers.map((tag) => stage(tagging(tag))));
        const { data: encoded, filterMask } = pipeline.encode(data);
        expect(filterMask).toBe(0);
        expect([...encoded]).toEqual([...numbers.toReversed(), ...data]);
        expect(pipeline.decode(encoded, { size: data.length })).toEqual(data);
        const out = new Uint8Array(data.length + 2).fill(0xaa);
        expect(pipeline.decodeInto(encoded, out.subarray(1, 1 + data.length))).toBe(data.length);
        expect([...out]).toEqual([0xaa, ...data, 0xaa]);
      }),
    );
  });

  test('stages whose mask bit is set are skipped', async () => {
    await fc.assert(
      fc.asyncProperty(tags, bytes, fc.nat({ max: 255 }), async (numbers, data, mask) => {
        const pipeline = createPipeline(numbers.map((tag) => stage(tagging(tag))));
        const ran = numbers.filter((_, index) => ((mask >> index) & 1) === 0);
        const encoded = new Uint8Array([...ran.toReversed(), ...data]);
        const options = { filterMask: mask, size: data.length };
        expect(pipeline.decode(encoded, options)).toEqual(data);
        expect(await pipeline.decodeMany([encoded, { data: encoded, filterMask: mask }], options)).toEqual([
          data,
          data,
        ]);
      }),
    );
  });

  test('an optional stage that cannot encode sets its bit; a mandatory one fails the write', () => {
    const refusing = tagging(2, {
      encode: () => {
        throw filterError(-7, 'tag2');
      },
    });
    const data = new Uint8Array([9]);
    const stages = (flags: number) => [stage(tagging(1)), stage(refusing, flags), stage(tagging(3))];
    const encoded = createPipeline(stages(FLAG_OPTIONAL)).encode(data);
    expect(encoded).toEqual({ data: new Uint8Array([3, 1, 9]), filterMask: 0b010 });
    expect(createPipeline(stages(0)).decode(encoded.data, encoded)).toEqual(data);
    expect(() => createPipeline(stages(0)).encode(data)).toThrow(coded('H5Z_E_NOT_APPLICABLE', { stage: 1 }));
  });

  test('results never share memory with arguments', () => {
    const data = new Uint8Array([1, 2]);
    const empty = createPipeline([]);
    expect(empty.decode(data).buffer).not.toBe(data.buffer);
    expect(empty.encode(data).data.buffer).not.toBe(data.buffer);
    const buffer = Buffer.from(data); // whose own slice is a view
    expect(empty.decode(buffer).buffer).not.toBe(buffer.buffer);
    expect(empty.encode(buffer).data.buffer).not.toBe(buffer.buffer);
    const masked = createPipeline([stage(tagging(1))]).decode(data, { filterMask: 1 });
    expect([masked, masked.buffer === data.buffer]).toEqual([data, false]);
  });
});

describe('bounds', () => {
  test('each stage may give what the stages before it can make of the chunk size', () => {
    const sizes: (number | undefined)[] = [];
    /** A codec that says `more` bytes may be added; NaN: that it cannot say, as older decode-only modules. */
    const spy = (tag: number, more: number) => {
      const encodeBound = (size: number) => {
        if (Number.isNaN(more)) throw filterError(-7, `tag${tag}`);
        return size + more;
      };
      const codec = tagging(tag, { encodeBound });
      const decode: Codec['decode'] = (chunk, options) => {
        sizes.push(options?.size);
        return codec.decode(chunk, options);
      };
      return { ...codec, decode };
    };
    const pipeline = createPipeline([stage(spy(1, 5000)), stage(spy(2, 10000)), stage(spy(3, Number.NaN))]);
    pipeline.decode(new Uint8Array([3, 2, 1, 7]), { size: 1 });
    expect(sizes).toEqual([15001, 5001, 1]); // nobody asks what the last stage makes
    sizes.length = 0;
    const blind = createPipeline([stage(spy(1, Number.NaN)), stage(spy(2, 1))]);
    blind.decode(new Uint8Array([2, 1, 7]), { size: 1 });
    expect(sizes).toEqual([8 + 65536, 1]);
    sizes.length = 0;
    const tight = createPipeline([stage(spy(1, 1)), stage(spy(2, 1))]);
    tight.decode(new Uint8Array([2, 1, ...new Uint8Array(8000)]), { size: 8000 });
    expect(sizes).toEqual([8000 + 1000 + 1024, 8000]); // somebody else's encoder may be looser than ours
  });

  test('a chunk that decodes to another size than its dataset says is corrupt', () => {
    const pipeline = createPipeline([stage(tagging(1))]);
    const chunk = new Uint8Array([1, 7, 7]);
    expect(() => pipeline.decode(chunk, { size: 3 })).toThrow(coded('H5Z_E_CORRUPT', { actual: 2, expected: 3 }));
    expect(() => pipeline.decode(chunk, { size: 1 })).toThrow(coded('H5Z_E_OUTPUT'));
    expect(() => pipeline.decode(chunk, { size: 2, filterMask: 1 })).toThrow(coded('H5Z_E_CORRUPT'));
    expect(() => pipeline.decodeInto(chunk, new Uint8Array(3))).toThrow(coded('H5Z_E_CORRUPT'));
    expect(() => pipeline.decodeInto(chunk, new Uint8Array(2), { filterMask: 1 })).toThrow(coded('H5Z_E_CORRUPT'));
  });
});

describe('errors', () => {
  test('name the stage that failed', async () => {
    const pipeline = createPipeline([stage(tagging(1)), stage(tagging(2))]);
    const broken = new Uint8Array([2, 9]);
    expect(() => pipeline.decode(broken)).toThrow(coded('H5Z_E_CORRUPT', { stage: 0, id: 1 }));
    await expect(pipeline.decodeMany([broken])).rejects.toEqual(coded('H5Z_E_CORRUPT', { stage: 0, id: 1 }));
  });

  test.each([
    { filterMask: -1 },
    { filterMask: 0.5 },
    { filterMask: 2 ** 32 },
    { size: -1 },
    { size: Number.NaN },
  ])('%j is refused', (options) => {
    expect(() => createPipeline([]).decode(new Uint8Array(0), options)).toThrow(coded('H5Z_PARAMETER'));
  });
});
