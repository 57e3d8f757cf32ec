// Every failure of h5z is an H5zError: a code for programs, one sentence for people that ends with what to do.
//
//   try { codec.decode(chunk, { size }) }
//   catch (error) { if (isH5zError(error) && error.code === 'H5Z_E_CORRUPT') ... }
//
// The first table is packages/abi/include/h5z/filter.h's H5Z_ERRORS (a test holds them equal); the second is
// what can only go wrong on the JavaScript side.

interface ErrorKind {
  /** What happened, as filter.h says it. */
  readonly text: string;
  /** What to do about it: the end of the message when the thrower knows nothing better. */
  readonly remedy: string;
}

/** Codes that a filter itself returns, by name, with the number it returns. */
export const FILTER_ERRORS = {
  H5Z_E_PARAM: {
    value: -1,
    text: 'bad parameter: the cd_values are not what this filter accepts',
    remedy: "compare the cd_values with the parameters on the filter's page",
  },
  H5Z_E_CORRUPT: {
    value: -2,
    text: 'corrupt input: the chunk is truncated or damaged',
    remedy: 'read the chunk again, or restore the file from a copy',
  },
  H5Z_E_OUTPUT: {
    value: -3,
    text: 'output too small: the result needs more room than the caller gave',
    remedy: "pass the chunk's full size in bytes as `size`, or a larger output array",
  },
  H5Z_E_UNSUPPORTED: {
    value: -4,
    text: 'unsupported feature: valid input that this build of the filter does not handle',
    remedy: 'try a newer version of the filter package',
  },
  H5Z_E_VERSION: {
    value: -5,
    text: 'unsupported format version: written by a newer or unknown revision of the filter',
    remedy: 'update the filter package',
  },
  H5Z_E_MEMORY: {
    value: -6,
    text: 'out of memory',
    remedy: 'use smaller chunks, or fewer at once',
  },
  H5Z_E_NOT_APPLICABLE: {
    value: -7,
    text: 'not applicable: this filter cannot encode this datatype, chunk shape or chunk',
    remedy: 'store the chunk unfiltered (set its filter mask bit), or choose another filter for this dataset',
  },
  H5Z_E_INTERNAL: {
    value: -8,
    text: 'internal error: the codec failed in a way that should not happen; please report it',
    remedy: 'report it with the chunk that caused it',
  },
} as const satisfies Record<string, ErrorKind & { value: number }>;

/** Codes that only JavaScript raises. */
export const HOST_ERRORS = {
  H5Z_MISSING_FILTER: {
    text: 'the filter is known but its package is not installed or not registered here',
    remedy: 'install the package and pass it to createRegistry',
  },
  H5Z_UNKNOWN_FILTER: {
    text: 'no filter with this ID or name is registered with The HDF Group or known to this registry',
    remedy: 'pass the package that implements it to createRegistry',
  },
  H5Z_NO_PLATFORM: {
    text: 'the package has no native library for this platform',
    remedy: 'load the WebAssembly variant',
  },
  H5Z_NATIVE_LOAD: {
    text: 'the native library would not load',
    remedy: 'reinstall the package, or set H5Z_PREFER=wasm',
  },
  H5Z_INTEGRITY: {
    text: 'a file of the package is not the one its manifest describes',
    remedy: 'reinstall the package',
  },
  H5Z_NO_GPU: {
    text: 'no GPU can be used here, or the one in use was lost',
    remedy: 'decode with the ordinary codecs',
  },
  H5Z_PARAMETER: {
    text: 'an option is missing, unknown or out of range',
    remedy: 'correct the option',
  },
  H5Z_WASM_LOAD: {
    text: 'the WebAssembly module could not be loaded',
    remedy: 'check that the file is served whole and that the page may compile WebAssembly (CSP wasm-unsafe-eval)',
  },
  H5Z_READ_ONLY: {
    text: 'this variant can only decode',
    remedy: 'load the filter with { encode: true }',
  },
  H5Z_FILE: {
    text: 'a file or an object in it cannot be opened',
    remedy: 'check the path',
  },
  H5Z_PYTHON: {
    text: 'there is no Python environment that can take the package',
    remedy: 'name the Python of the environment that HSDS runs in',
  },
  H5Z_HSDS_VERSION: {
    text: 'HSDS is absent, of a version that is not supported, or edited',
    remedy: 'install a supported version',
  },
} as const satisfies Record<string, ErrorKind>;

export type FilterErrorCode = keyof typeof FILTER_ERRORS;
export type HostErrorCode = keyof typeof HOST_ERRORS;
export type ErrorCode = FilterErrorCode | HostErrorCode;

export interface H5zErrorOptions {
  /** What to do; the code's usual remedy when absent. */
  readonly remedy?: string;
  readonly cause?: unknown;
  /** Facts for programs: filter ID, stage, hashes, ranges. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The one error class. `message` is a sentence that ends with what to do. */
export class H5zError extends Error {
  override readonly name = 'H5zError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, problem: string, options: H5zErrorOptions = {}) {
    const remedy = options.remedy ?? kindOf(code).remedy;
    super(`${problem}; ${remedy}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** True for H5zErrors, also those of another copy of @h5z/core in the same program. */
export function isH5zError(value: unknown): value is H5zError {
  return value instanceof Error && value.name === 'H5zError' && 'code' in value && typeof value.code === 'string';
}

const BY_VALUE: ReadonlyMap<number, FilterErrorCode> = new Map(
  Object.entries(FILTER_ERRORS).map(([code, kind]) => [kind.value, code as FilterErrorCode]),
);

/** Numbers for which a filter may have more to say of the chunk: filter.h's `explain`. */
const EXPLAINED: ReadonlySet<number> = new Set([
  FILTER_ERRORS.H5Z_E_VERSION.value,
  FILTER_ERRORS.H5Z_E_UNSUPPORTED.value,
]);

/**
 * The error for a negative number that a filter returned. `doing` names the work and the filter ("zstd (32015) decode");
 * `explain` asks the filter what it adds of its own. A number that filter.h does not know is an internal error.
 */
export function filterError(
  value: number,
  doing: string,
  options: H5zErrorOptions & { readonly explain?: () => string } = {},
): H5zError {
  const code = BY_VALUE.get(value) ?? 'H5Z_E_INTERNAL';
  const explanation = EXPLAINED.has(value) ? options.explain?.() : undefined;
  const why = explanation ? ` (${explanation})` : '';
  return new H5zError(code, `${doing}: ${FILTER_ERRORS[code].text}${why}`, {
    ...options,
    details: { ...options.details, value },
  });
}

function kindOf(code: ErrorCode): ErrorKind {
  return code in FILTER_ERRORS ? FILTER_ERRORS[code as FilterErrorCode] : HOST_ERRORS[code as HostErrorCode];
}
