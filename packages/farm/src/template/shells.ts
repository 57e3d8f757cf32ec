// The JavaScript of a filter package: one module per exports condition, each a list of where the files are.

import type { FilterDescription, Manifest } from '../../../core/src/generated/schema.ts';

export interface About {
  readonly package: Manifest['package'];
  readonly description: FilterDescription;
  readonly manifest: Manifest;
}

/** File names in dist/ and their texts. */
export function shells(about: About): [string, string][] {
  return [
    ['about.js', aboutText(about)],
    ['browser.js', browserText(about)],
    ['workerd.js', workerdText(about)],
    ['node.js', nodeText(about, false)],
    ['node-addons.js', nodeText(about, true)],
  ];
}

function heading({ package: { name } }: About, what: string): string {
  return `// ${name} ${what}. Generated from filter.json; the behaviour is in @h5z/core.\n`;
}

function aboutText(about: About): string {
  return `${heading(about, 'says what it is: filter.json and manifest.json')}
export const about = ${JSON.stringify(about, null, 2)};
`;
}

/** The package's WebAssembly files as `[kind, path]`, only those that exist: bundlers fail on a missing one. */
function modules({ manifest: { variants } }: About): [string, string][] {
  const found: [string, string | undefined][] = [
    ['decode', variants.wasm.find((file) => !file.encode)?.file],
    ['full', variants.wasm.find((file) => file.encode)?.file],
    ['h5wasm', variants.h5wasm[0]?.file],
  ];
  return found.filter((entry): entry is [string, string] => entry[1] !== undefined);
}

/** The WGSL as a module: bundlers carry it along, and no policy of a page forbids to import it. */
export function kernelsText(about: About, text: string): string {
  return `${heading(about, 'on WebGPU: the kernels of gpu/, as a module')}
export const kernels = ${JSON.stringify(text)};
`;
}

function kernelLines({ manifest: { variants } }: About): string {
  return variants.webgpu.file === undefined ? '' : "  webgpu: () => import('./webgpu.js'),\n";
}

/** `new URL('literal', import.meta.url)` is what bundlers recognise; inside functions, so that nothing loads early. */
function urlLines(about: About): string {
  return modules(about)
    .map(([kind, file]) => `  ${kind}: () => new URL('../${file}', import.meta.url),\n`)
    .join('');
}

function browserText(about: About): string {
  return `${heading(about, 'for browsers, workers and bundlers: WebAssembly by URL')}
import { defineFilter } from '@h5z/core';
import { about } from './about.js';

export default defineFilter(about, {
${urlLines(about)}${kernelLines(about)}});
`;
}

/** workerd compiles WebAssembly only when it is imported as a module. */
function workerdText(about: About): string {
  const [decode, full] = ['decode', 'full'].map((kind) => modules(about).find(([name]) => name === kind)?.[1]);
  const lines = [
    decode && '  decode: () => decodeModule,\n',
    full && `  full: async () => (await import('../${full}')).default,\n`,
  ];
  return `${heading(about, 'for workerd: WebAssembly as an imported module')}
import { defineFilter } from '@h5z/core';
${decode ? `import decodeModule from '../${decode}';\n` : ''}import { about } from './about.js';

export default defineFilter(about, {
${lines.filter(Boolean).join('')}});
`;
}

function nodeText(about: About, addons: boolean): string {
  const what = addons
    ? 'for Node: native where @h5z/native is installed, else WebAssembly'
    : 'for Node without addons, and Deno';
  return `${heading(about, what)}
import { defineFilter } from '@h5z/core';
import { ${addons ? 'nativeHost, readFile' : 'readFile'} } from '@h5z/core/node';
import { about } from './about.js';

export default defineFilter(about, {
${urlLines(about)}${kernelLines(about)}  root: () => new URL('../', import.meta.url),
  readFile,
${addons ? "  native: nativeHost(() => import('@h5z/native')),\n" : ''}});
`;
}
