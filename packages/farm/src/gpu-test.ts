// ./farm gpu-test: the folder that tests the CUDA kernels on a machine with a GPU, and has nothing but NVIDIA's driver and Python:
//
//     gpu_test.py   the program            kernels/   the PTX that ./farm build made
//     cases.json    what is to be tested   cpu/       the same filters for the processor, to compare speeds
//     data.bin      all chunks, one behind the other      nvcomp/    NVIDIA's wheel, where one is given
//
// What damaged chunks must answer is what the filters' own code says here. Frames are the real ones of an arrays folder
// (../shared/arrays where there is one), or made up where there is none.

import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { FilterDescription } from '../../core/src/generated/schema.ts';
import type { Codec } from '../../core/src/types.ts';
import type { KernelNeeds } from '../../gpu/src/needs.ts';
import { damagedCopies, numbers } from './damage.ts';
import { readFilters } from './filters.ts';
import { goldenCases } from './golden.ts';
import { FarmError, say } from './log.ts';
import { OUT, ROOT } from './paths.ts';
import { libraryName } from './targets.ts';

/** Exit status of the program where there is no GPU. */
export const NO_GPU = 77;

export interface GpuTestOptions {
  /** Default: out/gpu-test. */
  readonly folder?: string | undefined;
  /** Folder with index.json, as ../shared/arrays is. */
  readonly arrays?: string | undefined;
  /** A wheel of nvidia-libnvcomp-cu12 or -cu13, version 6, to compare speeds with. */
  readonly nvcomp?: string | undefined;
}

interface Stage {
  readonly filter: string;
  readonly cd: readonly number[];
  /** Whether it asks for scratch as large as its output. */
  readonly scratch: KernelNeeds['scratch'];
}

/** Frames of detectors. */
const FRAMES = ['eiger4m_frame.u4.bin', 'eiger4m_frame_clip.u2.bin', 'pilatus_saxs_frames.i4.bin'];
const LZ4_BLOCK = 65536;
/** Blosc's number of LZ4. */
const BLOSC_LZ4 = 1;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** data.bin: chunks one behind the other, each at an offset that 16 divides; the same bytes lie there once. */
class Data {
  readonly parts: Uint8Array[] = [];
  readonly #places = new Map<string, number>();
  #end = 0;

  add(bytes: Uint8Array): { offset: number; bytes: number } {
    const key = sha256(bytes);
    const offset = this.#places.get(key) ?? this.#end;
    if (!this.#places.has(key)) {
      const room = Math.ceil(bytes.length / 16) * 16;
      this.parts.push(bytes, new Uint8Array(room - bytes.length));
      this.#end += room;
      this.#places.set(key, offset);
    }
    return { offset, bytes: bytes.length };
  }
}

interface Kernels {
  readonly folder: string;
  readonly description: FilterDescription;
  readonly text: string;
  readonly codec: Codec;
}

async function withKernels(): Promise<Kernels[]> {
  const { loadWasm } = await import('../../core/dist/index.js');
  const found: Kernels[] = [];
  for (const { dir, description } of await readFilters()) {
    const { id, name, variants } = description;
    if ((variants.cuda?.mode ?? 'none') === 'none') continue;
    const [ptx, wasm] = [join(dir, 'gpu', `${name}.ptx`), join(dir, 'wasm', `${name}.wasm`)];
    for (const file of [ptx, wasm])
      if (!existsSync(file)) throw new FarmError(`${file} is missing. Run ./farm build ${name}.`);
    const codec = await loadWasm(readFileSync(wasm), { id });
    found.push({ folder: dir, description, text: readFileSync(ptx, 'utf8'), codec });
  }
  return found;
}

/** What the filter itself makes of a chunk: a status, and the bytes' hash where that is 0. */
async function answerOf(codec: Codec, bytes: Uint8Array, cd: readonly number[], size: number) {
  const { FILTER_ERRORS, isH5zError } = await import('../../core/dist/index.js');
  const out = new Uint8Array(size);
  try {
    return { status: 0, sha256: sha256(out.subarray(0, codec.decodeInto(bytes, out, { cdValues: cd }))) };
  } catch (error) {
    if (!isH5zError(error)) throw error;
    return { status: FILTER_ERRORS[error.code as keyof typeof FILTER_ERRORS].value };
  }
}

/** What launches of the filter need, and whether its kernels take no chunk with these cd_values. */
type Needs = (name: string, cd: readonly number[]) => KernelNeeds;

/** The hash of what the filter makes of a chunk's decoded bytes. */
function encodedOf(codec: Codec, bytes: Uint8Array, cd: readonly number[], size: number): string {
  return sha256(codec.encode(codec.decode(bytes, { cdValues: cd, size }), { cdValues: cd }));
}

async function goldenOf({ folder, description, codec }: Kernels, data: Data, needs: Needs) {
  const { name } = description;
  /** Sound chunks may be left to the CPU, by a status of their own. */
  const mayRefuse = description.variants.cuda?.mode === 'partial';
  const random = numbers(description.id + 1);
  const golden: object[] = [];
  const damaged: object[] = [];
  for (const one of goldenCases(folder)) {
    const bytes = readFileSync(join(folder, 'golden', one.file));
    const { size, sha256: digest } = one;
    const cd = [...one.cdValues];
    const common = { filter: name, name: one.name, cd, size, ...(mayRefuse ? { mayRefuse } : {}) };
    const refused = needs(name, cd).refusal !== undefined;
    // Of a lossy filter what is encoded is told by its bytes.
    const encoded = description.lossy ? { encoded: encodedOf(codec, bytes, cd, size) } : {};
    golden.push({ ...common, refused, ...data.add(bytes), sha256: digest, ...encoded });
    if (size === 0 || size > 20_000 || refused) continue;
    for (const [i, copy] of damagedCopies(bytes, 4, random).entries()) {
      damaged.push({
        ...common,
        name: `${one.name}, damaged ${i}`,
        ...data.add(copy),
        ...(await answerOf(codec, copy, cd, size)),
      });
      // A sound one behind it, which it must not spoil.
      damaged.push({ ...common, ...data.add(bytes), status: 0, sha256: digest });
    }
  }
  return { golden, damaged };
}

/** Floats of simulations and models. */
const FLOATS = ['sim_vorticity_128_128_41.f4.bin'];
const ZFP_RATE = 8;

interface Raw {
  readonly data: string;
  readonly itemSize: number;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Counts of photons as a detector has them, few and mostly small, made up: a block of 64 KiB and a bit. */
function madeUp(): Raw {
  const random = numbers(2);
  const values = Uint16Array.from({ length: 35_003 }, () => (random(8) === 0 ? random(6) : 0));
  const bytes = new Uint8Array(values.buffer);
  return { data: 'made-up counts', itemSize: 2, shape: [values.length], bytes };
}

/** A smooth field of floats, made up. */
function madeUpField(): Raw {
  const shape = [10, 21, 42];
  const values = new Float32Array(10 * 21 * 42).map((_, i) => Math.sin(i / 50) * Math.cos(i / 882));
  return { data: 'a made-up field', itemSize: 4, shape, bytes: new Uint8Array(values.buffer) };
}

/** Arrays of the folder by their names, as far as it has them. */
function arraysOf(arrays: string, names: readonly string[]): Raw[] {
  interface Listed {
    readonly file: string;
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly kind: string;
    readonly sha256: string;
  }
  const listed = JSON.parse(readFileSync(join(arrays, 'index.json'), 'utf8')) as Listed[];
  return names.flatMap((name) => {
    const one = listed.find(({ file }) => file === name);
    if (one === undefined) return [];
    const bytes = readFileSync(join(arrays, name));
    if (sha256(bytes) !== one.sha256)
      throw new FarmError(`${join(arrays, name)} is not what its index.json describes.`);
    const itemSize = Number(/\d+$/.exec(one.dtype)?.[0] ?? 1);
    return [{ data: `${name} (${one.kind})`, itemSize, shape: one.shape, bytes }];
  });
}

const stageOf = (needs: Needs, filter: string, cd: readonly number[]): Stage => ({
  filter,
  cd,
  scratch: needs(filter, cd).scratch,
});

/** A frame through pipelines as files have them; what is between two stages is as large as here. */
function chunksOf(
  { data, itemSize, bytes }: Raw,
  codecs: ReadonlyMap<string, Codec>,
  all: Data,
  needs: Needs,
): object[] {
  const bitshuffle = [0, 4, itemSize, 0, 2];
  const pipelines: readonly (readonly [string, readonly (readonly [string, readonly number[]])[]])[] = [
    ['bitshuffle-lz4', [['bitshuffle', bitshuffle]]],
    ['lz4 in 64 KiB blocks', [['lz4', [LZ4_BLOCK]]]],
    [
      'shuffle, lz4 in 64 KiB blocks',
      [
        ['shuffle', [itemSize]],
        ['lz4', [LZ4_BLOCK]],
      ],
    ],
    [
      'bitshuffle-lz4, fletcher32',
      [
        ['bitshuffle', bitshuffle],
        ['fletcher32', []],
      ],
    ],
    ['blosc with LZ4', [['blosc', [2, 2, itemSize, bytes.length, 5, 1, BLOSC_LZ4]]]],
    ['blosc2 with LZ4', [['blosc2', [1, 0, itemSize, bytes.length, 5, 1, BLOSC_LZ4]]]],
  ];
  // The folder is to stay small: of large frames those that detectors write, and two more.
  const some = bytes.length > 16 << 20 ? [0, 2, 4] : bytes.length > 8 << 20 ? [0, 1, 5] : [0, 1, 2, 3, 4, 5];
  const bothWays = (what: string, filter: string, cd: readonly number[]): object => {
    const room = codecs.get(filter)?.encodeBound(bytes.length, cd) ?? bytes.length;
    return { what, room, ...stageOf(needs, filter, cd) };
  };
  return some.map((which) => {
    const [what, stages] = pipelines[which] as (typeof pipelines)[0];
    const sizes = [bytes.length];
    let stored = bytes;
    for (const [name, cd] of stages) {
      const codec = codecs.get(name);
      if (codec === undefined) throw new FarmError(`The filter ${name} has no kernels.`);
      stored = codec.encode(stored, { cdValues: cd });
      sizes.push(stored.length);
    }
    const undone = stages.map(([filter, cd]) => stageOf(needs, filter, cd)).reverse();
    return {
      what,
      data,
      stages: undone,
      rooms: sizes.slice(0, -1).reverse(),
      size: bytes.length,
      sha256: sha256(bytes),
      endToEnd: what === 'bitshuffle-lz4',
      // What needs no stored chunk: the device makes it of the frame, and undoes it again.
      bothWays:
        what === 'bitshuffle-lz4'
          ? [
              bothWays('shuffle', 'shuffle', [itemSize]),
              bothWays('bitshuffle', 'bitshuffle', [0, 4, itemSize, 0, 0]),
              bothWays('bitshuffle-lz4', 'bitshuffle', bitshuffle),
              bothWays('lz4 in 64 KiB blocks', 'lz4', [LZ4_BLOCK]),
            ]
          : [],
      ...all.add(stored),
    };
  });
}

/** A field at a fixed rate of zfp: what it decodes to is what the filter's own code makes of it. */
function rateOf({ data, shape, bytes }: Raw, zfp: Codec, all: Data, needs: Needs): object {
  const rate = new Uint32Array(new Float64Array([ZFP_RATE]).buffer);
  const cd = [...zfp.derive([1, 0, ...rate], { typeClass: 'float', typeSize: 4, chunk: shape })];
  const stored = zfp.encode(bytes, { cdValues: cd });
  const decoded = zfp.decode(stored, { cdValues: cd, size: bytes.length });
  // What the device encodes is what it decoded, and that loses a little once more.
  const again = zfp.decode(zfp.encode(decoded, { cdValues: cd }), { cdValues: cd, size: bytes.length });
  return {
    what: `zfp at ${ZFP_RATE} bits a value`,
    data,
    stages: [stageOf(needs, 'zfp', cd)],
    rooms: [bytes.length],
    size: bytes.length,
    sha256: sha256(decoded),
    endToEnd: false,
    bothWays: [{ what: 'zfp', room: stored.length, sha256: sha256(again), ...stageOf(needs, 'zfp', cd) }],
    ...all.add(stored),
  };
}

/** Makes the folder anew; returns its path. */
export async function makeGpuTest(options: GpuTestOptions = {}): Promise<string> {
  const folder = resolve(options.folder ?? join(OUT, 'gpu-test'));
  rmSync(folder, { recursive: true, force: true });
  for (const name of ['kernels', 'cpu']) mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(join(import.meta.dirname, 'gpu_test.py'), join(folder, 'gpu_test.py'));

  const filters = await withKernels();
  const { kernelNeeds } = await import('../../gpu/dist/needs.js');
  const described = new Map(filters.map(({ description }) => [description.name, description]));
  const needs: Needs = (name, cd) => {
    const description = described.get(name);
    if (description === undefined) throw new FarmError(`The filter ${name} has no kernels.`);
    return kernelNeeds(description, cd);
  };
  const data = new Data();
  const kernels: object[] = [];
  const golden: object[] = [];
  const damaged: object[] = [];
  for (const one of filters) {
    const { name } = one.description;
    const file = `kernels/${name}.ptx`;
    writeFileSync(join(folder, file), one.text);
    const names = [...one.text.matchAll(/\.visible \.entry (\w+)\(/g)].map(([, kernel]) => kernel ?? '').sort();
    const of = (direction: string): string[] => names.filter((kernel) => kernel.startsWith(`h5z_${name}_${direction}`));
    const { lanes } = needs(name, []);
    kernels.push({
      filter: name,
      file,
      sha256: sha256(Buffer.from(one.text)),
      lanes,
      decode: of('decode'),
      encode: of('encode'),
    });
    const chunks = await goldenOf(one, data, needs);
    golden.push(...chunks.golden);
    damaged.push(...chunks.damaged);
    const library = join(one.folder, 'prebuilds/linux-x64', libraryName(name, 'linux-x64'));
    if (existsSync(library)) copyFileSync(library, join(folder, 'cpu', basename(library)));
  }
  const codecs = new Map(filters.map(({ description, codec }) => [description.name, codec]));
  const { arrays } = options;
  const raws = arrays === undefined ? [madeUp()] : arraysOf(arrays, FRAMES);
  const fields = arrays === undefined ? [madeUpField()] : arraysOf(arrays, FLOATS);
  const frames = raws.flatMap((raw) => chunksOf(raw, codecs, data, needs));
  const zfp = codecs.get('zfp');
  if (zfp !== undefined) frames.push(...fields.map((field) => rateOf(field, zfp, data, needs)));
  const commit = existsSync(join(ROOT, '.git'))
    ? execFileSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim()
    : undefined;
  if (options.nvcomp !== undefined) {
    if (!existsSync(options.nvcomp)) throw new FarmError(`There is no ${options.nvcomp}. Pass the wheel's file.`);
    mkdirSync(join(folder, 'nvcomp'));
    copyFileSync(options.nvcomp, join(folder, 'nvcomp', basename(options.nvcomp)));
  }
  writeFileSync(join(folder, 'data.bin'), Buffer.concat(data.parts));
  const cases = {
    made: { commit, frames: arrays === undefined ? 'made up' : 'real' },
    kernels,
    golden,
    damaged,
    frames,
  };
  writeFileSync(join(folder, 'cases.json'), `${JSON.stringify(cases)}\n`);
  say(`${folder}: ${golden.length} golden chunks, ${damaged.length} beside damaged ones, ${frames.length} frames`);
  return folder;
}

/** Packs the folder as FOLDER.tar.gz. */
export function packGpuTest(folder: string): string {
  const file = `${folder}.tar.gz`;
  execFileSync('tar', ['-czf', file, '-C', dirname(folder), basename(folder)]);
  return file;
}

/** Runs the program of the folder; its JSON goes to stdout, and its exit status comes back. */
export function runGpuTest(folder: string, args: readonly string[] = []): Promise<number> {
  return new Promise((done, failed) => {
    const child = spawn('python3', [join(folder, 'gpu_test.py'), '--out', join(folder, 'result.json'), ...args], {
      stdio: 'inherit',
    });
    child.once('error', () => failed(new FarmError('python3 does not start. Install Python 3.8 or newer.')));
    child.once('exit', (status) => done(status ?? 1));
  });
}
