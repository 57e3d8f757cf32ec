// What CUDA and WebGPU have in common, as programs see it and as each of them implements it: devices, device memory, batches
// of chunks, answers. One batch is many chunks, one launch per stage and one status per chunk; nothing comes back to the
// host but the statuses. Sizes and offsets are in bytes unless a comment says otherwise.

import type { CdValues, ErrorCode } from '@h5z/core';

export type GpuKind = 'cuda' | 'webgpu';

/** Memory of a CUDA device. `bytes` from `pointer` on belong to whoever made it, and stay there until the work has ended. */
export interface CudaMemory {
  /** CUdeviceptr. */
  readonly pointer: bigint;
  readonly bytes: number;
}

/** A CUDA stream, the caller's: CUstream as a number, 0n is the default stream. */
export interface CudaStream {
  readonly stream: bigint;
}

/** The memory and the queue of each kind. */
export interface GpuTypes {
  readonly cuda: { readonly memory: CudaMemory; readonly queue: CudaStream };
  readonly webgpu: { readonly memory: GPUBuffer; readonly queue: GPUCommandEncoder };
}
export type GpuMemory<K extends GpuKind> = GpuTypes[K]['memory'];
export type GpuQueue<K extends GpuKind> = GpuTypes[K]['queue'];

/** A device that was found. */
export interface GpuDevice {
  readonly kind: GpuKind;
  /** Such as "NVIDIA H200"; browsers say less: "nvidia ampere". */
  readonly name: string;
  /** A processor that stands in for a GPU (SwiftShader): the same results, slower than the codecs. */
  readonly software: boolean;
  /** The largest buffer that a batch may read or write. */
  readonly maxBufferBytes: number;
  /** All memory of the device; undefined where nobody says (WebGPU). */
  readonly memoryBytes?: number;
  /** Version of the driver, such as "550.54"; undefined where nobody says. */
  readonly driver?: string;
}

/** What was looked for: `device` where one can be used, else the `reason` why none can. */
export type GpuFound =
  | { readonly kind: GpuKind; readonly device: GpuDevice; readonly reason?: undefined }
  | { readonly kind: GpuKind; readonly device?: undefined; readonly reason: string };

/** One stage of a dataset's pipeline, with what a device needs to run it. */
export interface GpuStage {
  /** HDF5 filter ID. */
  readonly id: number;
  /** Canonical name: kernels are h5z_NAME_decode, or h5z_NAME_decode_0, _1 ... launched one behind the other; _encode likewise. */
  readonly name: string;
  /** *Stored* cd_values. */
  readonly cdValues: CdValues;
  /** The kernels: PTX or WGSL, as the filter's package carries it, checked against its manifest. */
  readonly kernels: string;
  /** The kernels of a direction ask for scratch as large as what they write; without it chunks get H5Z_E_MEMORY. */
  readonly scratch: { readonly decode: boolean; readonly encode: boolean };
  /** Lanes of a group on CUDA. `kernelNeeds` says this and `scratch` for a filter's cd_values. */
  readonly lanes: number;
  /** Most bytes that an encoder of this stage makes of `size` bytes: how much room is made between stages. */
  readonly bound: (size: number) => number;
}

/** Where one chunk lies in the batch's buffers. */
export interface GpuChunk {
  /** Its stored bytes in `src`; any alignment. */
  readonly srcOffset: number;
  readonly srcSize: number;
  /**
   * Where its decoded bytes go in `dst`: a multiple of {@link Gpu.alignment}. Chunks must not overlap, and with WebGPU
   * what lies between `dstSize` and the next multiple of the alignment is the chunk's too (its content unspecified).
   */
  readonly dstOffset: number;
  /** Decoding: the chunk's full size, which it must have. Encoding: the most bytes there is room for. */
  readonly dstSize: number;
  /** Bit i set: stage i was skipped for this chunk. Default 0. Encoding: stages to skip. */
  readonly filterMask?: number;
}

/**
 * Many chunks of one pipeline. Buffers stay the caller's and must not be changed before the work has ended.
 * WebGPU: `src` and `dst` have usage STORAGE and are not the same buffer. CUDA: what is read and what is written do not overlap.
 */
export interface GpuBatch<K extends GpuKind> {
  readonly src: GpuMemory<K>;
  readonly dst: GpuMemory<K>;
  readonly chunks: readonly GpuChunk[];
  /**
   * CUDA: the stream that the work is put on. WebGPU: an encoder that the work is recorded into, which the caller submits.
   * Default: a stream of the backend's own; a submission of its own.
   */
  readonly queue?: GpuQueue<K>;
}

/** What became of a batch, in the order of its chunks. */
export interface GpuAnswers {
  /** 0, or the negative number of h5z/filter.h: H5Z_E_CORRUPT is -2. `statusCode` gives the name. */
  readonly status: Int32Array;
  /** Bytes written; 0 where the status is not 0. */
  readonly sizes: Float64Array;
}

/** A batch under way. */
export interface GpuWork {
  /**
   * Waits until the device has done it. With an encoder of the caller's own, call it after that was submitted. Rejects with
   * H5Z_NO_GPU when the device was lost: then nothing is known of any chunk. May be called more than once.
   */
  answers(): Promise<GpuAnswers>;
}

/**
 * A pipeline ready to run on a device. `decode` and `encode` return at once and never throw for what chunks contain: a
 * damaged chunk, or one whose offsets lie outside of the buffers or in the room of one that begins before it (H5Z_E_PARAM), has
 * its own status and leaves the others right. They throw H5Z_E_MEMORY where the device has no room for what lies between stages, H5Z_PARAMETER for
 * arguments that are no batch, and H5Z_READ_ONLY for encoding with a stage that only decodes.
 */
export interface GpuPipeline<K extends GpuKind> {
  readonly stages: readonly GpuStage[];
  /** All stages can encode on this device. */
  readonly canEncode: boolean;
  decode(batch: GpuBatch<K>): GpuWork;
  encode(batch: GpuBatch<K>): GpuWork;
  /** Gives back what it holds on the device, after the work under way. */
  close(): void;
}

/**
 * Host memory on its way to the device: pinned (CUDA) or mapped (WebGPU), so that the device fetches it by itself while the
 * next one is filled.
 */
export interface GpuStaging<K extends GpuKind> {
  /** Fill it from the start; then call `send`, once. Not to be touched after that. */
  readonly bytes: Uint8Array;
  /** Puts the first `length` bytes on their way to `to`, from byte `offset` on (both rounded up to multiples of 4). */
  send(to: GpuMemory<K>, offset: number, length: number, queue?: GpuQueue<K>): void;
}

/** A device in use: what cuda.ts and webgpu.ts implement. */
export interface Gpu<K extends GpuKind = GpuKind> {
  readonly kind: K;
  readonly device: GpuDevice;
  /** What a chunk's `dstOffset` must be a multiple of. */
  readonly alignment: number;
  /**
   * Compiles the kernels. Throws H5Z_NO_GPU with the compiler's words when the device does not take them. What only some
   * cd_values or chunks lack on the GPU (mode `partial` in the manifest) is no error here: chunks get H5Z_E_UNSUPPORTED.
   * `direction`: the only one that is wanted; WebGPU compiles no more than that. Default: both.
   */
  prepare(stages: readonly GpuStage[], direction?: 'decode' | 'encode'): Promise<GpuPipeline<K>>;
  /** Uninitialised memory that batches can read and write and that `read` can read. Throws H5Z_E_MEMORY. */
  allocate(bytes: number): Promise<GpuMemory<K>>;
  free(memory: GpuMemory<K>): void;
  /** A staging buffer of at least `bytes`, one that has been sent and has arrived where there is one. Throws H5Z_E_MEMORY. */
  staging(bytes: number): Promise<GpuStaging<K>>;
  /** Copies to the host what the device has written when all work before this call has ended. */
  read(memory: GpuMemory<K>, offset?: number, bytes?: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Resolves with the reason when the device can no longer be used; never rejects. */
  readonly lost: Promise<string>;
  /** Gives back what the backend made; a device that the caller passed in stays the caller's. */
  close(): void;
}

/**
 * Who decoded: the GPU; the ordinary codec, whose result was then copied to the device; or `hybrid`, the codecs the last stages
 * and the GPU those before.
 */
export type DecodePath = GpuKind | 'cpu' | 'hybrid';

/** What became of one chunk on its way to the device. */
export interface DeviceChunk {
  /** Its place in the order given. */
  readonly index: number;
  /** Where its bytes lie in the buffer, `size` of them, zeros after an error. */
  readonly offset: number;
  readonly size: number;
  readonly path: DecodePath;
  /** The error's code and sentence; undefined: decoded. */
  readonly error?: { readonly code: ErrorCode; readonly message: string };
}
