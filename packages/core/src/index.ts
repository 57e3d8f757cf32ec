// @h5z/core: what every h5z package shares: types, errors, parameters, the WebAssembly loader, pipelines.
// Imports nothing of the project and nothing of Node; @h5z/core/node has what needs a file system.

export type {
  BatchOptions,
  ChunkFile,
  ChunkInput,
  ChunkInputs,
  ChunkOptions,
  ChunkRange,
  ChunkRunner,
  ChunkRuns,
  DataInput,
  DataInputs,
  DecodedChunk,
  DecodeIntoOptions,
  DecodeLayoutOptions,
  DecodeManyOptions,
  EncodeBatchOptions,
  EncodedChunk,
  EncodedEach,
  PlacedChunk,
  RunFailure,
  RunnerOpener,
  RunnerOptions,
  StoredChunk,
} from './batch.js';
export {
  type ErrorCode,
  FILTER_ERRORS,
  type FilterErrorCode,
  filterError,
  H5zError,
  type H5zErrorOptions,
  HOST_ERRORS,
  type HostErrorCode,
  isH5zError,
} from './errors.js';
export { defineFilter, type FilterAbout, type FilterFiles, type NativeHost, variantOrder } from './filter.js';
export { checkSha256, sha256, sriOf } from './integrity.js';
export { type ChunkPlace, fill, type Layout, type Output } from './layout.js';
export { parameterString, parseParameterString } from './parameter-string.js';
export {
  completeOptions,
  describeRange,
  fromStoredValues,
  MAX_CD_VALUES,
  toClientValues,
  toWords,
} from './params.js';
export { createPipeline, type HostedPipeline, type Pipeline, type PipelineHost } from './pipeline.js';
export { bytesOf, shortRead } from './staged.js';
export {
  encodedBound,
  FLAG_OPTIONAL,
  type LoadedStage,
  type PreparedStages,
  type Step,
  withStage,
  wrongSize,
} from './stages.js';
export type * from './types.js';
export { datasetStruct, loadWasm, readWasm, TYPE_CLASSES, type WasmOptions } from './wasm.js';
export { setWorkers, workers } from './worker-count.js';
