// Turns h5wasm's silence into errors. Without this a dataset whose filter is missing, or whose chunk is damaged, reads as
// whatever lay in memory: h5wasm ignores libhdf5's status. Every read and write of its high-level classes goes through the
// few functions wrapped here.

import { FILTER_ERRORS, type FilterErrorCode, H5zError } from '@h5z/core';
import { type H5Filter, type H5Module, LibraryError, withErrorStack } from './h5wasm-module.js';

/** What the guard needs to know to explain a failure. */
export interface GuardContext {
  /** True when libhdf5 itself has the filter. */
  isHost(id: number): boolean;
  /** True when h5z has installed a side module for it. */
  isInstalled(id: number): boolean;
  /** The error that names a missing filter and what to do. */
  missing(filters: readonly { readonly id: number; readonly name?: string }[], where: string): H5zError;
}

/** Wraps the module's reading and writing functions in place. Call once per module. */
export function guard(module: H5Module, context: GuardContext): void {
  const { get_dataset_data, set_dataset_data, create_dataset, get_region_data } = module;

  module.get_dataset_data = (loc, path, ...rest) => {
    const { status, stack, cause } = attempt(module, () => get_dataset_data.call(module, loc, path, ...rest));
    // A stack with a good status is a step that h5wasm tried in vain and did without, such as ordering an enum.
    if (status >= 0) return status;
    throw failure(context, module.get_dataset_filters(loc, path), `cannot read dataset ${path}`, stack, cause);
  };

  module.get_region_data = (loc, reference, address) => {
    const { status, stack, cause } = attempt(module, () => get_region_data.call(module, loc, reference, address));
    if (status >= 0) return status;
    const path = module.get_referenced_name(loc, reference, false);
    throw failure(
      context,
      module.get_dataset_filters(loc, path),
      `cannot read a region of dataset ${path}`,
      stack,
      cause,
    );
  };

  module.set_dataset_data = (loc, path, ...rest) => {
    const { status, stack, cause } = attempt(module, () => set_dataset_data.call(module, loc, path, ...rest));
    if (status >= 0) return status;
    throw failure(context, module.get_dataset_filters(loc, path), `cannot write dataset ${path}`, stack, cause);
  };

  module.create_dataset = (loc, path, address, ...description) => {
    const { status, stack, cause } = attempt(module, () =>
      create_dataset.call(module, loc, path, address, ...description),
    );
    // The status is that of the last clean-up call, so only the error stack tells of a failure.
    if (status >= 0 && stack === '') return status;
    const filter = compressionOf(description);
    const filters = filter === 0 ? [] : [{ id: filter, name: '', cd_values: [] }];
    throw failure(context, filters, `cannot create dataset ${path.replace(/^\/+/, '/')}`, stack, cause);
  };
}

/** The filter ID among what h5wasm's create_dataset is given: in one object since 0.9, before that the eighth value. */
function compressionOf(description: readonly unknown[]): number {
  const [first] = description;
  const id = typeof first === 'object' && first !== null && 'compression' in first ? first.compression : description[7];
  return typeof id === 'number' ? id : 0;
}

/** Status -1 stands for something thrown: a trap, or libhdf5's stack when h5wasm's throwing handler is switched on. */
function attempt(module: H5Module, work: () => number): { status: number; stack: string; cause?: unknown } {
  try {
    const { result, stack } = withErrorStack(module, work);
    return { status: result, stack };
  } catch (error) {
    if (!(error instanceof LibraryError)) throw error;
    return { status: -1, stack: error.stackOfLibrary, cause: error.cause };
  }
}

const FILTER_CODES = Object.keys(FILTER_ERRORS) as FilterErrorCode[];

/** libhdf5's words for a filter that it has not and cannot find. */
const NOT_THERE = /is not registered|was not located|not available/;

function failure(
  context: GuardContext,
  filters: readonly H5Filter[],
  doing: string,
  stack: string,
  cause: unknown,
): H5zError {
  const details = { filters: filters.map((f) => f.id), errorStack: stack };
  const options = { details, ...(cause === undefined ? {} : { cause }) };
  if (cause instanceof WebAssembly.RuntimeError) {
    return new H5zError('H5Z_E_INTERNAL', `${doing}: h5wasm trapped (${cause.message})`, {
      ...options,
      remedy: 'load h5wasm anew, its memory cannot be trusted any more, and report the file',
    });
  }
  const absent = filters.filter((f) => !context.isHost(f.id) && !context.isInstalled(f.id));
  if (absent.length > 0 && (NOT_THERE.test(stack) || stack === '')) return context.missing(absent, doing);
  if (NOT_THERE.test(stack)) {
    return new H5zError('H5Z_WASM_LOAD', `${doing}: libhdf5 could not load the side module: ${reasonsOf(stack)}`, {
      ...options,
      remedy: 'check that the content security policy has wasm-unsafe-eval; in a page, try h5wasm in a worker',
    });
  }
  // h5z's side modules push a sentence of their own, which ends with the error's text, on libhdf5's stack.
  for (const sentence of messages(stack)) {
    const code = FILTER_CODES.find((one) => sentence.endsWith(FILTER_ERRORS[one].text));
    if (code) return new H5zError(code, `${doing}: ${sentence}`, options);
  }
  if (/filter returned failure during read/.test(stack)) {
    return new H5zError(
      'H5Z_E_CORRUPT',
      `${doing}: a chunk is truncated or damaged, or its cd_values are wrong (filters ${pipeline(filters)})`,
      options,
    );
  }
  if (/'(can apply|set local)' callback/.test(stack)) {
    return new H5zError(
      'H5Z_E_NOT_APPLICABLE',
      `${doing}: filter ${pipeline(filters)} refuses this dataset or its options`,
      {
        ...options,
        remedy: "compare the options, the datatype and the chunk shape with the filter's page",
      },
    );
  }
  return new H5zError('H5Z_E_CORRUPT', `${doing}: ${reasonsOf(stack)}`, options);
}

function pipeline(filters: readonly H5Filter[]): string {
  return filters.map((f) => f.id).join(', ');
}

/**
 * The messages of the first error stack printed, outermost first: lines such as
 * `  #003: .../H5Z.c line 1489 in H5Z_pipeline(): text`. Later stacks are h5wasm's further steps, failing in its wake.
 */
function messages(stack: string): string[] {
  const first = stack.split('HDF5-DIAG').find((part) => part.includes('#000')) ?? '';
  return [...first.matchAll(/^\s*#\d+: .*? line \d+ in [^:]*: (.*)$/gm)].map((m) => m[1] ?? '');
}

function reasonsOf(stack: string): string {
  const last = messages(stack).at(-1);
  return last ? `libhdf5 says "${last}"` : 'libhdf5 gave no reason';
}
