// Writes a filter package's dist/ and manifest.json from its filter.json and its built files. All packages get the same
// few lines; what they do is @h5z/core's defineFilter.
//
//   node packages/farm/src/template/index.ts filters/zstd ...

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FilterDescription } from '../../../core/src/generated/schema.ts';
import { makeManifest } from '../manifest.ts';
import { wholeWgsl } from '../wgsl.ts';
import { kernelsText, shells } from './shells.ts';
import { typesText } from './types.ts';

/** Writes manifest.json and a fresh dist/ into the filter's folder. Returns the files written, relative to it. */
export function writeDist(filterDir: string): string[] {
  const description: FilterDescription = JSON.parse(readFileSync(join(filterDir, 'filter.json'), 'utf8'));
  const kernels = description.variants.webgpu?.mode ?? 'none';
  const source = join(filterDir, 'src/gpu.wgsl');
  const wgsl = `gpu/${description.name}.wgsl`;
  rmSync(join(filterDir, wgsl), { force: true });
  if (kernels !== 'none' && existsSync(source)) {
    mkdirSync(join(filterDir, 'gpu'), { recursive: true });
    writeFileSync(join(filterDir, wgsl), wholeWgsl(source));
  }
  const manifest = makeManifest(filterDir);
  const { $schema: _, ...published } = description;
  const about = { package: manifest.package, description: published, manifest };
  const texts: Record<string, string> = {
    'manifest.json': `${JSON.stringify(manifest, null, 2)}\n`,
    ...(manifest.variants.webgpu.file === undefined
      ? {}
      : { 'dist/webgpu.js': kernelsText(about, readFileSync(join(filterDir, wgsl), 'utf8')) }),
    ...Object.fromEntries(shells(about).map(([name, text]) => [`dist/${name}`, text])),
    'dist/index.d.ts': typesText(manifest.package.name, description),
  };
  rmSync(join(filterDir, 'dist'), { recursive: true, force: true });
  mkdirSync(join(filterDir, 'dist'));
  for (const [file, text] of Object.entries(texts)) writeFileSync(join(filterDir, file), text);
  return Object.keys(texts);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const folder of process.argv.slice(2)) {
    for (const file of writeDist(resolve(folder))) console.log(join(folder, file));
  }
}
