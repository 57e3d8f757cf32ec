// @h5z/native/cuda: NVIDIA's driver from JavaScript: memory, streams and kernels of a GPU, without a CUDA toolkit.
//
//   const device = openCuda();                                   // H5zError H5Z_NO_GPU where there is none
//   const module = await device.load(ptx);
//   const stream = device.stream(), pinned = device.allocatePinned(1 << 20), memory = device.allocate(1 << 20);
//   stream.upload(pinned, 0, memory, 0, 1 << 20);
//   stream.launch(module.kernel('h5z_shuffle_decode'), { groups: 64, lanes: 128, parameters });
//   await stream.done();
//
// @h5z/gpu decodes batches with it. Work on a stream runs in order, and after the call that asked for it: memory and events
// must not be freed, and pinned bytes not touched, before it is done. What is dropped without `free` or `close` is given
// back when JavaScript collects it, which may be late: it does not know how large that is.

import { H5zError } from '@h5z/core';
import { addon } from './addon.js';
import type { CudaAddon, CudaDeviceInfo, CudaFailure, CudaHandle, CudaPlace } from './cuda-addon.js';

export type { CudaDeviceInfo } from './cuda-addon.js';

const OUT_OF_MEMORY = 2;

export interface CudaOptions {
  /** Path of the driver's library. Default: libcuda.so.1, or nvcuda.dll, where the system's loader finds it. */
  readonly library?: string;
  /** Index of the device. Default: 0. */
  readonly device?: number;
}

export interface CudaDriver {
  /** 12040 is CUDA 12.4: the newest that the driver knows. */
  readonly version: number;
  readonly devices: readonly CudaDeviceInfo[];
}

function isFailure(result: unknown): result is CudaFailure {
  return typeof result === 'object' && result !== null && 'why' in result;
}

function failed({ call, code, why }: CudaFailure, doing: string): H5zError {
  const details = { call, code };
  const problem = `${doing}: ${call === '' ? why : `${call} said ${why}`}`;
  if (code !== OUT_OF_MEMORY) return new H5zError('H5Z_NO_GPU', problem, { details });
  const remedy = 'free memory of the GPU, or decode fewer chunks at once';
  return new H5zError('H5Z_E_MEMORY', `${doing}: out of memory of the GPU (${call})`, { details, remedy });
}

/** What it is for, or an H5zError. */
function good<T>(result: T | CudaFailure, doing: string): T {
  if (isFailure(result)) throw failed(result, doing);
  return result;
}

function wrong(problem: string, remedy: string): H5zError {
  return new H5zError('H5Z_PARAMETER', problem, { remedy });
}

function checkSize(bytes: number, doing: string): void {
  if (!Number.isSafeInteger(bytes) || bytes < 1)
    throw wrong(`${doing}: ${bytes} bytes`, 'pass a whole number from 1 on');
}

function open(cuda: CudaAddon, library: string | undefined) {
  const found = cuda.open(library);
  if (!isFailure(found)) return found;
  const { call, code, why } = found;
  const reason = call === '' ? why : `${call} said ${why}`;
  throw new H5zError('H5Z_NO_GPU', `no NVIDIA GPU can be used here (${reason})`, {
    details: { call, code, ...(library === undefined ? {} : { library }) },
  });
}

/**
 * The driver's version and its devices. Throws H5zError: `H5Z_NO_GPU` when there is no driver, no device, or one that is
 * too old, with the reason; and as `loadNative` when this package has no addon for the platform.
 */
export function findCuda(options: Pick<CudaOptions, 'library'> = {}): CudaDriver {
  const { version, devices } = open(addon().cuda, options.library);
  return { version, devices };
}

/** Opens a device. Throws as `findCuda`, and `H5Z_PARAMETER` when there is no device of that index. */
export function openCuda(options: CudaOptions = {}): CudaDevice {
  const { cuda } = addon();
  const { driver, version, devices } = open(cuda, options.library);
  const index = options.device ?? 0;
  const info = devices[index];
  if (info === undefined) {
    throw wrong(`there is no device ${index} among ${devices.length}`, `pass 0 to ${devices.length - 1}`);
  }
  return new CudaDevice(cuda, good(cuda.context(driver, index), `open ${info.name}`), info, version);
}

/** Bytes of the device that somebody owns: this package's CudaMemory, or a caller's own. */
export interface DeviceBytes {
  /** CUdeviceptr. */
  readonly pointer: bigint;
  readonly bytes: number;
}

/** A resource of the driver. Closed ones throw H5Z_PARAMETER when they are used. */
abstract class Owned {
  protected readonly cuda: CudaAddon;
  #handle: CudaHandle | undefined;

  /** By CudaDevice. */
  constructor(cuda: CudaAddon, handle: CudaHandle) {
    this.cuda = cuda;
    this.#handle = handle;
  }

  get closed(): boolean {
    return this.#handle === undefined;
  }

  /** For other classes of this module. */
  static handleOf(owned: Owned): CudaHandle {
    if (owned.#handle !== undefined) return owned.#handle;
    throw wrong(`the ${owned.what} was given back before`, 'use it first');
  }

  protected abstract readonly what: string;

  /** `keep`: somebody else has it too, and it ends with the last of them. */
  protected end(keep = false): void {
    if (this.#handle !== undefined && !keep) this.cuda.close(this.#handle);
    this.#handle = undefined;
  }
}

const handleOf = (owned: Owned): CudaHandle => Owned.handleOf(owned);

/** DLDataTypeCode of dlpack.h. */
const DLPACK_CODES = { int: 0, uint: 1, float: 2, complex: 5, bool: 6 } as const;

export interface TensorOptions {
  /** Elements in every dimension; rows are contiguous. */
  readonly shape: readonly number[];
  readonly type: keyof typeof DLPACK_CODES;
  /** Bits of an element. */
  readonly bits: 8 | 16 | 32 | 64 | 128;
  /** Of the first element, in bytes. Default: 0. */
  readonly offset?: number;
}

/** A view of device memory for other software in this process, as DLPack passes tensors on. */
export interface CudaTensor {
  /**
   * Address of a DLManagedTensor (https://dmlc.github.io/dlpack), for one taker, who calls its deleter once when done; from any
   * thread. The memory stays until every taker has, even if `free` was called.
   */
  take(): bigint;
}

/** Memory of the device, not cleared. */
export class CudaMemory extends Owned implements DeviceBytes {
  protected readonly what = 'memory';
  readonly pointer: bigint;
  readonly bytes: number;
  readonly #device: number;
  #lent = false;

  /** By CudaDevice.allocate. */
  constructor(cuda: CudaAddon, { handle, address }: CudaPlace, bytes: number, device: number) {
    super(cuda, handle);
    this.pointer = address;
    this.bytes = bytes;
    this.#device = device;
  }

  /** The memory as a tensor. Wait for what writes it before others read it: DLPack knows nothing of streams. */
  dlpack({ shape, type, bits, offset = 0 }: TensorOptions): CudaTensor {
    const memory = handleOf(this);
    const elements = shape.reduce((product, n) => product * n, 1);
    if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0)) throw wrong(`shape ${shape}`, 'pass whole numbers');
    within(this, offset, (elements * bits) / 8, 'dlpack');
    const tensor = this.cuda.dlpack(memory, this.#device, offset, DLPACK_CODES[type], bits, Float64Array.from(shape));
    this.#lent = true;
    return { take: () => this.cuda.take(tensor) };
  }

  /** Waits for the device first. Once is enough. What `dlpack` gave away stays until nobody has it any more. */
  free(): void {
    this.end(this.#lent);
  }
}

/** Memory of the host that the device reads and writes by itself, beside what the processor does. */
export class CudaPinned extends Owned {
  protected readonly what = 'pinned memory';
  readonly pointer: bigint;
  #data: Uint8Array<ArrayBuffer>;

  /** By CudaDevice.allocatePinned. */
  constructor(cuda: CudaAddon, { handle, address, buffer }: CudaPlace & { readonly buffer: ArrayBuffer }) {
    super(cuda, handle);
    this.pointer = address;
    this.#data = new Uint8Array(buffer);
  }

  /** Empty once it is freed. */
  get data(): Uint8Array<ArrayBuffer> {
    return this.#data;
  }

  /** Waits for the device first; views of `data` become empty. */
  free(): void {
    if (this.closed) return;
    good(this.cuda.unpin(handleOf(this), this.#data.buffer), 'free pinned memory');
    this.end();
  }
}

export interface Launch {
  /** Groups of lanes (CUDA: blocks of threads). */
  readonly groups: number;
  /** Lanes of a group: 1 to 1024. */
  readonly lanes: number;
  /** The kernel's parameters, laid out as C does. Copied before the call returns. */
  readonly parameters: Uint8Array;
}

/** A kernel of a module. */
export interface CudaKernel {
  readonly name: string;
  readonly module: CudaModule;
  /** CUfunction. */
  readonly function: bigint;
}

export class CudaModule extends Owned {
  protected readonly what = 'module';
  readonly #kernels = new Map<string, CudaKernel>();

  /** Throws H5zError `H5Z_NO_GPU` when there is no kernel of that name. */
  kernel(name: string): CudaKernel {
    const known = this.#kernels.get(name);
    if (known !== undefined) return known;
    const found = good(this.cuda.kernel(handleOf(this), name), `look up the kernel ${name}`);
    const kernel: CudaKernel = { name, module: this, function: found };
    this.#kernels.set(name, kernel);
    return kernel;
  }

  /** Waits for the device first. */
  close(): void {
    this.end();
  }
}

/** A mark on a stream. */
export class CudaEvent extends Owned {
  protected readonly what = 'event';
  #waiting = 0;

  /** Settles when the device has come by the mark; rejects with what went wrong on the device until then. */
  async done(): Promise<void> {
    const handle = handleOf(this);
    this.#waiting++;
    try {
      good(await this.cuda.done(handle), 'wait for the GPU');
    } finally {
      this.#waiting--;
    }
  }

  /** Milliseconds of the device's clock between two events that are done, both made with `timed`. */
  millisecondsSince(earlier: CudaEvent): number {
    return good(this.cuda.elapsed(handleOf(earlier), handleOf(this)), 'read the time between two events');
  }

  /** Whoever waits goes on to the end: the driver's event ends with the last of them. */
  close(): void {
    this.end(this.#waiting > 0);
  }
}

/** `from` and how many bytes there, held to both sides. */
function within(owner: { readonly bytes: number }, at: number, length: number, what: string): void {
  if (!Number.isSafeInteger(at) || !Number.isSafeInteger(length) || at < 0 || length < 0 || at > owner.bytes - length) {
    throw wrong(`${what}: ${length} bytes at ${at} of ${owner.bytes}`, 'stay inside');
  }
}

/** Work for the device, in order. Streams know nothing of each other but by events. */
export class CudaStream extends Owned {
  protected readonly what = 'stream';
  /** CUstream: for callers who launch kernels of their own. */
  readonly stream: bigint;
  readonly #device: CudaDevice;

  /** By CudaDevice.stream. */
  constructor(cuda: CudaAddon, { handle, address }: CudaPlace, device: CudaDevice) {
    super(cuda, handle);
    this.stream = address;
    this.#device = device;
  }

  /** `length` bytes of `from`, from `at` on, to `toAt` of `to`. */
  upload(from: CudaPinned, at: number, to: DeviceBytes, toAt: number, length: number): void {
    this.#move('upload', to, toAt, { pointer: from.pointer, bytes: from.data.length }, at, length, [from, to]);
  }

  download(from: DeviceBytes, at: number, to: CudaPinned, toAt: number, length: number): void {
    this.#move('download', { pointer: to.pointer, bytes: to.data.length }, toAt, from, at, length, [from, to]);
  }

  /** On the device. */
  copy(from: DeviceBytes, at: number, to: DeviceBytes, toAt: number, length: number): void {
    this.#move('copy', to, toAt, from, at, length, [from, to]);
  }

  fill(to: DeviceBytes, at: number, byte: number, length: number): void {
    live([to]);
    within(to, at, length, 'fill');
    if (length > 0) good(this.cuda.fill(handleOf(this), to.pointer + BigInt(at), byte, length), 'fill');
  }

  launch(kernel: CudaKernel, { groups, lanes, parameters }: Launch): void {
    live([kernel.module]);
    if (!(groups >= 1 && groups < 2 ** 31 && lanes >= 1 && lanes <= 1024)) {
      throw wrong(
        `${kernel.name}: ${groups} groups of ${lanes} lanes`,
        'launch 1 to 2^31 - 1 groups of 1 to 1024 lanes',
      );
    }
    const bytes = new Uint8Array(parameters.buffer, parameters.byteOffset, parameters.byteLength);
    good(this.cuda.launch(handleOf(this), kernel.function, groups, lanes, bytes), `launch ${kernel.name}`);
  }

  record(event: CudaEvent): void {
    good(this.cuda.record(handleOf(event), handleOf(this)), 'record an event');
  }

  /** What is asked for from here on waits until the device has come by `event`. */
  wait(event: CudaEvent): void {
    good(this.cuda.wait(handleOf(this), handleOf(event)), 'wait for an event');
  }

  /** Settles when all that was asked for so far is done; rejects with what went wrong on the device. */
  async done(): Promise<void> {
    const event = this.#device.event();
    try {
      this.record(event);
      await event.done();
    } finally {
      event.close();
    }
  }

  /** Work under way goes on to its end. */
  close(): void {
    this.end();
  }

  #move(
    way: 'upload' | 'download' | 'copy',
    to: DeviceBytes,
    toAt: number,
    from: DeviceBytes,
    at: number,
    length: number,
    owners: readonly unknown[],
  ): void {
    live(owners);
    within(from, at, length, `${way} from`);
    within(to, toAt, length, `${way} to`);
    if (length > 0) {
      good(this.cuda[way](handleOf(this), to.pointer + BigInt(toAt), from.pointer + BigInt(at), length), way);
    }
  }
}

/** Throws for what was given back. */
function live(owners: readonly unknown[]): void {
  for (const owner of owners) if (owner instanceof Owned) handleOf(owner);
}

export class CudaDevice {
  readonly #cuda: CudaAddon;
  readonly #context: CudaHandle;
  readonly info: CudaDeviceInfo;
  /** As CudaDriver.version. */
  readonly driverVersion: number;

  /** By openCuda. */
  constructor(cuda: CudaAddon, context: CudaHandle, info: CudaDeviceInfo, driverVersion: number) {
    this.#cuda = cuda;
    this.#context = context;
    this.info = info;
    this.driverVersion = driverVersion;
  }

  /** Bytes of its memory that nobody has, and all. */
  memory(): { readonly free: number; readonly all: number } {
    const [free, all] = good(this.#cuda.memory(this.#context), 'ask for free memory');
    return { free, all };
  }

  /** Throws H5zError `H5Z_E_MEMORY` when the device has no such room left. */
  allocate(bytes: number): CudaMemory {
    checkSize(bytes, 'allocate');
    return new CudaMemory(
      this.#cuda,
      good(this.#cuda.allocate(this.#context, bytes), `allocate ${bytes} bytes`),
      bytes,
      this.info.index,
    );
  }

  /** Throws H5zError `H5Z_E_MEMORY`, or `H5Z_NO_GPU` where the JavaScript engine takes no memory from outside (Electron). */
  allocatePinned(bytes: number): CudaPinned {
    checkSize(bytes, 'allocatePinned');
    return new CudaPinned(this.#cuda, good(this.#cuda.pin(this.#context, bytes), `pin ${bytes} bytes`));
  }

  /** A new stream, or the caller's own whose CUstream is given; 0n is the default stream. */
  stream(borrowed?: bigint): CudaStream {
    return new CudaStream(this.#cuda, good(this.#cuda.stream(this.#context, borrowed), 'make a stream'), this);
  }

  event({ timed = false }: { readonly timed?: boolean } = {}): CudaEvent {
    return new CudaEvent(this.#cuda, good(this.#cuda.event(this.#context, timed), 'make an event'));
  }

  /** Compiles kernels for this device: text of PTX 6.0 for sm_70, as the filter packages carry it. */
  async load(ptx: string): Promise<CudaModule> {
    return new CudaModule(this.#cuda, good(await this.#cuda.load(this.#context, ptx), 'load kernels'));
  }
}
