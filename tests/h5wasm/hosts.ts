// The h5wasm versions under test, each test with a module of its own, and the filter packages as their folders are built.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { FilterPackage } from '@h5z/core';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** npm aliases of the root package.json. */
export const VERSIONS = ['h5wasm-0.8', 'h5wasm-0.10'] as const;
export type Version = (typeof VERSIONS)[number];

export interface H5File {
  readonly file_id: bigint;
  readonly path: string;
  get(path: string): H5Dataset;
  create_dataset(options: object): H5Dataset;
  dereference(reference: object): { readonly value: unknown };
  close(): void;
}

export interface H5Dataset {
  readonly file_id: bigint;
  readonly path: string;
  readonly value: unknown;
  readonly filters: readonly { readonly id: number; readonly name: string; readonly cd_values: number[] }[];
  slice(ranges: [number, number][]): unknown;
  create_region_reference(ranges: [number, number][]): object;
}

/** What `import * as h5wasm from 'h5wasm/node'` gives, as far as the tests use it. */
export interface H5wasmPackage {
  readonly ready: Promise<Record<string, unknown> & { activate_throwing_error_handler(): number }>;
  readonly File: new (path: string, mode: string) => H5File;
}

let copies = 0;

/** A fresh h5wasm: the query makes Node load its module anew. */
export async function freshH5wasm(version: Version): Promise<H5wasmPackage> {
  const url = pathToFileURL(join(ROOT, 'node_modules', version, 'dist/node/hdf5_hl.js'));
  url.search = `?copy=${++copies}`;
  const loaded = (await import(/* @vite-ignore */ url.href)) as H5wasmPackage;
  await loaded.ready;
  return loaded;
}

/** Every filter package of the repository whose side module is built. */
export async function builtPackages(): Promise<FilterPackage[]> {
  const folders = filterFolders().filter((folder) => existsSync(join(folder, 'dist/node.js')));
  return Promise.all(folders.map(loadPackage));
}

export async function loadPackage(folder: string): Promise<FilterPackage> {
  const url = pathToFileURL(join(folder, 'dist/node.js'));
  return ((await import(/* @vite-ignore */ url.href)) as { default: FilterPackage }).default;
}

export function filterFolders(): string[] {
  return readdirSync(join(ROOT, 'filters'))
    .map((name) => join(ROOT, 'filters', name))
    .filter((folder) => existsSync(join(folder, 'filter.json')));
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The file of a filter's side module. */
export function sideModuleFile(folder: string): string {
  const { name } = JSON.parse(readFileSync(join(folder, 'filter.json'), 'utf8')) as { name: string };
  return join(folder, 'wasm', `${name}.h5wasm.wasm`);
}
