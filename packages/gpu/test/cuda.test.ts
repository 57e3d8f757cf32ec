// The CUDA backend, from batches to bytes, on a driver whose GPU is this processor (abi/test/cuda.ts): nothing that is put on a
// stream happens before somebody waits (`late`), or copies happen as early as they may (`copies`), so that what reads too early
// or overwrites too early gets wrong bytes. The kernels' PTX is what ./farm build made. What chunks decode to is golden, and for
// damaged ones what the filter's own code makes of them.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type Codec,
  createPipeline,
  FILTER_ERRORS,
  type FilterDescription,
  isH5zError,
  loadWasm,
  type PipelineStage,
  type StoredChunk,
} from '@h5z/core';
import {
  createDecoder,
  type DecoderOptions,
  findCuda,
  type Gpu,
  type GpuAnswers,
  type GpuChunk,
  type GpuStage,
  kernelNeeds,
  openCuda,
} from '@h5z/gpu';
import { openCuda as openDevice } from '@h5z/native/cuda';
import { beforeAll, describe, expect, it } from 'vitest';
import { freshDriver, standInCuda } from '../../abi/test/cuda.ts';
import { noKernels } from '../../abi/test/gpu.ts';
import { numbers } from '../../farm/src/damage.ts';

interface Golden {
  readonly name: string;
  readonly file: string;
  readonly cdValues: number[];
  readonly size: number;
  readonly sha256: string;
}

const FILTERS = fileURLToPath(new URL('../../../filters/', import.meta.url));
const hasFile = (file: string) => (name: string) => existsSync(join(FILTERS, name, file));
const ALL = readdirSync(FILTERS).filter(hasFile('filter.json'));
const NAMES = ALL.filter(hasFile('src/gpu.c'));
const { H5Z_E_CORRUPT, H5Z_E_OUTPUT, H5Z_E_PARAM, H5Z_E_UNSUPPORTED } = Object.fromEntries(
  Object.entries(FILTER_ERRORS).map(([code, { value }]) => [code, value]),
) as Record<keyof typeof FILTER_ERRORS, number>;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const descriptionOf = (name: string): FilterDescription =>
  JSON.parse(readFileSync(join(FILTERS, name, 'filter.json'), 'utf8')) as FilterDescription;
const goldenOf = (name: string): Golden[] =>
  (JSON.parse(readFileSync(join(FILTERS, name, 'golden/index.json'), 'utf8')) as { cases: Golden[] }).cases;
const bytesOf = (name: string, { file }: Golden): Buffer => readFileSync(join(FILTERS, name, 'golden', file));
const codecOf = (name: string): Promise<Codec> =>
  loadWasm(readFileSync(join(FILTERS, name, 'wasm', `${name}.wasm`)), { id: descriptionOf(name).id });

function stage(name: string, cdValues: readonly number[], bound = (size: number) => size * 2 + 4096): GpuStage {
  const kernels = readFileSync(join(FILTERS, name, 'gpu', `${name}.ptx`), 'utf8');
  const description = descriptionOf(name);
  const { scratch, lanes } = kernelNeeds(description, cdValues);
  return { id: description.id, name, cdValues, kernels, bound, scratch, lanes };
}

interface Given {
  readonly bytes: Uint8Array;
  readonly size: number;
  readonly filterMask?: number;
}

/** One batch: chunks at all alignments, their outputs with gaps between, which stay as they were. */
async function run(
  gpu: Gpu<'cuda'>,
  stages: readonly GpuStage[],
  given: readonly Given[],
  direction: 'decode' | 'encode' = 'decode',
): Promise<{ status: number[]; outputs: Uint8Array[] }> {
  let [srcEnd, dstEnd] = [0, 0];
  const chunks = given.map(({ bytes, size, filterMask = 0 }, i): GpuChunk => {
    const place = { srcOffset: srcEnd + (i % 5), srcSize: bytes.length, dstOffset: dstEnd + (i % 3), dstSize: size };
    srcEnd = place.srcOffset + bytes.length + 7;
    dstEnd = place.dstOffset + size + 5;
    return { ...place, filterMask };
  });
  const pipeline = await gpu.prepare(stages);
  const [src, dst] = [await gpu.allocate(srcEnd), await gpu.allocate(dstEnd)];
  const staging = await gpu.staging(srcEnd);
  given.forEach(({ bytes }, i) => {
    staging.bytes.set(bytes, chunks[i]?.srcOffset);
  });
  staging.send(src, 0, srcEnd);
  const { status, sizes } = await pipeline[direction]({ src, dst, chunks }).answers();
  const all = await gpu.read(dst);
  chunks.forEach(({ dstOffset, dstSize }, i) => {
    const gap = all.subarray(dstOffset + dstSize, chunks[i + 1]?.dstOffset ?? dstEnd);
    if (gap.some((byte) => byte !== 0xa5)) throw new Error(`chunk ${i} wrote behind its room`);
  });
  gpu.free(src);
  gpu.free(dst);
  const outputs = chunks.map(({ dstOffset }, i) => all.subarray(dstOffset, dstOffset + (sizes[i] ?? 0)));
  return { status: [...status], outputs };
}

it('says why there is no GPU', async () => {
  const library = '/nonexistent/libcuda.so';
  const found = await findCuda({ library });
  expect(found).toEqual({ kind: 'cuda', reason: expect.stringMatching(/^no NVIDIA GPU can be used here \(.*\)$/) });
  await expect(openCuda({ library })).rejects.toMatchObject({ code: 'H5Z_NO_GPU' });
});

const PIPELINE: readonly (readonly [string, readonly number[]])[] = [
  ['shuffle', [4]],
  ['lz4', [65536]],
  ['fletcher32', []],
];
const stagesOf = () => PIPELINE.map(([name, cdValues]) => stage(name, cdValues));
const FRAME = 40_000;
const frames = Array.from({ length: 16 }, (_, k) =>
  Uint8Array.from({ length: FRAME }, (_, i) => (i % 4 === 0 ? (i * (k + 1)) >> 6 : 0)),
);

/** A frame through the pipeline as the codecs make it, but for the stages of `mask`. */
async function stored(data: Uint8Array | undefined, mask: number): Promise<Uint8Array> {
  let bytes = data ?? new Uint8Array();
  for (const [i, [name, cdValues]] of PIPELINE.entries())
    if (((mask >> i) & 1) === 0) bytes = (await codecOf(name)).encode(bytes, { cdValues });
  return bytes;
}

/** What the filter's own code makes of a chunk: the hash of its bytes, or its error. A chunk of another size is corrupt. */
function byCodec(codec: Codec, { bytes, size }: Given, cdValues: readonly number[]): string | number {
  const out = Buffer.alloc(size);
  try {
    return codec.decodeInto(bytes, out, { cdValues }) === size ? sha256(out) : H5Z_E_CORRUPT;
  } catch (error) {
    if (!isH5zError(error)) throw error;
    return FILTER_ERRORS[error.code as keyof typeof FILTER_ERRORS].value;
  }
}

describe.skipIf(noKernels !== undefined).each(['late', 'copies'])(
  `on a stand-in driver (${noKernels ?? 'order %s'})`,
  (order) => {
    let library: string;
    let gpu: Gpu<'cuda'>;
    const driver = (...settings: string[]): string => freshDriver(library, [`order ${order}`, ...settings]);
    beforeAll(async () => {
      library = standInCuda(NAMES);
      gpu = await openCuda({ library: driver() });
    });

    it('describes the device', async () => {
      expect(gpu.device).toEqual({
        kind: 'cuda',
        name: 'Stand-in 0',
        software: false,
        maxBufferBytes: 1 << 30,
        memoryBytes: 1 << 30,
        driver: 'CUDA 12.4',
      });
      const { reason } = await findCuda({ library: driver('devices 0') });
      expect(reason).toContain('has no GPU');
    });

    describe.each(NAMES)('%s', (name) => {
      const golden = goldenOf(name);
      /** Sound chunks may be left to the CPU, which the caller learns by H5Z_E_UNSUPPORTED. */
      const partial = descriptionOf(name).variants.cuda?.mode === 'partial';

      it('decodes the golden chunks and leaves their neighbours alone', async () => {
        const groups = new Map<string, Golden[]>();
        for (const one of golden) groups.set(one.cdValues.join(), [...(groups.get(one.cdValues.join()) ?? []), one]);
        let refused = 0;
        for (const cases of groups.values()) {
          const cdValues = cases[0]?.cdValues ?? [];
          const given = cases.map((one) => ({ bytes: bytesOf(name, one), size: one.size }));
          const { status, outputs } = await run(gpu, [stage(name, cdValues)], given);
          cases.forEach((one, i) => {
            const found = status[i] === 0 ? sha256(outputs[i] as Uint8Array) : status[i];
            if (found === H5Z_E_UNSUPPORTED) refused++;
            else expect(found, one.name).toBe(one.sha256);
          });
        }
        expect(refused).toBeLessThan(partial ? golden.length * 0.6 : 1);
      });

      it('answers for each damaged chunk as the filter does, and decodes the sound ones between them', async () => {
        const codec = await codecOf(name);
        const random = numbers(descriptionOf(name).id + 1);
        let errors = 0;
        const small = golden.filter(({ size }) => size > 0 && size <= 20_000);
        for (const sound of small.filter(
          ({ cdValues }) => kernelNeeds(descriptionOf(name), cdValues).refusal === undefined,
        )) {
          const given = Array.from({ length: 8 }, (_, i) => {
            const copy = bytesOf(name, sound);
            const times = i % 2 === 1 || copy.length === 0 ? 0 : i + 1;
            for (let k = 0; k < times; k++) copy[random(copy.length)] = random(256);
            return { bytes: i % 4 === 2 ? copy.subarray(0, random(copy.length + 1)) : copy, size: sound.size };
          });
          const { status, outputs } = await run(gpu, [stage(name, sound.cdValues)], given);
          given.forEach((one, i) => {
            const found = status[i] === 0 ? sha256(outputs[i] as Uint8Array) : status[i];
            if (partial && status[i] === H5Z_E_UNSUPPORTED) return;
            const right = i % 2 === 1 ? sound.sha256 : byCodec(codec, one, sound.cdValues);
            expect(found, `${sound.name}, chunk ${i}`).toBe(right);
            if (status[i] === H5Z_E_CORRUPT) errors++;
          });
        }
        expect(errors).toBeGreaterThan(10);
      });
    });

    it('undoes whole pipelines, each chunk by its own filter mask', async () => {
      const masks = frames.map((_, k) => k % 8);
      const given = await Promise.all(
        frames.map(async (frame, k) => ({ bytes: await stored(frame, k % 8), size: FRAME, filterMask: k % 8 })),
      );
      const { status, outputs } = await run(gpu, stagesOf(), given);
      expect(status).toEqual(masks.map(() => 0));
      expect(outputs.map(sha256)).toEqual(frames.map(sha256));

      // All skipped: bytes are copied, and a chunk of another size is corrupt, or too large.
      const skipped = [frames[0], frames[1]?.subarray(1), frames[2]].map((frame, k) => ({
        bytes: frame as Uint8Array,
        size: FRAME - (k === 2 ? 1 : 0),
        filterMask: 7,
      }));
      const copied = await run(gpu, stagesOf(), skipped);
      expect(copied.status).toEqual([0, H5Z_E_CORRUPT, H5Z_E_OUTPUT]);
      expect(sha256(copied.outputs[0] as Uint8Array)).toBe(sha256(frames[0] as Uint8Array));
    });

    it('encodes what decodes to the same bytes, and says what cannot encode', async () => {
      const stages = [stage('shuffle', [4], (size) => size)];
      const shuffle = await codecOf('shuffle');
      const given = frames.map((bytes) => ({ bytes, size: FRAME }));
      const { outputs } = await run(gpu, stages, given, 'encode');
      expect(outputs.map(sha256)).toEqual(frames.map((frame) => sha256(shuffle.encode(frame, { cdValues: [4] }))));
      const pipeline = await gpu.prepare([stage('blosc', [])]);
      expect(pipeline.canEncode).toBe(false);
      const memory = await gpu.allocate(16);
      expect(() => pipeline.encode({ src: memory, dst: memory, chunks: [] })).toThrow(
        expect.objectContaining({ code: 'H5Z_READ_ONLY' }),
      );
    });

    it('encodes whole pipelines with LZ4, which the codecs decode, and says what has no room', async () => {
      const pipelines: (readonly (readonly [string, readonly number[]])[])[] = [
        [
          ['shuffle', [4]],
          ['lz4', [8192]],
          ['fletcher32', []],
        ],
        [['bitshuffle', [0, 4, 4, 0, 2]]],
        [['bitshuffle', [0, 4, 4, 4096, 2]]],
      ];
      const some = frames.slice(0, 5);
      for (const all of pipelines) {
        const codecs = await Promise.all(
          all.map(async ([name, cdValues]) => ({ codec: await codecOf(name), cdValues })),
        );
        const stages = all.map(([name, cdValues], i) =>
          stage(name, cdValues, (size) => codecs[i]?.codec.encodeBound(size, cdValues) ?? size),
        );
        const bound = stages.reduce((size, { bound: of }) => of(size), FRAME);
        // Every second one is masked: the first stage is skipped. The last one has no room.
        const given = some.map((bytes, k) => ({
          bytes,
          size: k === some.length - 1 ? 100 : bound,
          filterMask: all.length > 1 ? k % 2 : 0,
        }));
        const { status, outputs } = await run(gpu, stages, given, 'encode');
        expect(status).toEqual(some.map((_, k) => (k === some.length - 1 ? H5Z_E_OUTPUT : 0)));
        outputs.slice(0, -1).forEach((bytes, k) => {
          const kept = codecs.slice(given[k]?.filterMask === 1 ? 1 : 0).reverse();
          const back = kept.reduce<Uint8Array>(
            (data, { codec, cdValues }) => codec.decode(data, { cdValues, size: FRAME }),
            bytes,
          );
          expect(bytes.length, `chunk ${k}`).toBeLessThan(FRAME);
          expect(sha256(back), `chunk ${k}`).toBe(sha256(some[k] as Uint8Array));
        });
      }
    });

    it('has an answer for chunks outside of the buffers, and for no chunks', async () => {
      const pipeline = await gpu.prepare([stage('shuffle', [4])]);
      const [src, dst] = [await gpu.allocate(1000), await gpu.allocate(1000)];
      const chunk = { srcOffset: 0, srcSize: 500, dstOffset: 0, dstSize: 500 };
      const chunks = [
        chunk,
        { ...chunk, srcOffset: 501 },
        { ...chunk, dstOffset: 501 },
        { ...chunk, srcOffset: -1 },
        { ...chunk, dstSize: Number.NaN },
        { ...chunk, dstOffset: 500 },
      ];
      const { status, sizes } = await pipeline.decode({ src, dst, chunks }).answers();
      expect([...status]).toEqual([0, H5Z_E_PARAM, H5Z_E_PARAM, H5Z_E_PARAM, H5Z_E_PARAM, 0]);
      expect([...sizes]).toEqual([500, 0, 0, 0, 0, 500]);
      const none = await pipeline.decode({ src, dst, chunks: [] }).answers();
      expect([none.status.length, none.sizes.length]).toEqual([0, 0]);
      pipeline.close();
      expect(() => pipeline.decode({ src, dst, chunks })).toThrow(expect.objectContaining({ code: 'H5Z_PARAMETER' }));
    });

    it('sends, decodes and reads many batches at once through two sets of buffers, and mixes none up', async () => {
      const pipeline = await gpu.prepare(stagesOf());
      const sets = [0, 1].map(async () => ({ src: await gpu.allocate(100_000), dst: await gpu.allocate(2 * FRAME) }));
      const answers: Promise<GpuAnswers>[] = [];
      const reads: Promise<Uint8Array>[] = [];
      for (const [k, frame] of frames.entries()) {
        const { src, dst } = await (sets[k % 2] as (typeof sets)[0]);
        const bytes = await stored(frame, 0);
        const staging = await gpu.staging(100_000);
        staging.bytes.set(bytes);
        staging.send(src, 0, bytes.length);
        staging.bytes.subarray(bytes.length).fill(0xff);
        const chunks = [{ srcOffset: 0, srcSize: bytes.length, dstOffset: FRAME, dstSize: FRAME }];
        answers.push(pipeline.decode({ src, dst, chunks }).answers());
        reads.push(gpu.read(dst, FRAME, FRAME));
      }
      expect((await Promise.all(answers)).map(({ status }) => status[0])).toEqual(frames.map(() => 0));
      expect((await Promise.all(reads)).map(sha256)).toEqual(frames.map(sha256));
    });

    it('reads more than one piece at a time', async () => {
      const bytes = Buffer.alloc((20 << 20) + 12_345);
      for (let i = 0; i < bytes.length; i += 4096) bytes.writeUInt32LE(i, Math.min(i, bytes.length - 4));
      const memory = await gpu.allocate(bytes.length);
      const staging = await gpu.staging(bytes.length);
      staging.bytes.set(bytes);
      staging.send(memory, 0, bytes.length);
      expect(sha256(await gpu.read(memory))).toBe(sha256(bytes));
      expect(sha256(await gpu.read(memory, 5_000_001, 11_000_000))).toBe(sha256(bytes.subarray(5_000_001, 16_000_001)));
      gpu.free(memory);
    });

    describe('a decoder', () => {
      const nameOf = (id: number) => ALL.find((name) => descriptionOf(name).id === id) ?? `no filter ${id}`;

      /** A registry of the filter folders: their codecs, and their kernels where there are some. */
      const registry = {
        get: (id: number) => {
          const name = nameOf(id);
          const text = NAMES.includes(name)
            ? readFileSync(join(FILTERS, name, 'gpu', `${name}.ptx`), 'utf8')
            : undefined;
          const kernels = async () => ({ kind: 'cuda', mode: 'full', reason: 'serial', encode: false, text });
          return { id, canonicalName: name, kernels, description: descriptionOf(name) };
        },
        pipeline: async (stages: readonly PipelineStage[]) =>
          createPipeline(
            await Promise.all(stages.map(async (one) => ({ ...one, codec: await codecOf(nameOf(one.id)) }))),
          ),
      } as unknown as DecoderOptions['registry'];
      const stagesFor = (...all: readonly (readonly [string, readonly number[]])[]): PipelineStage[] =>
        all.map(([name, cdValues]) => ({ id: descriptionOf(name).id, cdValues }));

      it.each([
        ['cuda', stagesFor(['shuffle', [4]], ['lz4', [65536]])],
        ['hybrid', stagesFor(['shuffle', [4]], ['zstd', [3]])],
        ['hybrid', stagesFor(['fletcher32', []], ['shuffle', [4]], ['deflate', [6]])],
        ['hybrid', stagesFor(['bitshuffle', [0, 4, 4, 0, 3, 3]], ['fletcher32', []])],
        [
          'hybrid',
          stagesFor(['fletcher32', []], ['bitshuffle', [0, 4, 1, 0, 3, 3]], ['shuffle', [4]], ['fletcher32', []]),
        ],
        ['cpu', stagesFor(['bitshuffle', [0, 4, 4, 0, 3, 3]], ['lz4', [65536]])],
        ['cpu', stagesFor(['zstd', [3]], ['fletcher32', []])],
        ['cpu', stagesFor(['lz4', [65536]], ['zstd', [3]])],
      ] as const)('takes the path %s for pipeline %#, with damaged chunks and masks', async (path, stages) => {
        const decoder = await createDecoder(gpu, { registry, stages, size: FRAME });
        expect([decoder.path, decoder.reason === undefined]).toEqual([path, path === 'cuda']);
        const pipeline = await registry.pipeline(stages);
        const chunks = frames.map((frame, k): StoredChunk => {
          // The last stage skipped, the first one skipped, none.
          const filterMask = k % 3 === 0 ? 0 : k % 3 === 1 ? 1 << (stages.length - 1) : 1;
          const kept = pipeline.stages.filter((_, i) => ((filterMask >>> i) & 1) === 0);
          const data = createPipeline(kept).encode(frame).data;
          return { data: k === 6 ? data.subarray(0, data.length >> 1) : data, filterMask };
        });
        const into = await gpu.allocate(frames.length * decoder.stride);
        const answers = await decoder.decode(chunks, { into, batchBytes: 3000 });
        const all = await gpu.read(into);
        expect(answers.map(({ index, offset }) => [index, offset])).toEqual(frames.map((_, k) => [k, k * FRAME]));
        answers.forEach(({ error, offset, size, path: by }, k) => {
          expect([error?.code, by], `chunk ${k}`).toEqual([k === 6 ? 'H5Z_E_CORRUPT' : undefined, path]);
          const right = k === 6 ? new Uint8Array(FRAME) : (frames[k] as Uint8Array);
          expect(sha256(all.subarray(offset, offset + size)), `chunk ${k}`).toBe(sha256(right));
        });
        decoder.close();
        gpu.free(into);
      });

      it('says which filter it would take to cut a stage in two', async () => {
        const without = { ...registry, get: (id: number) => (id === 32015 ? undefined : registry.get(id)) };
        const stages = stagesFor(['bitshuffle', [0, 4, 4, 0, 3, 3]]);
        const { path, reason } = await createDecoder(gpu, { registry: without, stages, size: FRAME });
        expect([path, reason]).toEqual([
          'cpu',
          expect.stringMatching(/^bitshuffle \(32008\): .*with filter 32015 in the/),
        ]);
      });
    });

    it('writes no chunk over another one or over what is read, and touches nothing that was freed', async () => {
      const pipeline = await gpu.prepare([stage('shuffle', [4])]);
      const [src, dst] = [await gpu.allocate(4000), await gpu.allocate(4000)];
      const chunk = (srcOffset: number, dstOffset: number) => ({ srcOffset, srcSize: 1000, dstOffset, dstSize: 1000 });
      const chunks = [chunk(0, 1000), chunk(1000, 2500), chunk(2000, 1999), chunk(2000, 3000), chunk(3000, 0)];
      const { status } = await pipeline.decode({ src, dst, chunks }).answers();
      expect([...status]).toEqual([0, 0, H5Z_E_PARAM, H5Z_E_PARAM, 0]);

      const parameter = (message: RegExp) =>
        expect.objectContaining({ code: 'H5Z_PARAMETER', message: expect.stringMatching(message) });
      for (const one of [pipeline, await gpu.prepare([])]) {
        const run = (from: typeof src, to: typeof src, ...some: GpuChunk[]) =>
          one.decode({ src: from, dst: to, chunks: some });
        expect(() => run(src, src, chunk(0, 999))).toThrow(parameter(/over what is read/));
        expect([...(await run(src, src, chunk(0, 1000)).answers()).status]).toEqual([0]);
        const gone = await gpu.allocate(4000);
        gpu.free(gone);
        expect(() => run(gone, dst, chunk(0, 0))).toThrow(parameter(/^src was freed/));
        expect(() => run(src, gone, chunk(0, 0))).toThrow(parameter(/^dst was freed/));
      }
      const staging = await gpu.staging(10);
      staging.send(src, 0, 10);
      expect(() => staging.send(src, 0, 10)).toThrow(parameter(/sent before/));
      for (const one of [src, dst]) gpu.free(one);
    });

    it('puts results between the chunks of the same memory, but over none of them', async () => {
      const chunk = (srcOffset: number, dstOffset: number) => ({ srcOffset, srcSize: 1000, dstOffset, dstSize: 1000 });
      for (const stages of [[stage('shuffle', [4])], []]) {
        const pipeline = await gpu.prepare(stages);
        const [one, other] = [await gpu.allocate(6000), await gpu.allocate(6000)];
        const staging = await gpu.staging(6000);
        staging.bytes.forEach((_, i, bytes) => {
          bytes[i] = (i * i) >> 5;
        });
        staging.send(one, 0, 6000);
        const run = (to: typeof one, ...chunks: GpuChunk[]) => pipeline.decode({ src: one, dst: to, chunks });
        const between = [chunk(4000, 5000), chunk(0, 1500), chunk(500, 2500)];
        for (const at of [3500, 4999]) {
          const over = expect.objectContaining({ message: expect.stringMatching(/over what is read/) });
          expect(() => run(one, chunk(4000, at), ...between.slice(1))).toThrow(over);
        }
        const elsewhere = await run(other, ...between).answers();
        const here = await run(one, ...between).answers();
        expect([[...elsewhere.status], [...here.status]]).toEqual([
          [0, 0, 0],
          [0, 0, 0],
        ]);
        const [expected, all] = [await gpu.read(other), await gpu.read(one)];
        for (const { dstOffset } of between) {
          const part = (bytes: Uint8Array) => sha256(bytes.subarray(dstOffset, dstOffset + 1000));
          expect(part(all)).toBe(part(expected));
        }
        const nothing = { srcOffset: 1700, srcSize: 0, dstOffset: 1500, dstSize: 1000 };
        expect([...(await run(one, nothing).answers()).status]).toEqual([H5Z_E_CORRUPT]);
        for (const memory of [one, other]) gpu.free(memory);
      }
    });

    it("works on a caller's stream, on which their own work follows", async () => {
      const file = driver();
      const [device, other] = [openDevice({ library: file }), await openCuda({ library: file })];
      const queue = device.stream();
      const pipeline = await other.prepare([stage('fletcher32', [])]);
      const one = goldenOf('fletcher32').find(({ size }) => size > 1000) as Golden;
      const bytes = bytesOf('fletcher32', one);
      const [src, dst] = [await other.allocate(bytes.length), await other.allocate(one.size)];
      const staging = await other.staging(bytes.length);
      staging.bytes.set(bytes);
      staging.send(src, 0, bytes.length, queue);
      const chunks = [{ srcOffset: 0, srcSize: bytes.length, dstOffset: 0, dstSize: one.size }];
      const work = pipeline.decode({ src, dst, queue, chunks });
      const pinned = device.allocatePinned(one.size);
      queue.download(dst, 0, pinned, 0, one.size);
      await queue.done();
      expect(sha256(pinned.data)).toBe(one.sha256);
      expect([...(await work.answers()).status]).toEqual([0]);
      other.close();
    });

    it('is out of memory where the device is, and goes on', async () => {
      const small = await openCuda({ library: driver('memory 300000') });
      const memory = { code: 'H5Z_E_MEMORY' };
      await expect(small.allocate(400_000)).rejects.toMatchObject(memory);
      await expect(small.staging(400_000)).rejects.toMatchObject(memory);
      const pipeline = await small.prepare(stagesOf());
      const [src, dst] = [await small.allocate(100_000), await small.allocate(100_000)];
      const chunk = { srcOffset: 0, srcSize: 90_000, dstOffset: 0, dstSize: 90_000 };
      expect(() => pipeline.decode({ src, dst, chunks: [chunk] })).toThrow(expect.objectContaining(memory));
      const less = { ...chunk, srcSize: 100, dstSize: 1000 };
      const answers = await pipeline.decode({ src, dst, chunks: [less] }).answers();
      expect([...answers.status]).toEqual([H5Z_E_CORRUPT]);
      // What batches keep for batches to come makes room for who asks.
      expect((await small.allocate(95_000)).bytes).toBe(95_000);
    });

    it('says that the device was lost, and of no chunk that it was decoded', async () => {
      const doomed = await openCuda({ library: driver('fault 719 1') });
      const pipeline = await doomed.prepare([stage('shuffle', [4])]);
      const [src, dst] = [await doomed.allocate(1000), await doomed.allocate(1000)];
      const chunks = [{ srcOffset: 0, srcSize: 1000, dstOffset: 0, dstSize: 1000 }];
      const gone = { code: 'H5Z_NO_GPU' };
      expect((await pipeline.decode({ src, dst, chunks }).answers()).status[0]).toBe(0);
      await expect(pipeline.decode({ src, dst, chunks }).answers()).rejects.toMatchObject(gone);
      expect(await doomed.lost).toContain('CUDA_ERROR_LAUNCH_FAILED');
      await expect(doomed.allocate(10)).rejects.toMatchObject(gone);
      await expect(doomed.staging(10)).rejects.toMatchObject(gone);
      await expect(doomed.read(dst)).rejects.toMatchObject(gone);
      expect(() => pipeline.decode({ src, dst, chunks })).toThrow(expect.objectContaining(gone));
      doomed.close();
    });

    it('refuses kernels that the driver does not take', async () => {
      const text = { ...stage('shuffle', [4]), kernels: 'no PTX' };
      await expect(gpu.prepare([text])).rejects.toMatchObject({
        code: 'H5Z_NO_GPU',
        message: expect.stringMatching(/^Stand-in 0 does not take the kernels of shuffle \(.*the text is no PTX 6\.0/),
      });
      expect((await gpu.prepare([stage('shuffle', [4])])).canEncode).toBe(true);
    });

    it('gives back what it took', async () => {
      const file = driver();
      const [device, mine] = [openDevice({ library: file }), await openCuda({ library: file })];
      const { status } = await run(mine, stagesOf(), [{ bytes: await stored(frames[3], 0), size: FRAME }]);
      expect(status).toEqual([0]);
      expect(device.memory().free).toBeLessThan(1 << 30);
      mine.close();
      await expect.poll(() => device.memory().free).toBe(1 << 30);
    });
  },
);
