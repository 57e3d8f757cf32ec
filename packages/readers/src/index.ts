// @h5z/readers: adapters that give JavaScript HDF5 readers h5z's filters. Each reader has its own entry point
// (@h5z/readers/h5wasm); this one collects them.

export * as h5wasm from './h5wasm.js';
