// The README's commands and snippets, run as they stand in a folder that has what the README installs.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { golden } from '../../packages/farm/src/golden.ts';
import { installInto, publishAll } from '../../packages/farm/src/publish.ts';
import type { RunningRegistry } from '../../packages/farm/src/registry-server.ts';
import { filterFolders, packed, ROOT, runIn, script } from '../support/packed.ts';

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
/** Code blocks of a language below a heading. */
function blocks(heading: string, language: string): string[] {
  const section = new RegExp(`^## ${heading}$([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, 'm').exec(readme)?.[1] ?? '';
  return [...section.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    (match) => match[1] ?? '',
  );
}

let registry: RunningRegistry;
let folder: string;
beforeAll(async () => {
  registry = await publishAll(packed());
  const names = /^npm install (.*)$/m.exec(blocks('Node', 'sh').join('\n'))?.[1]?.split(' ') ?? [];
  folder = await installInto(registry, names);
}, 180_000);
afterAll(async () => {
  await registry?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

describe('Node', () => {
  it('installs filters that there are', () => {
    const named = [...readme.matchAll(/@h5z\/[a-z0-9-]+/g)].map(([name]) => name);
    const shipped = [...filterFolders().map(({ packageName }) => packageName), ...packed().map(({ name }) => name)];
    for (const name of named) expect(shipped).toContain(name);
  });

  it('npx h5z which, as shown', async () => {
    const line = /npx (h5z which \d+)/.exec(readme)?.[1]?.split(' ') ?? [];
    const { status, stdout } = await runIn(folder, 'npx', ['--no-install', ...line], registry.env);
    expect(status, stdout).toBe(0);
    expect(stdout).toContain('@h5z/');
  });

  it('decodes a chunk by the first snippet, and by filter ID through a pipeline', async () => {
    const filter = filterFolders().find(({ packageName }) => blocks('Node', 'js')[0]?.includes(`'${packageName}'`));
    const sample = filter === undefined ? undefined : golden(filter)[0];
    if (filter === undefined || sample === undefined) throw new Error('the snippet uses no filter of filters/');
    writeFileSync(join(folder, 'chunk.bin'), readFileSync(sample.file));
    const given = `
      import { readFileSync } from 'node:fs';
      import { createHash } from 'node:crypto';
      const chunk = readFileSync('chunk.bin'), cdValues = ${JSON.stringify(sample.cdValues)}, size = ${sample.size};
      const filterMask = 0, dataset = { filters: [{ id: ${filter.description.id}, cdValues }] };`;
    const print = "\nconsole.log(createHash('sha256').update(values).digest('hex'));";
    const snippets = blocks('Node', 'js');
    expect(snippets.length).toBeGreaterThan(1);
    for (const snippet of snippets) {
      const answer = await script(folder, given + snippet + print);
      expect(answer.stdout.trim(), answer.stderr).toBe(sample.sha256);
    }
  });
});

describe('h5py, h5dump, netCDF, MATLAB', () => {
  it('names a folder that the package has', () => {
    const path = /HDF5_PLUGIN_PATH=\$PWD\/node_modules\/(\S+)/.exec(readme)?.[1] ?? '';
    const [scope, name, ...rest] = path.split('/');
    const filter = filterFolders().find(({ packageName }) => packageName === `${scope}/${name}`);
    expect(filter).toBeDefined();
    expect(rest.join('/')).toBe('prebuilds/linux-x64');
  });
});
