// What people get: packages installed by name from a registry into an empty folder, and how they behave there when all is
// well and when something is not: no network, no scripts, a missing or damaged file, a foreign platform, an unknown filter.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { golden } from '../../packages/farm/src/golden.ts';
import { installInto, publishAll } from '../../packages/farm/src/publish.ts';
import type { RunningRegistry } from '../../packages/farm/src/registry-server.ts';
import { type FilterFolder, filterFolders, packed, runIn, script } from '../support/packed.ts';

let registry: RunningRegistry;
const folders: string[] = [];

beforeAll(async () => {
  registry = await publishAll(packed());
}, 180_000);

afterAll(async () => {
  await registry?.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

async function install(...names: string[]): Promise<string> {
  const folder = await installInto(registry, names);
  folders.push(folder);
  return folder;
}

/** Prints what decoding the filter's first golden chunk gives, which variant did it, and every warning. */
function decoder(filter: FilterFolder, load = '{}'): string {
  const sample = golden(filter)[0];
  if (sample === undefined) throw new Error(`${filter.name} has no golden chunk`);
  return `
    import { readFileSync } from 'node:fs';
    import { createHash } from 'node:crypto';
    import filter from '${filter.packageName}';
    const warnings = [];
    process.on('warning', (warning) => warnings.push(warning.message));
    const answer = { warnings };
    try {
      for (let turn = 0; turn < 2; turn++) {
        const codec = await filter.load(${load});
        const chunk = readFileSync(${JSON.stringify(sample.file)});
        const out = codec.decode(chunk, { cdValues: ${JSON.stringify(sample.cdValues)}, size: ${sample.size} });
        answer.variant = codec.variant;
        answer.sha256 = createHash('sha256').update(out).digest('hex');
      }
    } catch (error) {
      answer.code = error.code;
      answer.message = error.message;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    console.log(JSON.stringify(answer));`;
}

interface Decoded {
  readonly variant?: string;
  readonly sha256?: string;
  readonly code?: string;
  readonly message?: string;
  readonly warnings: readonly string[];
}

async function decode(
  folder: string,
  filter: FilterFolder,
  env: NodeJS.ProcessEnv = {},
  load = '{}',
): Promise<Decoded> {
  const answer = await script(folder, decoder(filter, load), env);
  expect(answer.stderr.replace(/^.*(Warning|trace-warnings|\[H5Z_[A-Z_]+\]).*$/gm, '').trim()).toBe('');
  return JSON.parse(answer.stdout) as Decoded;
}

const expected = (filter: FilterFolder): string | undefined => golden(filter)[0]?.sha256;

const inPackage = (folder: string, filter: FilterFolder, file: string): string =>
  join(folder, 'node_modules', filter.packageName, file);

/** Files of one variant, as the installed manifest lists them. */
function filesOf(folder: string, filter: FilterFolder, variant: 'native' | 'wasm'): string[] {
  const manifest = JSON.parse(readFileSync(inPackage(folder, filter, 'manifest.json'), 'utf8')) as {
    variants: Record<string, { file: string; platform?: string }[]>;
  };
  return (manifest.variants[variant] ?? []).map(({ file }) => inPackage(folder, filter, file));
}

function flip(file: string): void {
  const bytes = readFileSync(file);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 0x40;
  writeFileSync(file, bytes);
}

describe.each(filterFolders())('npm install $packageName alone', (filter) => {
  let folder: string;
  beforeAll(async () => {
    folder = await install(filter.packageName, '--ignore-scripts');
  });

  it('decodes a chunk natively', async () => {
    expect(await decode(folder, filter)).toMatchObject({ variant: 'native', sha256: expected(filter), warnings: [] });
  });

  it('decodes it in WebAssembly when asked', async () => {
    const answer = await decode(folder, filter, { H5Z_PREFER: 'wasm' });
    expect(answer).toMatchObject({ variant: 'wasm', sha256: expected(filter), warnings: [] });
  });

  it('decodes without addons, as --no-addons, Deno and workers do', async () => {
    const answer = await runIn(folder, process.execPath, ['--no-addons', '--input-type=module', '-e', decoder(filter)]);
    expect(JSON.parse(answer.stdout)).toMatchObject({ variant: 'wasm', sha256: expected(filter), warnings: [] });
  });

  it('installs nothing that is not needed to decode', async () => {
    const { stdout } = await runIn(folder, 'npm', ['ls', '--all', '--parseable'], registry.env);
    const names = stdout.split('\n').flatMap((line) => /node_modules\/(.+)$/.exec(line)?.[1] ?? []);
    expect(names.filter((name) => name.startsWith('@h5z/') && name !== filter.packageName).sort()).toEqual([
      '@h5z/core',
      '@h5z/native',
    ]);
  });
});

describe.each(filterFolders())('$packageName with a file amiss', (filter) => {
  let folder: string;
  beforeAll(async () => {
    folder = await install(filter.packageName);
  });

  it('refuses a native library with a flipped byte, naming both hashes', async () => {
    for (const file of filesOf(folder, filter, 'native')) flip(file);
    const answer = await decode(folder, filter);
    expect(answer.code).toBe('H5Z_INTEGRITY');
    expect(answer.message?.match(/[0-9a-f]{64}/g)).toHaveLength(2);
  });

  it('goes on in WebAssembly, with one warning, when the native library is deleted', async () => {
    for (const file of filesOf(folder, filter, 'native')) rmSync(file);
    const answer = await decode(folder, filter);
    expect(answer).toMatchObject({ variant: 'wasm', sha256: expected(filter) });
    expect(answer.warnings).toHaveLength(1);
    expect(answer.warnings[0]).toMatch(/native library/);
  });

  it('says what is the matter when only native would do', async () => {
    const answer = await decode(folder, filter, {}, "{ only: 'native' }");
    expect(answer.code).toBe('H5Z_NATIVE_LOAD');
    expect(answer.message).toMatch(/; .+/);
  });

  it('says which platforms there are when this one is not among them', async () => {
    const foreign = `Object.defineProperty(process, 'arch', { value: 'riscv64' });`;
    const answer = await script(folder, foreign + decoder(filter, "{ only: 'native' }"));
    const decoded = JSON.parse(answer.stdout) as Decoded;
    expect(decoded.code).toBe('H5Z_NO_PLATFORM');
    expect(decoded.message).toMatch(/riscv64 .*linux-x64.*; use the WebAssembly variant/);
    const quiet = JSON.parse((await script(folder, foreign + decoder(filter))).stdout) as Decoded;
    expect(quiet).toMatchObject({ variant: 'wasm', sha256: expected(filter), warnings: [] });
  });

  it('refuses a WebAssembly module with a flipped byte, naming both hashes', async () => {
    for (const file of filesOf(folder, filter, 'wasm')) flip(file);
    const answer = await decode(folder, filter, { H5Z_PREFER: 'wasm' });
    expect(answer.code).toBe('H5Z_INTEGRITY');
    expect(answer.message?.match(/[0-9a-f]{64}/g)).toHaveLength(2);
  });
});

describe('the registry and h5z, installed', () => {
  const [present, ...absent] = filterFolders();
  let folder: string;
  beforeAll(async () => {
    folder = await install(present?.packageName ?? '', '@h5z/registry', 'h5z');
  });

  const ask = async (expression: string): Promise<unknown> => {
    const text = `
      import { installed, lookup } from '@h5z/registry';
      try { console.log(JSON.stringify(${expression})); }
      catch (error) { console.log(JSON.stringify({ code: error.code, message: error.message })); }`;
    return JSON.parse((await script(folder, text)).stdout);
  };

  it('installed() finds exactly what is installed', async () => {
    expect(await ask('(await installed()).packages.map((filter) => filter.id)')).toEqual([present?.description.id]);
  });

  it('a known filter that is not installed: the error names it and the command', async () => {
    for (const filter of absent) {
      const answer = (await ask(`await (await installed()).load(${filter.description.id})`)) as Decoded;
      expect(answer.code).toBe('H5Z_MISSING_FILTER');
      expect(answer.message).toContain(filter.name);
      expect(answer.message).toContain(`npm i ${filter.packageName}`);
    }
  });

  it('a filter that nobody may ship: the error says why', async () => {
    const answer = (await ask('await (await installed()).load(305)')) as Decoded;
    expect(answer.code).toBe('H5Z_MISSING_FILTER');
    expect(answer.message).toMatch(/GPL/);
  });

  it('an ID that nobody registered', async () => {
    const answer = (await ask('await (await installed()).load(31999)')) as Decoded;
    expect(answer.code).toBe('H5Z_UNKNOWN_FILTER');
    expect(answer.message).toMatch(/31999/);
  });

  it('npx h5z which: a shipped ID, a name, an unknown ID', async () => {
    const which = (what: string) => runIn(folder, 'npx', ['--no-install', 'h5z', 'which', what], registry.env);
    const { id, name } = present?.description ?? { id: 0, name: '' };
    const known = await which(String(id));
    expect(known).toMatchObject({ status: 0 });
    expect(known.stdout).toContain(present?.packageName);
    expect((await which(name)).stdout).toContain(String(id));
    const unknown = await which('31999');
    expect(unknown.status).not.toBe(0);
    expect(unknown.stderr + unknown.stdout).toMatch(/31999/);
  });
});
