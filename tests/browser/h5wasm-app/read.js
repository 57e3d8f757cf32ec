// Reads every dataset of data.h5 through h5wasm with h5z's side modules, and says what came out; then reads one whose
// filter is not there. Runs in the page and in a worker alike.
//
// FILTER_IMPORTS and FILTER_NAMES are filled in when the app is laid out (h5wasm.test.ts).

import { canonicalBytes, install, readRaw } from '@h5z/readers/h5wasm';
import * as h5wasm from 'h5wasm';

FILTER_IMPORTS;

export async function readAll() {
  const { FS } = await h5wasm.ready;
  FS.writeFile('data.h5', new Uint8Array(await (await fetch(new URL('../data.h5', import.meta.url))).arrayBuffer()));
  const file = new h5wasm.File('data.h5', 'r');
  const { filters, missing } = await install(h5wasm, { for: file, packages: [FILTER_NAMES] });
  const digests = {};
  for (const name of file.keys()) {
    try {
      digests[name] = await digest(canonicalBytes(await readRaw(h5wasm, file, `/${name}`)));
    } catch (error) {
      digests[name] = error.code ?? String(error);
    }
  }
  file.close();
  return { installed: filters.map((one) => one.id), missing: missing.map((one) => one.id), digests };
}

async function digest(bytes) {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
