// What the `h5z` command does, for programs that would rather call it.

export { type BenchOptions, type BenchReport, bench, benchInWords } from './bench.js';
export { candidatesOf, type ErrorBound, isStepped } from './candidates.js';
export { type Decoded, type DecodeRequest, decodeChunk, type GivenStage } from './decode.js';
export {
  type Digest,
  type DigestOptions,
  digestDataset,
  digestFile,
  type UsedFilter,
  VARIANTS,
  type Via,
} from './digest.js';
export { type Exported, type ExportRequest, exportDataset, sliceOf } from './export.js';
export { type DatasetFacts, type FilterFacts, type Inspection, inspectFile, type Need } from './inspect.js';
export type { Candidate, Checked, Measurement, Refusal } from './measure.js';
export { frontOf, plotSvg } from './plot.js';
export { type PluginFolder, type PluginPath, pluginPath } from './plugin-path.js';
export {
  Comparison,
  type MembersQuality,
  numbersOf,
  type Part,
  PartsComparison,
  partsOf,
  type Quality,
} from './quality.js';
export { stagesOf, wordsOf } from './repack.js';
export type { Failure } from './terminal.js';
export { type Goal, goalOf, type Tuned, type TuneOptions, type TuneReport, tune } from './tune.js';
export { type Located, type LocateOptions, locate, locateAll, type WhichAnswer, which, whichAll } from './which.js';
