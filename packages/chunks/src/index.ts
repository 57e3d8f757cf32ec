// @h5z/chunks: where the raw chunks of an HDF5 file lie, and what they decode to.
//
//   const file = await open('scan.h5');
//   for (const dataset of file.datasets) console.log(dataset.path, dataset.info.filters, dataset.chunks.length);
//   const values = canonicalBytes(await readAll(file.datasets[0], registry), file.datasets[0].info.type);

export { canonicalBytes, canonicalSize, halfFloats } from './canonical.js';
export type { ChunkList } from './chunk-list.js';
export { describeDataset } from './describe.js';
export {
  type Dataset,
  type FileInput,
  type H5File,
  MAX_CHUNK_BYTES,
  type OpenOptions,
  open,
  type Problem,
} from './file.js';
export { HOST_FILTERS, hostCodec } from './host.js';
export type { HttpOptions } from './http.js';
export type { WasmInput } from './module.js';
export {
  type Box,
  loadPipeline,
  type PipelineFinder,
  type ReadOptions,
  readAll,
  readBands,
  type Touched,
  touchedBy,
} from './read.js';
export {
  type DatasetValues,
  type NumberArray,
  type ReadDatasetOptions,
  readBox,
  readDataset,
  type Slice,
} from './read-dataset.js';
export {
  type ChosenStage,
  type Codecs,
  type Repacked,
  type RepackOptions,
  type RepackProgress,
  type RepackReport,
  repack,
} from './repack.js';
export type { RemoteOptions } from './session.js';
export { bytesSource, fileSource, type Source } from './source.js';
export { type DecodeSparseOptions, decodeSparse, type SparseValues } from './sparse.js';
export type * from './types.js';
export { type ChunkToWrite, type WriteOptions, type Written, writeChunks } from './write.js';
