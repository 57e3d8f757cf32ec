// What a call of a codec came to: bytes, or a refusal of the kind that filters may answer with. Anything else is a failure.

import { FILTER_ERRORS, isH5zError } from '../../packages/core/dist/index.js';

export type Outcome = { readonly bytes: Uint8Array } | { readonly code: string };

/** Runs `work`; a refusal must be an H5zError of the filter with a sentence, and never an internal error. */
export function outcome(work: () => Uint8Array | number, context: string): Outcome {
  try {
    const result = work();
    return { bytes: typeof result === 'number' ? new Uint8Array(0) : result };
  } catch (error) {
    if (!isH5zError(error)) throw new Error(`${context}: ${String(error)} is no H5zError`, { cause: error });
    if (!(error.code in FILTER_ERRORS) || error.code === 'H5Z_E_INTERNAL') {
      throw new Error(`${context}: ${error.code}: ${error.message}`, { cause: error });
    }
    if (!/^.{20,}; .{10,}$/.test(error.message))
      throw new Error(`${context}: "${error.message}" is no sentence with a remedy`);
    return { code: error.code };
  }
}

export const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
/** True for the codes by which a filter says that it is not for such data. */
export const isRefusal = (code: string) => ['H5Z_E_NOT_APPLICABLE', 'H5Z_E_PARAM', 'H5Z_E_UNSUPPORTED'].includes(code);
