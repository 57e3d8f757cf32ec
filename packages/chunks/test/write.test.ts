// Writing: chunks into existing datasets, and whole files with another pipeline, as h5py and h5dump see them afterwards.

import { execFileSync } from 'node:child_process';
import {
  existsSync,
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
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builtRegistry } from '../../../tests/corpus/corpus.ts';
import { env, need } from '../../../tests/support/env.ts';
import { open, readAll, repack, writeChunks } from '../dist/index.js';

const PYTHON = env.python ?? '';
const python = (...args: string[]): string =>
  execFileSync(PYTHON, args, { encoding: 'utf8', env: { ...process.env, HDF5_PLUGIN_PATH: pluginPath } });
const rewritten = (...args: string[]) => python(join(import.meta.dirname, 'rewritten.py'), ...args);

let folder: string;
let registry: Awaited<ReturnType<typeof builtRegistry>>;
let pluginPath = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'h5z-write-'));
  registry = await builtRegistry();
  const { pluginPath: find } = await import('../../cli/dist/index.js');
  pluginPath = find(registry).path;
});
afterAll(() => rmSync(folder, { recursive: true }));
const shuffle = { id: 2, cdValues: [] };
/** A lossless filter of ours that libhdf5 lacks. */
const ours = () => {
  const filter = registry.packages.find(({ id, description }) => id > 255 && !description.lossy);
  if (!filter) throw new Error('no filter is built');
  return filter({});
};

describe.skipIf(env.python === undefined)('writeChunks', () => {
  const script = (path: string, id: number, cd: readonly number[]) => `
import h5py, numpy as np
with h5py.File(${JSON.stringify(path)}, 'w', libver='latest') as f:
    f.create_dataset('x/y', (10, 7), '<i4', chunks=(4, 3), maxshape=(None, 7), compression=${id},
                     compression_opts=(${cd.map((n) => `${n},`).join('')}), shuffle=True)
`;
  const read = (path: string) =>
    JSON.parse(
      python('-c', `import h5py, json; print(json.dumps(h5py.File(${JSON.stringify(path)})['x/y'][()].tolist()))`),
    ) as number[][];
  const whole = (offset: number[]) => {
    const values = Int32Array.from(
      { length: 12 },
      (_, i) => 100 * (offset[0] as number) + 10 * (offset[1] as number) + i,
    );
    return { offset, data: new Uint8Array(values.buffer) };
  };

  test('encodes by the pipeline of the dataset, grows it, replaces chunks; in place and in memory', async () => {
    const path = join(folder, 'chunks.h5');
    const { id, cdValues } = ours();
    python('-c', script(path, id, [...cdValues]));
    const bytes = new Uint8Array(readFileSync(path));
    const before = bytes.slice();
    const chunks = [whole([0, 0]), whole([8, 6]), whole([12, 3]), whole([0, 0])];
    const written = await writeChunks(path, '/x/y', chunks, { registry, shape: [16, 7] });
    expect(written.chunks).toBe(4);
    expect(written.file).toBeUndefined();
    const got = read(path);
    expect(got).toHaveLength(16);
    expect([got[0]?.[0], got[1]?.[2], got[8]?.[6], got[9]?.[6], got[15]?.[5], got[5]?.[5]]).toEqual([
      0, 5, 860, 863, 1241, 0,
    ]);
    const { file } = await writeChunks(bytes, 'x/y', chunks, { registry, shape: [16, 7] });
    expect(bytes).toEqual(before);
    writeFileSync(join(folder, 'memory.h5'), file as Uint8Array);
    expect(read(join(folder, 'memory.h5'))).toEqual(got);
  });

  test('stores what is encoded already, with its filter mask', async () => {
    const path = join(folder, 'encoded.h5');
    const { id, cdValues } = ours();
    python('-c', script(path, id, [...cdValues]));
    const { data, offset } = whole([4, 3]);
    await writeChunks(path, '/x/y', [{ offset, data, encoded: true, filterMask: 3 }]);
    const file = await open(path);
    expect([...file.dataset('/x/y').chunks]).toMatchObject([{ offset: [4, 3], size: 48, filterMask: 3 }]);
    file.close();
    expect(read(path)[4]?.slice(3, 6)).toEqual([430, 431, 432]);
  });

  test('refuses what does not fit, and keeps what was written before', async () => {
    const path = join(folder, 'refused.h5');
    const { id, cdValues } = ours();
    python('-c', script(path, id, [...cdValues]));
    const refuse = (chunks: Parameters<typeof writeChunks>[2], code: string, options = {}) =>
      expect(writeChunks(path, '/x/y', chunks, { registry, ...options })).rejects.toMatchObject({ code });
    await refuse([whole([0, 0]), whole([1, 0])], 'H5Z_PARAMETER');
    await refuse([whole([12, 0])], 'H5Z_PARAMETER');
    await refuse([{ offset: [0, 0], data: new Uint8Array(47) }], 'H5Z_PARAMETER');
    await refuse([whole([0, 0])], 'H5Z_MISSING_FILTER', { registry: undefined });
    for (const shape of [[10, 8], [10], [10, 7, 1], [-1, 7], [Number.NaN, 7], [1.5, 7]]) {
      await refuse([], 'H5Z_PARAMETER', { shape });
    }
    for (const filterMask of [-1, 2 ** 32, 0.5]) {
      await refuse([{ ...whole([0, 0]), encoded: true, filterMask }], 'H5Z_PARAMETER');
    }
    await refuse([{ offset: [0, 0], data: new Uint8Array(0), encoded: true }], 'H5Z_PARAMETER');
    await expect(writeChunks(path, '/nowhere', [])).rejects.toMatchObject({ code: 'H5Z_FILE' });
    expect(read(path)[1]?.slice(0, 3)).toEqual([3, 4, 5]);
  });

  test('an object that keeps track of its times gets the time of day', async () => {
    const path = join(folder, 'times.h5');
    python(
      '-c',
      `import h5py; h5py.File(${JSON.stringify(path)}, 'w', libver='latest').create_dataset('x/y', (10, 7), '<i4', chunks=(4, 3),
        maxshape=(None, 7), track_times=True)`,
    );
    await writeChunks(path, '/x/y', [whole([12, 0])], { shape: [16, 7] });
    const time = `import h5py; print(h5py.h5o.get_info(h5py.File(${JSON.stringify(path)})['x/y'].id).ctime)`;
    expect(new Date(Number(python('-c', time)) * 1000).getFullYear()).toBeGreaterThanOrEqual(2026);
  });

  test('32 dimensions are refused', async () => {
    const path = join(folder, 'dimensions.h5');
    python(
      '-c',
      `import h5py; h5py.File(${JSON.stringify(path)}, 'w').create_dataset('x', (1,) * 32, '<i4', chunks=(1,) * 32)`,
    );
    const chunk = { offset: new Array<number>(32).fill(0), data: new Uint8Array(4) };
    await expect(writeChunks(path, '/x', [chunk])).rejects.toMatchObject({ code: 'H5Z_E_UNSUPPORTED' });
    const report = await repack(path, `${path}.new`, { stages: [shuffle], registry });
    expect(report.datasets).toMatchObject([{ dataset: '/x', changed: false }]);
  });

  test('refuses a file that a writer has open', async () => {
    const path = join(folder, 'open.h5');
    const { id, cdValues } = ours();
    const copy = `f = h5py.File(${JSON.stringify(path)}, 'r+', libver='latest'); f.flush(); import shutil
shutil.copy(${JSON.stringify(path)}, ${JSON.stringify(`${path}.copy`)})`;
    python('-c', script(path, id, [...cdValues]) + copy);
    const refused = writeChunks(`${path}.copy`, '/x/y', [whole([0, 0])], { registry });
    await expect(refused).rejects.toMatchObject({ code: 'H5Z_FILE', message: expect.stringMatching(/h5clear/) });
  });
});

describe.skipIf(env.python === undefined)('repack', () => {
  test.each(['earliest', 'latest'])('keeps all but the pipelines, libver %s', async (libver) => {
    const input = join(folder, `${libver}.h5`);
    const output = join(folder, `${libver}-new.h5`);
    rewritten('make', input, libver);
    const stages = [shuffle, ours()];
    const progress: number[] = [];
    const onProgress = ({ done, total }: { done: number; total: number }) => progress.push(done / total);
    const report = await repack(input, output, { stages, registry, onProgress });
    expect(progress.at(-1)).toBe(1);
    const changed = report.datasets.filter((one) => one.changed);
    expect(changed.map(({ verified }) => verified)).toEqual(changed.map(() => 'equal'));
    for (const { reason } of report.datasets.filter((one) => !one.changed)) expect(reason).not.toBe('');
    const { objects, different, pipelines } = JSON.parse(rewritten('compare', input, output));
    expect(different).toEqual([]);
    expect(objects).toBeGreaterThan(20);
    for (const { dataset } of changed) expect(pipelines[dataset].filters, dataset).toEqual([2, ours().id]);
    expect(changed.map(({ dataset }) => dataset)).toEqual(expect.arrayContaining(['/g/a', '/one chunk', '/early']));
    expect([pipelines['/early'].early, pipelines['/g/a'].early]).toEqual([true, false]);

    for (const chunk of [[37, 90], [7], [1000, 1000]]) {
      await repack(input, output, { stages, registry, chunk, overwrite: true });
      const again = JSON.parse(rewritten('compare', input, output));
      expect(again.different, chunk.join()).toEqual([]);
      const name = chunk.length === 2 ? '/contiguous' : '/compound';
      const most = chunk.length === 2 ? [300, 400] : [1000];
      expect(again.pipelines[name].chunk).toEqual(chunk.map((n, i) => Math.min(n, most[i] as number)));
    }
    // And back: only one dataset, without a filter.
    await repack(output, `${output}.back`, { stages: [], registry, datasets: ['g/a'] });
    const back = JSON.parse(rewritten('compare', input, `${output}.back`));
    expect(back.different).toEqual([]);
    expect([back.pipelines['/g/a'].filters, back.pipelines['/plain'].filters]).toEqual([[], [2, ours().id]]);
  });

  test('tells what it would do, writes nothing that looks finished, and says what is wrong', async () => {
    const input = join(folder, 'whole.h5');
    const output = join(folder, 'out', '..', 'partial.h5');
    rewritten('make', input, 'earliest');
    const stages = [ours()];
    const dry = await repack(input, output, { stages, registry, dryRun: true });
    expect(dry.datasets.some(({ changed }) => changed)).toBe(true);
    expect(existsSync(output)).toBe(false);
    const controller = new AbortController();
    const onProgress = () => controller.abort(new Error('stopped'));
    await expect(repack(input, output, { stages, registry, onProgress, signal: controller.signal })).rejects.toThrow(
      'stopped',
    );
    expect(readdirSync(folder).filter((name) => name.startsWith('partial'))).toEqual([]);
    await expect(repack(input, input, { stages, registry, overwrite: true })).rejects.toMatchObject({
      code: 'H5Z_FILE',
    });
    await repack(input, output, { stages, registry });
    await expect(repack(input, output, { stages, registry })).rejects.toMatchObject({ code: 'H5Z_FILE' });
    await expect(repack(input, `${output}.x`, { stages: [{ id: 305, cdValues: [] }], registry })).rejects.toThrow(
      expect.objectContaining({ name: 'H5zError' }),
    );
    const cut = join(folder, 'cut.h5');
    writeFileSync(cut, readFileSync(input).subarray(0, 200_000));
    await expect(repack(cut, `${cut}.out`, { stages, registry })).rejects.toMatchObject({ name: 'H5zError' });
    expect(existsSync(`${cut}.out`)).toBe(false);
  });

  test('reads what a writer, at work or dead, has left marked as open; says when a file is none', async () => {
    const input = join(folder, 'marked.h5');
    const copies = [`${input}.plain`, `${input}.swmr`];
    python(
      '-c',
      `import h5py, numpy as np, shutil, sys
f = h5py.File(sys.argv[1], 'w', libver='latest')
f.create_dataset('x', data=np.arange(100), chunks=(10,), maxshape=(None,), compression='gzip')
f.flush(); shutil.copy(sys.argv[1], sys.argv[2])
f.swmr_mode = True
f['x'][50:] = 5
f.flush(); shutil.copy(sys.argv[1], sys.argv[3])`,
      input,
      ...copies,
    );
    for (const copy of copies) {
      await repack(copy, `${copy}.new`, { stages: [ours()], registry });
      const values = 'import h5py, sys; print(int(h5py.File(sys.argv[1])["x"][()].sum()))';
      expect(python('-c', values, `${copy}.new`).trim()).toBe(copy.endsWith('swmr') ? '1475' : '4950');
    }
    writeFileSync(input, 'no HDF5 file');
    const none = { code: 'H5Z_E_CORRUPT', message: expect.stringContaining('signature not found') };
    await expect(open(input)).rejects.toMatchObject(none);
  });

  test.skipIf(process.platform === 'win32')('writes what a symbolic link leads to, and only files', async () => {
    const input = join(folder, 'straight.h5');
    const [link, target] = [join(folder, 'link.h5'), join(folder, 'behind.h5')];
    rewritten('make', input, 'latest');
    symlinkSync('behind.h5', link);
    await repack(input, link, { stages: [shuffle], registry });
    expect(readlinkSync(link)).toBe('behind.h5');
    expect(JSON.parse(rewritten('compare', input, target)).different).toEqual([]);
    // Behind a linked folder, `..` goes up from where that folder really is: not from the link.
    mkdirSync(join(folder, 'data/deep'), { recursive: true });
    mkdirSync(join(folder, 'home'));
    symlinkSync('../data/deep', join(folder, 'home/linked'));
    symlinkSync('../there.h5', join(folder, 'data/deep/link.h5'));
    writeFileSync(join(folder, 'home/there.h5'), 'another file');
    const through = join(folder, 'home/linked/link.h5');
    await repack(input, through, { stages: [shuffle], registry, overwrite: true });
    expect(readFileSync(join(folder, 'home/there.h5'), 'utf8')).toBe('another file');
    expect(JSON.parse(rewritten('compare', input, join(folder, 'data/there.h5'))).different).toEqual([]);
    await expect(repack(through, through, { stages: [], registry, overwrite: true })).rejects.toMatchObject({
      message: expect.stringContaining('the file to read'),
    });
    symlinkSync('circle.h5', join(folder, 'circle.h5'));
    for (const none of [folder, join(folder, 'circle.h5')]) {
      const refused = repack(input, none, { stages: [shuffle], registry, overwrite: true });
      await expect(refused).rejects.toMatchObject({ code: 'H5Z_FILE' });
    }
  });

  test('a lossy filter is verified to decode, and where it is not for the data they are kept', async () => {
    const lossy = registry.packages.find(({ description }) => description.lossy && description.name === 'bitround');
    if (!lossy) return;
    const input = join(folder, 'lossy.h5');
    rewritten('make', input, 'earliest');
    const report = await repack(input, `${input}.out`, { stages: [lossy({})], registry });
    const states = new Set(report.datasets.map(({ verified, reason }) => verified ?? reason));
    expect(states.has('equal')).toBe(false);
    const file = await open(`${input}.out`);
    for (const { dataset } of report.datasets.filter(({ changed }) => changed))
      await readAll(file.dataset(dataset), registry);
    file.close();
  });
});
if (env.python === undefined) test(`writing: ${need('python')}`, ({ skip }) => skip(need('python')));
