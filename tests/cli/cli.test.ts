// The h5z command as people and scripts meet it: output, exit status, help, and errors that say what to do. The files are
// the golden chunks of filters/, and an HDF5 file that h5wasm writes here.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import * as h5wasm from 'h5wasm-0.10/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HOST_FILTERS } from '../../packages/chunks/dist/index.js';
import { stagesOf } from '../../packages/cli/dist/index.js';
import { describeRange, type FilterPackage, parseParameterString } from '../../packages/core/dist/index.js';
import { writeDist } from '../../packages/farm/src/template/index.ts';
import { canonicalBytes, compression, install, readRaw } from '../../packages/readers/dist/h5wasm.js';
import { sampleOf } from '../conformance/modes.ts';
import { builtRegistry } from '../corpus/corpus.ts';
import { env, need } from '../support/env.ts';
import { filterFolders, ROOT, runIn } from '../support/packed.ts';

const MAIN = join(ROOT, 'packages/cli/dist/main.js');
const VARIANTS = ['native', 'wasm', 'h5wasm'] as const;
const values = Int32Array.from({ length: 1000 }, (_, i) => ((i >> 3) * 7) % 977);
const bytes = new Uint8Array(values.buffer);
/** What the file's datasets hold: for every filter the first of these that it takes. */
const CONTENTS = [
  { data: values, dtype: '<i4', shape: [1000], chunks: [300] },
  { data: Float32Array.from(values), dtype: '<f4', shape: [40, 25], chunks: [20, 25] },
  { data: Uint8Array.from(values, (value) => value / 4), dtype: '<B', shape: [40, 25], chunks: [20, 25] },
] as const;
const digestOf = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

let folder: string;
let file: string;
let packages: readonly FilterPackage[];
/** Whether there is a package for what libhdf5 decodes itself (the dataset `deflated`). */
let ourDeflate = false;
/** The filters with datasets of their own in the file, and the digest of what h5wasm reads from each. */
let written: { filter: FilterPackage; name: string; sha256: string; size: number }[];

/** An application folder in which the built filters named are installed. */
function application(name: string, filters: readonly string[]): string {
  const app = join(folder, name);
  mkdirSync(join(app, 'node_modules/@h5z'), { recursive: true });
  writeFileSync(join(app, 'package.json'), '{ "private": true }\n');
  for (const filter of filterFolders()) {
    if (filters.includes(filter.name)) symlinkSync(filter.folder, join(app, 'node_modules', filter.packageName));
  }
  return app;
}

const h5z = (cwd: string, ...args: string[]) => runIn(cwd, process.execPath, [MAIN, ...args]);
let all: string;
let none: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'h5z-cli-'));
  all = application(
    'all',
    filterFolders().map(({ name }) => name),
  );
  none = application('none', []);
  const registry = await builtRegistry();
  packages = registry.packages;
  ourDeflate = registry.get(1) !== undefined;
  await h5wasm.ready;
  await install(h5wasm, { registry });
  file = join(folder, 'values.h5');
  const out = new h5wasm.File(file, 'w');
  const common = { data: values, shape: [values.length], dtype: '<i4' };
  out.create_dataset({ name: 'plain', ...common });
  out.create_dataset({ name: 'deflated', ...common, chunks: [300], compression: 'gzip', compression_opts: 4 });
  const accepted = new Map<FilterPackage, (typeof CONTENTS)[number]>();
  // A filter that may only be optional steps aside without a word where it is not for the data: nothing to test here.
  for (const filter of packages.filter(
    ({ description: { variants, onlyOptional } }) => variants.h5wasm && !onlyOptional,
  )) {
    const content = CONTENTS.find((one) => {
      const [shape, chunks] = [[...one.shape], [...one.chunks]];
      try {
        out.create_dataset({ name: filter.canonicalName, ...one, shape, chunks, ...compression(filter({})) });
        return true;
      } catch (error) {
        if ((error as { code?: string }).code === 'H5Z_E_NOT_APPLICABLE') return false;
        throw error;
      }
    });
    if (content) accepted.set(filter, content);
  }
  out.close();
  const again = new h5wasm.File(file, 'r');
  written = [];
  for (const [filter, { data }] of accepted) {
    const name = filter.canonicalName;
    const sha256 = digestOf(canonicalBytes(await readRaw(h5wasm, again, `/${name}`)));
    if (!filter.description.lossy) expect(sha256).toBe(digestOf(new Uint8Array(data.buffer)));
    written.push({ filter, name, sha256, size: data.byteLength });
  }
  again.close();
  expect(written.length).toBeGreaterThan(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('h5z', () => {
  test('teaches itself with --help, for every command', async () => {
    const { status, stdout } = await h5z(all, '--help');
    expect(status).toBe(0);
    for (const command of [
      'which',
      'inspect',
      'digest',
      'decode',
      'export',
      'repack',
      'bench',
      'tune',
      'plugin-path',
      'hsds',
    ]) {
      expect(stdout).toContain(command);
      const help = await h5z(all, command, '--help');
      expect(help.status).toBe(0);
      expect(help.stdout).toContain('--json');
    }
  });

  test('exits with 2 for wrong usage', async () => {
    expect((await h5z(all, 'digest')).status).toBe(2);
    expect((await h5z(all, 'digest', file, '--via', 'magic')).status).toBe(2);
    expect((await h5z(all, 'decode', '--filter', '32015', '--cd', 'many')).status).toBe(2);
  });
});

test.skipIf(!existsSync('/dev/full'))('a reader that has seen enough is no failure, a full disk is one', () => {
  const script = (to: string) => `"${process.execPath}" "${MAIN}" which --json 2>&1 ${to}; echo "status $?"`;
  const run = (to: string) =>
    spawnSync('/bin/bash', ['-o', 'pipefail', '-c', script(to)], { cwd: none, encoding: 'utf8' });
  expect(run('| true').stdout).toBe('status 0\n');
  const full = run('> /dev/full');
  expect(full.stdout).toContain('status 1');
});

describe.skipIf(process.platform === 'win32')('nobody reads any more', () => {
  /** With $PIPE, whose reading end is closed already. */
  const unread = (name: string, command: string, app = all) =>
    runIn(app, '/bin/bash', ['-c', `mkfifo "$PIPE" && exec 3<>"$PIPE" 4>"$PIPE" 3<&- && "$NODE" ${command}`], {
      PIPE: join(folder, `${name}.pipe`),
      NODE: process.execPath,
      MAIN,
      FILE: file,
      OUT: join(folder, name),
    });

  test('of values: no failure', async () => {
    for (const words of ['export "$FILE" plain', 'decode "$FILE" --filter shuffle --cd 4']) {
      const { status, stderr } = await unread(words.slice(0, 6), `"$MAIN" ${words} -o - >&4`);
      expect([status, stderr], words).toEqual([0, '']);
    }
  });

  test('of progress and complaints: the work goes on and the status is what it would be', async () => {
    // A clock on which every look at it is another ten seconds: each step of the work has something to say.
    const clock = `--import 'data:text/javascript,let now = 0; Date.now = () => (now += 10_000)'`;
    const repack = `${clock} "$MAIN" repack "$FILE" "$OUT" --filter shuffle >&4 2>&4`;
    expect((await unread('unread.h5', repack)).status).toBe(0);
    expect(readdirSync(folder).filter((name) => name.startsWith('unread.h5'))).toEqual(['unread.h5', 'unread.h5.pipe']);
    expect((await h5z(all, 'digest', join(folder, 'unread.h5'), 'plain')).status).toBe(0);
    expect((await unread('usage', '"$MAIN" digest 2>&4')).status).toBe(2);
  });
});

describe('values that are large', () => {
  const many = Int32Array.from({ length: 1 << 20 }, (_, i) => i);
  const raw = Buffer.from(many.buffer);
  let large: string;
  beforeAll(() => {
    large = join(folder, 'large.h5');
    const out = new h5wasm.File(large, 'w');
    out.create_dataset({ name: 'many', data: many, shape: [many.length], dtype: '<i4' });
    out.close();
    writeFileSync(join(folder, 'large.chunk'), raw);
  });
  /** Two ways to write them. `fletcher32` of a mask is skipped, so that the chunk is its values. */
  const commands = () => [
    ['export', large, 'many'],
    ['decode', join(folder, 'large.chunk'), '--filter', 'fletcher32', '--mask', '1'],
  ];

  test('reach a slow reader whole', async () => {
    for (const words of commands()) {
      const child = spawn(process.execPath, [MAIN, ...words, '-o', '-'], {
        cwd: all,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const ended = new Promise((resolve) => child.on('close', resolve));
      let complaints = '';
      child.stderr.setEncoding('utf8').on('data', (text) => {
        complaints += text;
      });
      const pieces: Buffer[] = [];
      for await (const piece of child.stdout) {
        pieces.push(piece);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect([await ended, complaints], words[0]).toEqual([0, '']);
      expect(digestOf(Buffer.concat(pieces)), words[0]).toBe(digestOf(raw));
    }
  });

  test('do not go over the file that is read, by whatever name', async () => {
    const link = join(folder, 'large.link');
    for (const words of commands()) {
      const input = words[1] as string;
      const before = digestOf(readFileSync(input));
      linkSync(input, link);
      for (const output of [input, link]) {
        const { status, stderr } = await h5z(all, ...words, '-o', output);
        expect([status, stderr], words[0]).toEqual([1, expect.stringContaining('is the file to read')]);
        expect(digestOf(readFileSync(input)), words[0]).toBe(before);
      }
      rmSync(link);
    }
    const { status, stderr } = await h5z(all, 'bench', large, '--svg', large);
    expect([status, stderr]).toEqual([1, expect.stringContaining('is the file to read')]);
  });

  test.skipIf(process.platform === 'win32')('leave nothing behind when there is no room for them', async () => {
    const out = join(folder, 'half');
    const behind = join(folder, 'half.link');
    symlinkSync('half', behind);
    for (const words of commands()) {
      for (const output of [out, behind]) {
        // At most 64 blocks of a file may be written.
        const limited = 'ulimit -f 64 && exec "$0" "$@"';
        const args = ['-c', limited, process.execPath, MAIN, ...words, '-o', output];
        const { status, stderr } = await runIn(all, '/bin/bash', args);
        expect([status, stderr], words[0]).toEqual([1, expect.stringContaining('cannot be written')]);
        expect([existsSync(out), readlinkSync(behind)], words[0]).toEqual([false, 'half']);
      }
    }
  });
});

describe('h5z which', () => {
  test('knows an installed filter, one that is not, and none', async () => {
    const filter = packages.find(({ id }) => !HOST_FILTERS.includes(id));
    const found = JSON.parse((await h5z(all, 'which', String(filter?.id), '--json')).stdout);
    expect(found).toMatchObject({
      id: filter?.id,
      name: filter?.canonicalName,
      installed: { package: filter?.package.name },
    });
    const text = (await h5z(all, 'which', String(filter?.id))).stdout;
    for (const parameter of filter?.description.parameters ?? [])
      expect(text).toContain(`${parameter.name}: ${describeRange(parameter)} (`);
    const missing = await h5z(none, 'which', String(filter?.id));
    expect(missing.status).toBe(0);
    expect(missing.stdout).toContain(`npm i ${filter?.package.name}`);
    for (const { id, package: own } of packages.filter(({ id }) => HOST_FILTERS.includes(id))) {
      const answer = async (app: string) => JSON.parse((await h5z(app, 'which', String(id), '--json')).stdout);
      expect(await answer(none)).toMatchObject({ library: true, host: true });
      expect(await answer(all)).toMatchObject({ library: true, host: false, installed: { package: own.name } });
    }
    const unknown = await h5z(none, 'which', 'no-such-filter');
    expect(unknown.status).toBe(1);
    expect(unknown.stderr).toContain('H5Z_UNKNOWN_FILTER');
  });
});

describe('h5z repack', () => {
  const rows = async (path: string) =>
    (JSON.parse((await h5z(all, 'digest', path, '--json')).stdout) as { dataset: string; sha256: string }[])
      .map(({ dataset, sha256 }) => `${dataset} ${sha256}`)
      .sort();
  test('rewrites every chunked dataset and keeps the values', async () => {
    const out = join(folder, 'repacked.h5');
    const filter = packages.find(({ id, description }) => id > 255 && !description.lossy) as FilterPackage;
    const words = `${filter.canonicalName},shuffle`;
    const dry = await h5z(all, 'repack', file, out, '--filter', words, '--dry-run');
    expect([dry.status, existsSync(out)]).toEqual([0, false]);
    expect(dry.stdout).toMatch(/deflated.*would be changed/);
    const { status, stdout } = await h5z(all, 'repack', file, out, '--filter', words, '--json');
    expect(status).toBe(0);
    for (const { dataset, changed, reason, verified } of JSON.parse(stdout).datasets) {
      expect(changed || reason.length > 0, dataset).toBe(true);
      expect(verified).toBe(changed ? 'equal' : undefined);
    }
    expect(await rows(out)).toEqual(await rows(file));
    const { datasets } = JSON.parse((await h5z(all, 'inspect', out, '--json')).stdout);
    const deflated = datasets.find(({ path }: { path: string }) => path === '/deflated');
    expect(deflated.filters.map(({ id }: { id: number }) => id)).toEqual([2, filter.id]);

    const again = await h5z(all, 'repack', file, out, '--filter', words);
    expect(again.stderr).toContain('exists');
    const one = ['--dataset', '/plain', '--chunk', '77', '--via', 'wasm', '--threads', '2', '--force'];
    expect((await h5z(all, 'repack', file, out, '--filter', 'deflate:level=1', ...one)).stderr).toBe('');
    expect(await rows(out)).toEqual(await rows(file));
  });

  test('takes parameters in words and says what is wrong with them', async () => {
    const registry = await builtRegistry();
    for (const { canonicalName, description } of packages) {
      for (const parameter of description.parameters) {
        if (parameter.type !== 'enum' || parameter.default === undefined) continue;
        const words = `${canonicalName}:${parameter.name}=${parameter.default}`;
        try {
          expect(stagesOf([words], registry)).toHaveLength(1);
        } catch (error) {
          // This choice asks for another parameter.
          expect((error as { code: string }).code).toBe('H5Z_PARAMETER');
        }
      }
    }
    expect(stagesOf(['deflate:level=9,shuffle', 'fletcher32'], registry).map(({ id }) => id)).toEqual([2, 1, 3]);
    expect(stagesOf(['none'], registry)).toEqual([]);
    for (const words of ['level=3', 'deflate:speed=3', 'no-such-filter', 'shuffle:size=3'])
      expect((await h5z(all, 'repack', file, 'never.h5', '--filter', words)).status, words).toBe(1);
    const { stderr } = await h5z(none, 'repack', file, 'never.h5', '--filter', '32015');
    expect(stderr).toContain('npm i');
  });

  test('interrupted, it leaves nothing', async () => {
    const out = join(folder, 'interrupted.h5');
    const child = spawn(process.execPath, [MAIN, 'repack', file, out, '--filter', 'shuffle'], { cwd: all });
    const ended = new Promise((resolve) => child.on('close', resolve));
    const there = () => readdirSync(folder).filter((name) => name.startsWith('interrupted'));
    // In the middle: its temporary file is there. It may be quicker than this; then the file is whole, which others test.
    while (there().length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    child.kill('SIGINT');
    await ended;
    expect([[], ['interrupted.h5']]).toContainEqual(there());
  });
});

describe('h5z plugin-path', () => {
  test('lists the folders of the installed native libraries, and none of what libhdf5 has itself', async () => {
    const { path, plugins, without } = JSON.parse((await h5z(all, 'plugin-path', '--json')).stdout);
    const folders: string[] = plugins.map((plugin: { folder: string }) => plugin.folder);
    expect(path).toBe(folders.join(delimiter));
    for (const folder of folders) expect(readdirSync(folder).filter((name) => name.includes('h5z_'))).toHaveLength(1);
    const ids = packages.map(({ id }) => id).sort((a, b) => a - b);
    expect([...plugins, ...without].map(({ id }) => id).sort((a, b) => a - b)).toEqual(ids);
    for (const { id } of plugins) expect(id).toBeGreaterThanOrEqual(256);
    for (const { reason } of without) expect(reason).toMatch(/libhdf5|native/);
    expect((await h5z(all, 'plugin-path')).stdout).toBe(`${path}\n`);
  });

  test('says what to do where nothing is installed', async () => {
    const { status, stdout, stderr } = await h5z(none, 'plugin-path', '--shell');
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain('npm i @h5z/');
  });

  test.skipIf(!env.h5dump)(env.h5dump ? 'makes h5dump read, by the shell line' : need('h5dump'), async () => {
    const line = (await h5z(all, 'plugin-path', '--shell')).stdout;
    const dump = (setup: string) =>
      runIn(folder, 'sh', ['-c', `${setup}\n"$H5DUMP" -d "/$0" -b LE -o dump.bin "$1"`, dataset, file], {
        H5DUMP: env.h5dump as string,
        HDF5_PLUGIN_PATH: '/nonexistent',
      });
    // One that h5dump's libhdf5 lacks, not lossy.
    const { name: dataset, sha256 } = written.find(({ filter }) => filter.id > 255 && !filter.description.lossy) ?? {
      name: '',
      sha256: '',
    };
    await dump('');
    expect(
      digestOf(new Uint8Array(existsSync(join(folder, 'dump.bin')) ? readFileSync(join(folder, 'dump.bin')) : [])),
    ).not.toBe(sha256);
    expect((await dump(line)).status).toBe(0);
    expect(digestOf(readFileSync(join(folder, 'dump.bin')))).toBe(sha256);
  });
});

describe('h5z inspect', () => {
  test('tells pipelines in words and which packages are installed', async () => {
    const { status, stdout } = await h5z(all, 'inspect', file, '--json');
    expect(status).toBe(0);
    const { datasets, needs } = JSON.parse(stdout);
    expect(datasets).toHaveLength(written.length + 2);
    for (const { id, package: own } of written.map(({ filter }) => filter)) {
      expect(needs).toContainEqual(expect.objectContaining({ id, package: own.name, installed: own.version }));
    }
    for (const app of [all, none]) expect((await h5z(app, 'inspect', file)).stdout).toContain('deflate(level=4)');
    expect((await h5z(all, 'inspect', file, '--parameters')).stdout).toContain('deflate(level = 4)');
    for (const { filters } of datasets as { filters: { id: number; parameters: string }[] }[])
      for (const { id, parameters } of filters) {
        const filter = packages.find((own) => own.id === id);
        if (filter) expect(() => parseParameterString(filter.description, parameters)).not.toThrow();
      }
  });

  test('says what to install', async () => {
    const { stdout } = await h5z(none, 'inspect', file);
    for (const { filter } of written) expect(stdout).toContain(`npm i ${filter.package.name}`);
  });

  test('fails for what is no HDF5 file', async () => {
    const { status, stderr } = await h5z(all, 'inspect', join(all, 'package.json'));
    expect(status).toBe(1);
    expect(stderr).toContain('H5Z_E_CORRUPT');
    expect((await h5z(all, 'inspect', 'nowhere.h5')).stderr).toContain('H5Z_FILE');
  });
});

describe('h5z digest', () => {
  test.each(VARIANTS)('prints the contract via %s', async (via) => {
    const { status, stdout } = await h5z(all, 'digest', file, '--via', via, '--json');
    expect(status).toBe(0);
    const rows = JSON.parse(stdout) as Record<string, unknown>[];
    expect(rows.map(({ dataset }) => dataset).sort()).toEqual(
      ['/plain', '/deflated', ...written.map(({ name }) => `/${name}`)].sort(),
    );
    for (const row of rows) {
      const own = written.find(({ name }) => row.dataset === `/${name}`);
      const content = { sha256: own?.sha256 ?? digestOf(bytes), bytes: own?.size ?? bytes.length };
      expect(row).toMatchObject({ file, ...content });
      expect(typeof row.seconds).toBe('number');
      // Ours decodes what libhdf5 could, except in h5wasm, whose libhdf5 never asks for a plugin of what it has.
      const isHost = row.dataset === '/plain' || (row.dataset === '/deflated' && (via === 'h5wasm' || !ourDeflate));
      expect(row.via, String(row.dataset)).toBe(isHost ? 'host' : via);
    }
  });

  test('prints one line for each dataset, and only those asked for', async () => {
    const whole = await h5z(all, 'digest', file);
    expect(whole.stdout.trim().split('\n')).toHaveLength(written.length + 2);
    const one = await h5z(all, 'digest', file, 'plain', file, '/deflated');
    expect(
      one.stdout
        .trim()
        .split('\n')
        .map((line) => line.slice(0, 64)),
    ).toEqual([digestOf(bytes), digestOf(bytes)]);
    expect((await h5z(all, 'digest', file, '/nothing')).status).toBe(1);
  });

  test.each(VARIANTS)('names the package of a missing filter and exits with 1 via %s', async (via) => {
    const { status, stdout } = await h5z(none, 'digest', file, '--via', via, '--json');
    expect(status).toBe(1);
    const rows = JSON.parse(stdout) as {
      dataset: string;
      sha256?: string;
      error?: { code: string; message: string };
    }[];
    for (const { name, filter } of written) {
      const own = filter.package;
      const row = rows.find(({ dataset }) => dataset === `/${name}`);
      expect(row?.error?.code).toBe('H5Z_MISSING_FILTER');
      expect(row?.error?.message).toContain(`npm i ${own.name}`);
    }
    for (const name of ['/plain', '/deflated']) {
      const row = rows.find(({ dataset }) => dataset === name);
      expect(row, name).toMatchObject({ sha256: digestOf(bytes), via: 'host' }); // libhdf5 is there without any package
    }
  });

  // A variant that is taken out of the package is missed by the digest through it, and by no other.
  test.each(VARIANTS)('runs the variant named: without %s only that digest fails', async (gone) => {
    const app = application(`without-${gone}`, []);
    for (const filter of filterFolders()) {
      const copy = join(app, 'node_modules', filter.packageName);
      for (const part of ['filter.json', 'package.json', 'wasm', 'prebuilds', 'golden']) {
        if (existsSync(join(filter.folder, part)))
          cpSync(join(filter.folder, part), join(copy, part), { recursive: true });
      }
      writeDist(copy);
      const name = filter.description.name;
      if (gone === 'native') rmSync(join(copy, 'prebuilds'), { recursive: true });
      if (gone === 'h5wasm') rmSync(join(copy, `wasm/${name}.h5wasm.wasm`), { force: true });
      if (gone === 'wasm') for (const form of ['wasm', 'decode.wasm']) rmSync(join(copy, `wasm/${name}.${form}`));
    }
    for (const name of ['core', 'native']) {
      const link = join(app, 'node_modules/@h5z', name);
      if (!existsSync(link)) symlinkSync(join(ROOT, 'packages', name), link);
    }
    for (const via of VARIANTS) {
      const rows = JSON.parse((await h5z(app, 'digest', file, '--via', via, '--json')).stdout) as {
        dataset: string;
        sha256?: string;
      }[];
      for (const { name, sha256 } of written) {
        const row = rows.find(({ dataset }) => dataset === `/${name}`);
        expect(row?.sha256, `${name} via ${via} without ${gone}`).toBe(via === gone ? undefined : sha256);
      }
      const deflated = rows.find(({ dataset }) => dataset === '/deflated');
      const missed = ourDeflate && via === gone && via !== 'h5wasm';
      expect(deflated?.sha256, `deflated via ${via} without ${gone}`).toBe(missed ? undefined : digestOf(bytes));
    }
  });
});

describe('h5z export', () => {
  /** What numpy.lib.format says of a file: the header's dictionary, and where the values begin. */
  const npy = (path: string) => {
    const bytes = readFileSync(path);
    const begin = 10 + bytes.readUInt16LE(8);
    expect([bytes.subarray(0, 8).toString('latin1'), begin % 64]).toEqual(['\x93NUMPY\x01\x00', 0]);
    return { words: bytes.subarray(10, begin).toString().trim(), data: bytes.subarray(begin) };
  };

  test('writes what numpy.load reads, a part of it, plain bytes, and to standard output', async () => {
    const out = join(folder, 'values.npy');
    const { name, sha256 } = written.find(({ filter }) => !filter.description.lossy) ?? { name: '', sha256: '' };
    const facts = JSON.parse((await h5z(all, 'export', file, name, '-o', out, '--json')).stdout);
    expect(facts).toMatchObject({ dataset: name, format: 'npy', sha256 });
    const whole = npy(out);
    expect(digestOf(whole.data)).toBe(sha256);
    expect(whole.words).toMatch(/^\{'descr': '[<|][iuf]\d', 'fortran_order': False, 'shape': \(\d+(,|, \d+)\), \}$/);
    const part = join(folder, 'part.bin');
    expect((await h5z(all, 'export', file, name, '--slice', '2:9:3', '-o', part)).status).toBe(0);
    const row = facts.bytes / facts.shape[0];
    const rows = [2, 5, 8].map((at) => whole.data.subarray(at * row, (at + 1) * row));
    expect(readFileSync(part)).toEqual(Buffer.concat(rows));
    const piped = await h5z(all, 'export', file, name, '--slice=-1', '-o', '-', '--format', 'npy');
    expect(piped.stdout).toContain('NUMPY');
  });

  test('says what is wrong', async () => {
    const fails = async (status: number, ...args: string[]) => {
      const got = await h5z(all, 'export', ...args);
      expect([got.status, existsSync(join(all, 'never.npy'))], args.join(' ')).toEqual([status, false]);
      return got.stderr;
    };
    const { name } = written[0] ?? { name: '' };
    expect(await fails(1, file, '/none', '-o', 'never.npy')).toContain('H5Z_FILE');
    for (const slice of ['x', '1:2:3:4', '', '1.5', '0,0,0']) {
      expect(await fails(1, file, name, '--slice', slice, '-o', 'never.npy')).toContain('H5Z_PARAMETER');
    }
    expect(await fails(1, file, name, '-o', join(folder, 'no/such/folder.npy'))).toContain('H5Z_FILE');
    await fails(2, file, name);
  });
});

describe('h5z decode', () => {
  test.each(['native', 'wasm'] as const)('decodes a raw chunk through %s', async (via) => {
    for (const filter of packages) {
      const codec = await filter.load({ only: 'wasm', encode: true });
      const sample = sampleOf(codec, filter.description);
      const stored = sample.cdValues;
      const bytes = codec.decode(sample.chunk, { cdValues: stored, size: sample.data.length });
      const chunk = join(folder, `${filter.canonicalName}.chunk`);
      const out = join(folder, `${filter.canonicalName}.out`);
      writeFileSync(chunk, sample.chunk);
      const cd = stored.length > 0 ? ['--cd', Array.from(stored).join(',')] : [];
      const args = [
        'decode',
        chunk,
        '--filter',
        String(filter.id),
        ...cd,
        '--size',
        String(bytes.length),
        '--via',
        via,
      ];
      const { status, stdout, stderr } = await h5z(all, ...args, '-o', out, '--json');
      expect(stderr).toBe('');
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        bytes: bytes.length,
        sha256: digestOf(bytes),
        filters: [{ variant: via }],
      });
      const short = await h5z(all, ...args.slice(0, -4), '--size', '7', '-o', out);
      expect(short.status).toBe(1);
      expect(short.stderr).toMatch(/H5Z_E_/);
    }
  });
});
