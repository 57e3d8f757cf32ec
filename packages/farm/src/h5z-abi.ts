#!/usr/bin/env node
// h5z-abi: the farm for one filter that lives outside the repository, as @h5z/abi publishes it. The filter is the nearest
// folder with a filter.json at or above the working directory; every other module asks paths.ts, so it is said first.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function filterFolder(): string {
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'filter.json'))) return folder;
    if (dirname(folder) === folder) return process.cwd();
  }
}

process.env.H5Z_FILTER_FOLDER ??= filterFolder();
await import('./outside.ts');
