// What the registry learns from filters/: which filters are shipped, and the static JSON API, plain files for any CDN:
//
//   v1/filters.json             every catalogue entry
//   v1/filters/<id>.json        one entry; for a shipped filter also filter.json and, once packed, manifest.json
//   v1/names/<name>.json        the same, by canonical name

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { CatalogueEntry } from '../../../registry/src/catalogue.ts';
import type { ShippedFilter } from '../../../registry/src/shipped.ts';
import type { FilterDescription } from '../../core/src/generated/schema.ts';
import { putFile } from './put.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Folders of filters: `filters/` of this repository, or another folder of filter folders. */
export function filterFolders(filtersDir: string = join(ROOT, 'filters')): string[] {
  if (!existsSync(filtersDir)) return [];
  return readdirSync(filtersDir)
    .map((name) => join(filtersDir, name))
    .filter((folder) => existsSync(join(folder, 'filter.json')))
    .sort();
}

function shippedFilter(folder: string): ShippedFilter {
  const { id, name, title, summary, lossy, licence, aliases } = readJson<FilterDescription>(
    join(folder, 'filter.json'),
  );
  const { name: npmName } = readJson<{ name: string }>(join(folder, 'package.json'));
  return {
    id,
    name,
    title,
    summary,
    lossy,
    licence,
    aliases: (aliases ?? []).map((alias) => alias.id),
    package: npmName,
  };
}

/** Writes registry/dist/shipped.js from filters/, over the empty list that tsc compiled. Run after `tsc -b`. */
export function writeShipped(filtersDir?: string): void {
  const text = `// The filters that h5z ships, written from filters/*/filter.json by the farm.
export const SHIPPED = ${JSON.stringify(filterFolders(filtersDir).map(shippedFilter), null, 2)};
`;
  putFile(join(ROOT, 'registry/dist/shipped.js'), { data: text });
}

/** Writes the static JSON API into `target`. The registry must be built. Returns the files written, relative to it. */
export async function writeStaticApi(target: string): Promise<string[]> {
  const registry = pathToFileURL(join(ROOT, 'registry/dist/index.js')).href;
  const { catalogue } = (await import(registry)) as { catalogue: readonly CatalogueEntry[] };
  const folders = new Map(filterFolders().map((folder) => [shippedFilter(folder).id, folder]));
  const files = new Map<string, unknown>([['v1/filters.json', catalogue]]);
  for (const entry of catalogue) {
    const folder = folders.get(entry.id);
    const manifest = folder && join(folder, 'manifest.json');
    const full = {
      ...entry,
      ...(folder ? { description: readJson(join(folder, 'filter.json')) } : {}),
      ...(manifest && existsSync(manifest) ? { manifest: readJson(manifest) } : {}),
    };
    files.set(`v1/filters/${entry.id}.json`, full);
    files.set(`v1/names/${entry.name}.json`, full);
  }
  for (const [file, content] of files) {
    mkdirSync(join(target, file, '..'), { recursive: true });
    writeFileSync(join(target, file), `${JSON.stringify(content)}\n`);
  }
  return [...files.keys()];
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}
