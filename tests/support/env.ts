// What `./farm test` tells the tests: tools and data that may be absent. A test that needs an absent one skips loudly.

const NAMES = {
  /** Python with h5py, hdf5plugin and numpy from PyPI. */
  python: 'H5Z_PYTHON',
  /** Python with HSDS, h5pyd and numcodecs from PyPI. */
  hsdsPython: 'H5Z_HSDS_PYTHON',
  /** libhdf5s of older series (toolchains/hdf5), joined as PATH is. */
  hdf5s: 'H5Z_HDF5S',
  /** Debian's Python with Debian's h5py. */
  systemPython: 'H5Z_SYSTEM_PYTHON',
  /** The folder of the corpus and the arrays. */
  shared: 'H5Z_SHARED',
  /** Starts systemPython's h5py for MPI in several processes. */
  mpiexec: 'H5Z_MPIEXEC',
  chromium: 'H5Z_CHROMIUM',
  /** A folder whose node_modules has h5web's viewer (toolchains/h5web). */
  h5web: 'H5Z_H5WEB',
  /** Programs of further Nodes (toolchains/node), joined as PATH is. */
  nodes: 'H5Z_NODES',
  h5dump: 'H5Z_H5DUMP',
  /** Beside it ncgen and ncdump. */
  nccopy: 'H5Z_NCCOPY',
  /** Where the run is a nightly one: ./farm test --nightly. */
  bun: 'H5Z_BUN',
  /** PoCL's entry among OpenCL's drivers, beside OpenCL's headers and loader: kernels run on this processor. */
  pocl: 'H5Z_POCL',
  /** clang with libFuzzer. */
  fuzzCompiler: 'H5Z_CC_FUZZ',
} as const;

export type Need = keyof typeof NAMES;

/** Paths by name; undefined when the variable is unset or empty. */
export const env: Readonly<Record<Need, string | undefined>> = Object.fromEntries(
  Object.entries(NAMES).map(([name, variable]) => [name, process.env[variable] || undefined]),
) as Record<Need, string | undefined>;

/** The reason to pass to `skip` when `env[name]` is undefined. */
export function need(name: Need): string {
  return `${NAMES[name]} is not set: run the tests by ./farm test, which gets what is missing`;
}
