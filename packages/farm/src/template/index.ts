// Writes a filter package's dist/ and manifest.json from its filter.json and its built files. All packages get the same
// few lines; what they do is @h5z/core's defineFilter.
//
//   node packages/farm/src/template/index.ts filters/zstd ...

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FilterDescription } from '../../../core/src/generated/schema.ts';
import { makeManifest } from '../manifest.ts';
import { type Content, putFile, putFolder } from '../put.ts';
import { wholeWgsl } from '../wgsl.ts';
import { kernelsText, shells } from './shells.ts';
import { typesText } from './types.ts';

/** Makes manifest.json and dist/ in the filter's folder what they should be. Returns their files, relative to it. */
export function writeDist(filterDir: string): string[] {
  const description: FilterDescription = JSON.parse(readFileSync(join(filterDir, 'filter.json'), 'utf8'));
  const kernels = description.variants.webgpu?.mode ?? 'none';
  const source = join(filterDir, 'src/gpu.wgsl');
  const wgsl = `gpu/${description.name}.wgsl`;
  if (kernels !== 'none' && existsSync(source)) putFile(join(filterDir, wgsl), { data: wholeWgsl(source) });
  else rmSync(join(filterDir, wgsl), { force: true });
  const manifest = makeManifest(filterDir);
  const { $schema: _, ...published } = description;
  const about = { package: manifest.package, description: published, manifest };
  const dist = new Map<string, Content>();
  if (manifest.variants.webgpu.file !== undefined)
    dist.set('webgpu.js', { data: kernelsText(about, readFileSync(join(filterDir, wgsl), 'utf8')) });
  for (const [name, text] of shells(about)) dist.set(name, { data: text });
  dist.set('index.d.ts', { data: typesText(manifest.package.name, description) });
  putFile(join(filterDir, 'manifest.json'), { data: `${JSON.stringify(manifest, null, 2)}\n` });
  putFolder(join(filterDir, 'dist'), dist);
  return ['manifest.json', ...[...dist.keys()].map((name) => `dist/${name}`)];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const folder of process.argv.slice(2)) {
    for (const file of writeDist(resolve(folder))) console.log(join(folder, file));
  }
}
