// The CUDA half of the addon, from JavaScript to a kernel's bytes, with a driver whose GPU is this processor (abi/test/cuda.ts):
// nothing that it is given happens before somebody waits, and it can be told to fail at every call.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { isH5zError } from '@h5z/core';
import { currentPlatform } from '@h5z/core/node';
import { type CudaDevice, type CudaKernel, type CudaStream, findCuda, openCuda } from '@h5z/native/cuda';
import { beforeAll, describe, expect, it } from 'vitest';
import { compiler } from '../../abi/test/compile.ts';
import { freshDriver, setDriver, standInCuda } from '../../abi/test/cuda.ts';
import { noKernels } from '../../abi/test/gpu.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const SHUFFLE = fileURLToPath(new URL('../../../filters/shuffle/', import.meta.url));

interface Problem {
  readonly code: string;
  readonly message: string;
  readonly call?: unknown;
}

function problemOf(error: unknown): Problem {
  if (!isH5zError(error)) throw error;
  return { code: error.code, message: error.message, call: error.details?.call };
}

/** What `work` throws or rejects with. */
async function failure(work: () => unknown): Promise<Problem> {
  try {
    await work();
  } catch (error) {
    return problemOf(error);
  }
  throw new Error('nothing was thrown');
}

const hasDriver = ((): boolean => {
  try {
    return findCuda().devices.length > 0;
  } catch {
    return false;
  }
})();

it.skipIf(hasDriver)('says that there is no driver (not where there is one)', async () => {
  const { code, message } = await failure(() => findCuda());
  expect(code).toBe('H5Z_NO_GPU');
  expect(message).toMatch(/^no NVIDIA GPU can be used here \(.*(libcuda\.so\.1|nvcuda\.dll|module).*\); decode with/);
});

it('refuses a library that is no driver', async () => {
  const addon = join(here, '../prebuilds', currentPlatform(), 'h5z_native.node');
  const { code, message } = await failure(() => openCuda({ library: addon }));
  expect([code, message]).toEqual(['H5Z_NO_GPU', expect.stringContaining('it is no CUDA driver')]);
});

describe.skipIf(noKernels !== undefined)(`with a stand-in driver (${noKernels ?? 'compiled here'})`, () => {
  let library: string;
  let ptx: string;
  const golden = JSON.parse(readFileSync(join(SHUFFLE, 'golden/index.json'), 'utf8')) as {
    cases: { name: string; file: string; cdValues: number[]; size: number; sha256: string }[];
  };
  const sample =
    golden.cases.find(({ size }) => size >= 1000) ??
    (() => {
      throw new Error('no golden chunk');
    })();
  const chunk = readFileSync(join(SHUFFLE, 'golden', sample.file));

  beforeAll(() => {
    library = standInCuda(['shuffle']);
    ptx = readFileSync(join(SHUFFLE, 'gpu/shuffle.ptx'), 'utf8');
  });

  const device = (settings: readonly string[] = []): CudaDevice =>
    openCuda({ library: freshDriver(library, settings) });

  /** Decodes the golden chunk; the memory of the device is laid out as the tables at the end say. */
  function decode(gpu: CudaDevice, kernel: CudaKernel, stream: CudaStream): { answer: () => Buffer; free: () => void } {
    const at = {
      src: 0,
      dst: 65536,
      scratch: 131072,
      chunk: 196608,
      before: 196864,
      after: 197120,
      cd: 197376,
      end: 197632,
    };
    const memory = gpu.allocate(at.end);
    const pinned = gpu.allocatePinned(at.end);
    const bytes = Buffer.from(pinned.data.buffer);
    const put = (place: number, ...values: number[]): void => {
      values.forEach((value, i) => {
        bytes.writeBigUInt64LE(BigInt(value), place + 8 * i);
      });
    };
    chunk.copy(bytes, at.src);
    put(at.chunk, 0, 0, sample.size, 0);
    put(at.before, chunk.length, 0);
    put(at.after, 0, 0);
    sample.cdValues.forEach((value, i) => {
      bytes.writeUInt32LE(value, at.cd + 4 * i);
    });
    stream.upload(pinned, 0, memory, 0, at.end);
    const parameters = Buffer.alloc(96);
    const pointers = [at.src, 65536, at.dst, 65536, at.scratch, 65536, at.chunk, at.before, at.after, at.cd];
    pointers.forEach((value, i) => {
      const sizes = i === 1 || i === 3 || i === 5;
      parameters.writeBigUInt64LE(BigInt(value) + (sizes ? 0n : memory.pointer), 8 * i);
    });
    parameters.writeUInt32LE(sample.cdValues.length, 80);
    parameters.writeUInt32LE(1, 84);
    parameters.writeUInt32LE(2, 88);
    stream.launch(kernel, { groups: 2, lanes: 32, parameters });
    parameters.fill(0xff);
    stream.download(memory, 0, pinned, 0, at.end);
    return {
      answer: () => bytes.subarray(at.dst, at.dst + Number(bytes.readBigUInt64LE(at.after))),
      free: () => {
        memory.free();
        pinned.free();
      },
    };
  }
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

  it('tells what is there', () => {
    const settings = ['devices 2', 'memory 5000000'];
    const driver = freshDriver(library, settings);
    const found = findCuda({ library: driver });
    expect(found.version).toBe(12040);
    expect(found.devices[1]).toEqual({
      index: 1,
      name: 'Stand-in 1',
      bytes: 5_000_000,
      multiprocessors: 4,
      computeCapability: [7, 0],
    });
    const gpu = openCuda({ library: driver, device: 1 });
    expect(gpu.info.name).toBe('Stand-in 1');
    const memory = gpu.allocate(1_000_000);
    expect(gpu.memory()).toEqual({ free: 4_000_000, all: 5_000_000 });
    memory.free();
    expect(gpu.memory().free).toBe(5_000_000);
  });

  it.each(['late', 'copies'])('decodes a golden chunk, order %s', async (order) => {
    const gpu = device([`order ${order}`]);
    const module = await gpu.load(ptx);
    const stream = gpu.stream();
    const { answer, free } = decode(gpu, module.kernel('h5z_shuffle_decode'), stream);
    expect(answer().length, 'before anybody waited').toBe(0);
    await stream.done();
    expect(sha256(answer())).toBe(sample.sha256);
    free();
    stream.close();
    module.close();
  });

  it("works on a caller's own stream, and on the default one, which stay", async () => {
    const gpu = device();
    const kernel = (await gpu.load(ptx)).kernel('h5z_shuffle_decode');
    const own = gpu.stream();
    for (const handle of [own.stream, 0n]) {
      const stream = gpu.stream(handle);
      expect(stream.stream).toBe(handle);
      const { answer } = decode(gpu, kernel, stream);
      await stream.done();
      expect(sha256(answer())).toBe(sample.sha256);
      stream.close();
    }
    await own.done();
  });

  it('streams wait for each other by events, and time passes between them', async () => {
    const gpu = device();
    const [one, two] = [gpu.stream(), gpu.stream()];
    const [a, b] = [gpu.event({ timed: true }), gpu.event({ timed: true })];
    const memory = gpu.allocate(4);
    const pinned = gpu.allocatePinned(4);
    one.record(a);
    one.fill(memory, 0, 7, 4);
    one.record(b);
    two.wait(b);
    two.download(memory, 1, pinned, 0, 3);
    await two.done();
    expect([...pinned.data]).toEqual([7, 7, 7, 0xa5]);
    await b.done();
    expect(b.millisecondsSince(a)).toBeGreaterThanOrEqual(0);
    const copy = gpu.allocate(4);
    two.copy(memory, 0, copy, 2, 2);
    two.download(copy, 0, pinned, 0, 4);
    await two.done();
    expect([...pinned.data]).toEqual([0xa5, 0xa5, 7, 7]);
  });

  it('never reaches outside of what it was given, and not behind what was given back', async () => {
    const gpu = device();
    const stream = gpu.stream();
    const [memory, pinned] = [gpu.allocate(100), gpu.allocatePinned(50)];
    const kernel = (await gpu.load(ptx)).kernel('h5z_shuffle_decode');
    const parameters = new Uint8Array(96);
    for (const work of [
      () => stream.upload(pinned, 0, memory, 0, 51),
      () => stream.upload(pinned, 1, memory, 0, 50),
      () => stream.upload(pinned, 0, memory, 51, 50),
      () => stream.download(memory, -1, pinned, 0, 10),
      () => stream.download(memory, 0, pinned, 0.5, 10),
      () => stream.copy(memory, 0, memory, 1, 100),
      () => stream.fill(memory, 100, 0, 1),
      () => stream.fill(memory, Number.NaN, 0, 1),
      () => stream.launch(kernel, { groups: 0, lanes: 32, parameters }),
      () => stream.launch(kernel, { groups: 1, lanes: 1025, parameters }),
      () => gpu.allocate(0),
      () => gpu.allocate(1.5),
      () => gpu.allocatePinned(-1),
      () => memory.dlpack({ shape: [26], type: 'float', bits: 32 }),
      () => openCuda({ library, device: 3 }),
    ])
      expect((await failure(work)).code, String(work)).toBe('H5Z_PARAMETER');
    await stream.done();

    const view = pinned.data.subarray(3);
    pinned.free();
    pinned.free();
    memory.free();
    memory.free();
    expect([pinned.data.length, view.length]).toEqual([0, 0]);
    kernel.module.close();
    const event = gpu.event();
    event.close();
    for (const work of [
      () => stream.upload(pinned, 0, gpu.allocate(1), 0, 0),
      () => stream.fill(memory, 0, 0, 1),
      () => memory.dlpack({ shape: [1], type: 'uint', bits: 8 }),
      () => stream.launch(kernel, { groups: 1, lanes: 1, parameters }),
      () => kernel.module.kernel('h5z_shuffle_encode'),
      () => event.done(),
      () => stream.record(event),
    ]) {
      const { code, message } = await failure(work);
      expect([code, message], String(work)).toEqual([
        'H5Z_PARAMETER',
        expect.stringContaining('was given back before'),
      ]);
    }
  });

  it.each([
    ['no device', ['devices 0'], 'CUDA_ERROR_NO_DEVICE|has no GPU'],
    ['a driver that is too old', ['version 8000'], 'the driver is for CUDA 8.0, and 9.0 is the oldest'],
    ['cuInit', ['fail cuInit 100'], 'cuInit said CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected'],
    ['an error that the driver has no name for', ['fail cuInit 803'], 'cuInit said error 803'],
    ['cuDriverGetVersion', ['fail cuDriverGetVersion 1'], 'cuDriverGetVersion said'],
    ['cuDeviceGetCount', ['fail cuDeviceGetCount 3'], 'cuDeviceGetCount said'],
    ['cuDeviceGet', ['fail cuDeviceGet 101'], 'cuDeviceGet said'],
    ['cuDeviceGetName', ['fail cuDeviceGetName 101'], 'cuDeviceGetName said'],
    ['cuDeviceTotalMem_v2', ['fail cuDeviceTotalMem_v2 101'], 'cuDeviceTotalMem_v2 said'],
    ['cuDeviceGetAttribute', ['fail cuDeviceGetAttribute 101 2'], 'cuDeviceGetAttribute said'],
  ])('says why there is no GPU: %s', async (_, settings, words) => {
    const { code, message } = await failure(() => device(settings));
    expect([code, message]).toEqual(['H5Z_NO_GPU', expect.stringMatching(words)]);
  });

  it('asks again where there was none', async () => {
    const driver = freshDriver(library, ['devices 0']);
    expect((await failure(() => openCuda({ library: driver }))).code).toBe('H5Z_NO_GPU');
    setDriver(driver, []);
    expect(openCuda({ library: driver }).info.index).toBe(0);
  });

  it('says which function a driver lacks', async () => {
    const without = standInCuda(['shuffle'], 'cuStreamWaitEvent');
    const { code, message } = await failure(() => openCuda({ library: without }));
    expect([code, message]).toEqual(['H5Z_NO_GPU', expect.stringContaining('has no function cuStreamWaitEvent')]);
  });

  it.each([
    ['cuDevicePrimaryCtxRetain', (gpu: CudaDevice) => openCuda({ library: driverOf(gpu) })],
    ['cuCtxPushCurrent_v2', (gpu: CudaDevice) => gpu.stream()],
    ['cuMemGetInfo_v2', (gpu: CudaDevice) => gpu.memory()],
    ['cuMemAlloc_v2', (gpu: CudaDevice) => gpu.allocate(16)],
    ['cuMemHostAlloc', (gpu: CudaDevice) => gpu.allocatePinned(16)],
    ['cuStreamCreate', (gpu: CudaDevice) => gpu.stream()],
    ['cuEventCreate', (gpu: CudaDevice) => gpu.event()],
    ['cuEventRecord', (gpu: CudaDevice) => gpu.stream().done()],
    ['cuEventSynchronize', (gpu: CudaDevice) => gpu.stream().done()],
    ['cuEventElapsedTime', (gpu: CudaDevice) => gpu.event().millisecondsSince(gpu.event())],
    ['cuStreamWaitEvent', (gpu: CudaDevice) => gpu.stream().wait(gpu.event())],
    ['cuModuleLoadDataEx', (gpu: CudaDevice) => gpu.load(ptx)],
    ['cuModuleGetFunction', async (gpu: CudaDevice) => (await gpu.load(ptx)).kernel('h5z_shuffle_decode')],
    ['cuMemcpyHtoDAsync_v2', (gpu: CudaDevice) => gpu.stream().upload(gpu.allocatePinned(8), 0, gpu.allocate(8), 0, 8)],
    [
      'cuMemcpyDtoHAsync_v2',
      (gpu: CudaDevice) => gpu.stream().download(gpu.allocate(8), 0, gpu.allocatePinned(8), 0, 8),
    ],
    ['cuMemcpyDtoDAsync_v2', (gpu: CudaDevice) => gpu.stream().copy(gpu.allocate(8), 0, gpu.allocate(8), 0, 8)],
    ['cuMemsetD8Async', (gpu: CudaDevice) => gpu.stream().fill(gpu.allocate(8), 0, 0, 8)],
    [
      'cuLaunchKernel',
      async (gpu: CudaDevice) => decode(gpu, (await gpu.load(ptx)).kernel('h5z_shuffle_decode'), gpu.stream()),
    ],
  ] as [
    string,
    (gpu: CudaDevice) => unknown,
  ][])('has an error for a failure of %s, and goes on', async (call, work) => {
    for (const [result, code] of [
      [719, 'H5Z_NO_GPU'],
      [2, 'H5Z_E_MEMORY'],
    ] as const) {
      const driver = freshDriver(library);
      const gpu = openCuda({ library: driver });
      drivers.set(gpu, driver);
      setDriver(driver, [`fail ${call} ${result}`]);
      const found = await failure(() => work(gpu));
      expect(found).toMatchObject({ code, call, message: expect.stringContaining(call) });
      setDriver(driver, []);
      const stream = gpu.stream();
      const { answer } = decode(gpu, (await gpu.load(ptx)).kernel('h5z_shuffle_decode'), stream);
      await stream.done();
      expect(sha256(answer())).toBe(sample.sha256);
    }
  });
  const drivers = new WeakMap<CudaDevice, string>();
  const driverOf = (gpu: CudaDevice): string => drivers.get(gpu) ?? '';

  it('is out of memory where the device is', async () => {
    const gpu = device(['memory 1000']);
    const memory = gpu.allocate(600);
    const { code, message } = await failure(() => gpu.allocate(600));
    expect([code, message]).toEqual([
      'H5Z_E_MEMORY',
      expect.stringContaining('allocate 600 bytes: out of memory of the GPU'),
    ]);
    memory.free();
    gpu.allocate(600).free();
    expect((await failure(() => gpu.allocatePinned(2000))).code).toBe('H5Z_E_MEMORY');
  });

  it("says what the driver's compiler said, and which kernels there are not", async () => {
    const gpu = device();
    const { code, message } = await failure(() => gpu.load('not a kernel'));
    expect([code, message]).toEqual(['H5Z_NO_GPU', expect.stringContaining('the text is no PTX 6.0')]);
    const module = await gpu.load(ptx);
    expect(await failure(() => module.kernel('h5z_lz4_decode_0'))).toMatchObject({
      code: 'H5Z_NO_GPU',
      message: expect.stringContaining('h5z_lz4_decode_0'),
    });
  });

  it('a device that is lost is an error at whatever waits, and no crash at what is freed', async () => {
    const gpu = device(['fault 700']);
    const module = await gpu.load(ptx);
    const [stream, other] = [gpu.stream(), gpu.stream()];
    const { free } = decode(gpu, module.kernel('h5z_shuffle_decode'), stream);
    expect(await failure(() => stream.done())).toMatchObject({
      code: 'H5Z_NO_GPU',
      message: expect.stringContaining('CUDA_ERROR_ILLEGAL_ADDRESS'),
    });
    expect((await failure(() => other.done())).code).toBe('H5Z_NO_GPU');
    expect((await failure(() => gpu.allocate(8))).code).toBe('H5Z_NO_GPU');
    free();
    stream.close();
    module.close();
  });

  it('an event that is given back while somebody waits is waited for to the end', async () => {
    const gpu = device();
    const [stream, event] = [gpu.stream(), gpu.event()];
    stream.record(event);
    const waiting = event.done();
    event.close();
    await expect(waiting).resolves.toBeUndefined();
    expect(event.closed).toBe(true);
    expect((await failure(() => event.done())).code).toBe('H5Z_PARAMETER');
  });

  it('workers each open the device', async () => {
    const driver = freshDriver(library);
    const script = `
      import { openCuda } from '@h5z/native/cuda';
      import { parentPort, workerData } from 'node:worker_threads';
      const gpu = openCuda({ library: workerData });
      const [stream, memory, pinned] = [gpu.stream(), gpu.allocate(1000), gpu.allocatePinned(1000)];
      stream.fill(memory, 0, 9, 1000);
      stream.download(memory, 0, pinned, 0, 1000);
      stream.done().then(() => parentPort.postMessage(pinned.data.every((byte) => byte === 9)));`;
    const url = new URL(
      `data:text/javascript,${encodeURIComponent(script.replaceAll("'@h5z/native/cuda'", `'${import.meta.resolve('@h5z/native/cuda')}'`))}`,
    );
    const answers = Array.from({ length: 3 }, () => {
      const worker = new Worker(url, { workerData: driver });
      return new Promise((resolve, reject) => {
        worker.once('message', resolve).once('error', reject);
      });
    });
    expect(await Promise.all(answers)).toEqual([true, true, true]);
    // They are gone, and so is what they had.
    const gpu = openCuda({ library: driver });
    await expect.poll(() => gpu.memory().free).toBe(1 << 30);
  });

  it('what is dropped is collected; what a tensor has is kept', () => {
    const output = execFileSync(
      process.execPath,
      ['--expose-gc', join(here, 'collect-cuda.mjs'), freshDriver(library)],
      {
        encoding: 'utf8',
      },
    );
    expect(JSON.parse(output)).toEqual({ kept: 1000, missing: 0 });
  });

  it('gives memory to others as DLPack tensors', () => {
    const headers = dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json'));
    const file = join(mkdtempSync(join(tmpdir(), 'h5z-dlpack-')), 'dlpack.node');
    const flags = ['-shared', '-fPIC', '-Wall', '-Wextra', '-Werror', `-I${join(headers, 'include')}`];
    execFileSync(compiler as string, [...flags, join(here, 'dlpack.c'), '-o', file]);
    const taker = createRequire(import.meta.url)(file) as {
      read(tensor: bigint): bigint[];
      done(tensor: bigint): void;
    };

    const gpu = device(['devices 2']);
    const memory = gpu.allocate(4096);
    const tensor = memory.dlpack({ shape: [3, 5, 2], type: 'int', bits: 16, offset: 64 });
    const [first, second] = [tensor.take(), tensor.take()];
    expect(taker.read(first)).toEqual([memory.pointer, 2n, 0n, 3n, 0n, 16n, 1n, 64n, 3n, 5n, 2n]);
    memory.free();
    expect(gpu.memory().free).toBe((1 << 30) - 4096);
    taker.done(first);
    expect(taker.read(second)[0]).toBe(memory.pointer);
    taker.done(second);
  });
});
