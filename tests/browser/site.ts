// Makes the browser tests' apps: lays out a folder with the packed packages and nothing else of h5z, builds it with a
// bundler or none, and serves it on loopback under a strict content security policy, noting every request.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { FilterDescription } from '@h5z/core';
import { build as esbuild } from 'esbuild';
import { build as vite } from 'vite';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const APP = fileURLToPath(new URL('./app/', import.meta.url));

/** A filter of this repository: its folder and what filter.json says. */
export interface Filter {
  readonly name: string;
  readonly id: number;
  readonly folder: string;
  readonly package: string;
  readonly lossy: boolean;
  /** Has a side module for h5wasm. */
  readonly h5wasm: boolean;
}

/** Every filter of the repository. */
export function filters(): Filter[] {
  return readdirSync(join(ROOT, 'filters'))
    .map((name) => join(ROOT, 'filters', name))
    .filter((folder) => existsSync(join(folder, 'filter.json')))
    .map((folder) => {
      const { name, id, lossy, variants } = readJson(join(folder, 'filter.json')) as FilterDescription;
      const { name: own } = readJson(join(folder, 'package.json')) as { name: string };
      return { name, id, folder, package: own, lossy, h5wasm: variants.h5wasm !== undefined };
    });
}

export function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** A folder that is removed at the end; returns it and the removal. */
export function scratch(name: string): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), `h5z-${name}-`));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Packs package folders as `npm publish` would and unpacks them into `into`/node_modules, without a registry. */
export function installPacked(packages: readonly string[], into: string): void {
  for (const folder of packages) {
    const { name } = readJson(join(folder, 'package.json')) as { name: string };
    const target = join(into, 'node_modules', name);
    mkdirSync(target, { recursive: true });
    const tarball = tarballs.get(folder) ?? pack(folder);
    tarballs.set(folder, tarball);
    execFileSync('tar', ['-xzf', '-', '--strip-components=1', '-C', target], { input: tarball });
  }
}

/** Content of the tarballs made in this process, by the package's folder. */
const tarballs = new Map<string, Buffer>();

function pack(folder: string): Buffer {
  const { folder: target, remove } = scratch('pack');
  const report = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', target], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const tarball = readFileSync(join(target, tarballOf(report)));
  remove();
  return tarball;
}

/** npm 12 reports an object by package name, older ones an array. */
function tarballOf(report: string): string {
  const parsed = JSON.parse(report) as { filename: string }[] | Record<string, { filename: string }>;
  const [entry] = Object.values(parsed);
  if (!entry) throw new Error(`npm pack reported no file: ${report}`);
  return entry.filename;
}

/** The app's source for one filter, with its packages: what a user would have after `npm i`. */
export function layOutApp(filter: Filter, folder: string): void {
  installPacked([join(ROOT, 'packages/core'), join(ROOT, 'registry'), filter.folder], folder);
  for (const file of readdirSync(APP)) {
    const text = readFileSync(join(APP, file), 'utf8').replaceAll('FILTER_PACKAGE', filter.package);
    writeFileSync(join(folder, file), text);
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }));
}

export type Builder = (app: string, out: string, filter: Filter) => Promise<{ readonly importMap?: string }>;

/** How an app becomes a site. */
export const builders: Readonly<Record<string, Builder>> = {
  async vite(app, out) {
    await vite({
      root: app,
      base: './',
      configFile: false,
      logLevel: 'error',
      worker: { format: 'es' },
      build: { outDir: out, emptyOutDir: false, target: 'es2022', modulePreload: false },
    });
    return {};
  },

  /**
   * esbuild leaves `new URL('../wasm/x.wasm', import.meta.url)` alone, so the package's wasm folder is copied along; the
   * script of core's workers is an entry point of its own for the same reason.
   */
  async esbuild(app, out, filter) {
    await esbuild({
      entryPoints: {
        'assets/page': join(app, 'page.js'),
        'assets/worker': join(app, 'worker.js'),
        'assets/worker-web': join(app, 'node_modules/@h5z/core/dist/worker-web.js'),
      },
      absWorkingDir: app,
      outdir: out,
      bundle: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      logLevel: 'error',
    });
    cpSync(join(app, 'node_modules', filter.package, 'wasm'), join(out, 'wasm'), { recursive: true });
    const html = readFileSync(join(app, 'index.html'), 'utf8').replace('./page.js', './assets/page.js');
    writeFileSync(join(out, 'index.html'), html);
    return {};
  },

  /** Files as they are; the browser finds packages by an import map made from their `exports`. */
  async none(app, out, filter) {
    cpSync(app, out, { recursive: true });
    const imports: Record<string, string> = {};
    for (const name of ['@h5z/core', '@h5z/registry', filter.package]) {
      imports[name] = `./node_modules/${name}/${browserEntry(join(out, 'node_modules', name))}`;
    }
    const importMap = JSON.stringify({ imports });
    const html = readFileSync(join(out, 'index.html'), 'utf8').replace(
      '<script',
      `<script type="importmap">${importMap}</script>\n  <script`,
    );
    writeFileSync(join(out, 'index.html'), html);
    return { importMap };
  },
};

/** The file that the conditions `browser`, `default` choose for ".". */
function browserEntry(folder: string): string {
  const { exports } = readJson(join(folder, 'package.json')) as { exports: Record<string, Record<string, string>> };
  const entry = exports['.']?.browser ?? exports['.']?.default;
  if (!entry) throw new Error(`${folder} has no entry for browsers`);
  return entry.replace(/^\.\//, '');
}

export interface Site {
  readonly url: string;
  /** Paths asked for since the last call. */
  takeRequests(): string[];
  close(): Promise<void>;
}

export interface ServeOptions {
  /** Inline scripts allowed by their hash: an import map is one, and browsers know no external ones. */
  readonly importMap?: string;
  /** Flips one byte in the middle of every .wasm file. */
  readonly damageWasm?: boolean;
  /** Paths that are answered with 404. */
  readonly missing?: RegExp;
  /** Files that are not in the folder. */
  readonly extra?: Readonly<Record<string, string | Uint8Array>>;
  /** Instead of the strict content security policy, for what is not ours. */
  readonly policy?: string;
  /** Asked first; true where it answers the request itself. */
  readonly forward?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.png': 'image/png',
  '.txt': 'text/plain',
};

/** Serves a folder on loopback: only this origin, WebAssembly allowed, nothing else. */
export async function serve(folder: string, options: ServeOptions = {}): Promise<Site> {
  const hash = options.importMap ? ` 'sha256-${createHash('sha256').update(options.importMap).digest('base64')}'` : '';
  const policy = options.policy ?? `default-src 'self'; script-src 'self' 'wasm-unsafe-eval'${hash}`;
  let requests: string[] = [];
  const server = createServer((request, response) => {
    if (options.forward?.(request, response)) return;
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname).replace(
      /\/$/,
      '/index.html',
    );
    requests.push(path);
    const body = contentOf(folder, path, options);
    response.writeHead(body !== undefined ? 200 : 404, {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'content-security-policy': policy,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    response.end(body ?? 'not found');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    takeRequests() {
      const taken = requests;
      requests = [];
      return taken;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function contentOf(folder: string, path: string, options: ServeOptions): Uint8Array | string | undefined {
  const extra = options.extra?.[path];
  if (extra !== undefined) return extra;
  if (options.missing?.test(path)) return undefined;
  if (path === '/icon.png' || path === '/decoded.txt') return '';
  const file = normalize(join(folder, path));
  if (relative(folder, file).startsWith('..') || !existsSync(file) || !statSync(file).isFile()) return undefined;
  const bytes = readFileSync(file);
  if (options.damageWasm && path.endsWith('.wasm')) {
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  }
  return bytes;
}

/** Bytes of a site's files by kind, plain and gzipped: what a visitor downloads. */
export function sizesOf(folder: string): { readonly file: string; readonly bytes: number; readonly gzip: number }[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(js|wasm)$/.test(file))
    .sort()
    .map((file) => {
      const bytes = readFileSync(join(folder, file));
      return { file, bytes: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
    });
}
