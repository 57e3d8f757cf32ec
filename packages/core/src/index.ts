// @h5z/core: what every h5z package shares: types, errors, parameters, the WebAssembly loader, pipelines.
// Imports nothing of the project and nothing of Node; @h5z/core/node has what needs a file system.

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
export type * from './types.js';
