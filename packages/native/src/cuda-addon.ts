// What src/addon/cuda.cc exports, typed. Addresses, on the device and of pinned memory, are bigints.

/** Which call of the driver went wrong; `code` is CUresult, 0 where `why` says it all. */
export interface CudaFailure {
  readonly call: string;
  readonly code: number;
  readonly why: string;
}

export interface CudaDeviceInfo {
  /** Among the devices that this process may use. */
  readonly index: number;
  readonly name: string;
  /** Bytes of its memory. */
  readonly bytes: number;
  readonly multiprocessors: number;
  /** Major and minor. */
  readonly computeCapability: readonly [number, number];
}

/** Opaque; the object that it stands for ends with `close` or when nobody has the handle any more. */
export interface CudaHandle {
  readonly cuda: unique symbol;
}

export interface CudaPlace {
  readonly handle: CudaHandle;
  readonly address: bigint;
}

export interface CudaAddon {
  open(
    path: string | undefined,
  ): { driver: CudaHandle; version: number; devices: readonly CudaDeviceInfo[] } | CudaFailure;
  context(driver: CudaHandle, ordinal: number): CudaHandle | CudaFailure;
  memory(context: CudaHandle): readonly [free: number, all: number] | CudaFailure;
  allocate(context: CudaHandle, bytes: number): CudaPlace | CudaFailure;
  pin(context: CudaHandle, bytes: number): (CudaPlace & { readonly buffer: ArrayBuffer }) | CudaFailure;
  /** With a CUstream: the caller's own, which is never destroyed here. */
  stream(context: CudaHandle, borrowed?: bigint): CudaPlace | CudaFailure;
  event(context: CudaHandle, timed: boolean): CudaHandle | CudaFailure;
  load(context: CudaHandle, ptx: string): Promise<CudaHandle | CudaFailure>;
  kernel(module: CudaHandle, name: string): bigint | CudaFailure;
  upload(stream: CudaHandle, to: bigint, from: bigint, bytes: number): CudaFailure | undefined;
  download(stream: CudaHandle, to: bigint, from: bigint, bytes: number): CudaFailure | undefined;
  copy(stream: CudaHandle, to: bigint, from: bigint, bytes: number): CudaFailure | undefined;
  fill(stream: CudaHandle, to: bigint, byte: number, bytes: number): CudaFailure | undefined;
  launch(
    stream: CudaHandle,
    kernel: bigint,
    groups: number,
    lanes: number,
    parameters: Uint8Array,
  ): CudaFailure | undefined;
  record(event: CudaHandle, stream: CudaHandle): CudaFailure | undefined;
  wait(stream: CudaHandle, event: CudaHandle): CudaFailure | undefined;
  elapsed(from: CudaHandle, to: CudaHandle): number | CudaFailure;
  done(event: CudaHandle): Promise<CudaFailure | undefined>;
  close(resource: CudaHandle): void;
  /** A DLPack tensor: `code` and `bits` are DLDataType's. */
  dlpack(
    memory: CudaHandle,
    device: number,
    offset: number,
    code: number,
    bits: number,
    shape: Float64Array,
  ): CudaHandle;
  /** Address of the DLManagedTensor; its deleter is to be called once for every call of this. */
  take(tensor: CudaHandle): bigint;
  unpin(resource: CudaHandle, buffer: ArrayBuffer): CudaFailure | undefined;
}
