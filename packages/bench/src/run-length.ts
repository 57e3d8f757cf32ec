// The worked example of docs/guide-new-filter.md beside the filters that people use on mostly black images: compression and
// speed of the native variants on the neutron and detector arrays.
//
//   node packages/bench/src/run-length.ts ../shared/arrays lz4 lzf bitshuffle:codec=lz4
//
// builds docs/examples/run-length, measures, writes docs/data/run-length.json and the table in the guide.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Codec, type FilterDescription, isH5zError, toClientValues } from '../../core/dist/index.js';
import { currentPlatform } from '../../core/dist/node.js';
import { loadNative } from '../../native/dist/index.js';
import { chunksOf, readArrays } from './data.ts';
import { thisMachine } from './types.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const EXAMPLE = 'docs/examples/run-length';
const ROUNDS = 15;
/** Least seconds of one measurement. */
const LEAST = 0.03;

interface Row {
  readonly array: string;
  readonly filter: string;
  readonly nbytes: number;
  /** Bytes of the chunks / bytes encoded; a chunk that would not become smaller counts as it is. */
  readonly compression: number;
  /** Medians over the rounds, 10^6 bytes of chunk data per second of one thread. */
  readonly encode: number;
  readonly decode: number;
}

interface Contender {
  readonly label: string;
  readonly codec: Codec;
  readonly description: FilterDescription;
  readonly options: Record<string, unknown>;
}

/** `name` or `name:parameter=word`, of a filter in `folder`. */
function load(label: string, folder: string): Contender {
  const [, option] = label.split(':');
  const options = option === undefined ? {} : Object.fromEntries([option.split('=')]);
  const description = JSON.parse(readFileSync(join(ROOT, folder, 'filter.json'), 'utf8')) as FilterDescription;
  const suffix = { darwin: 'dylib', win32: 'dll' }[process.platform as string] ?? 'so';
  const library = join(ROOT, folder, 'prebuilds', currentPlatform(), `libh5z_${description.name}.${suffix}`);
  return { label, codec: loadNative(library), description, options };
}

/** Seconds of one call of `work`, over as many as take a while. */
function secondsOf(work: () => void): number {
  let calls = 0;
  const start = process.hrtime.bigint();
  for (;;) {
    work();
    calls++;
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    if (seconds >= LEAST) return seconds / calls;
  }
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

function measure(folder: string, beside: readonly string[]): Row[] {
  const others = beside.map((label) => load(label, join('filters', label.split(':')[0] ?? '')));
  const contenders = [load('run-length', EXAMPLE), ...others];
  const rows: Row[] = [];
  const arrays = readArrays(folder, tmpdir()).filter(
    ({ kind, dtype, folder: place }) => place === folder && /neutron|detector/.test(kind) && !dtype.includes('f'),
  );
  for (const array of arrays) {
    const { file, offsets, chunkBytes, description: dataset, nbytes } = chunksOf(array);
    const bytes = new Uint8Array(readFileSync(file));
    const chunks = offsets.map((offset) => bytes.subarray(offset, offset + chunkBytes));
    const works = contenders.map(({ codec, description, options, label }) => {
      const cdValues = codec.derive(toClientValues(description, options), dataset);
      const encoded = chunks.map((chunk) => {
        try {
          return codec.encode(chunk, { cdValues });
        } catch (error) {
          if (isH5zError(error) && error.code === 'H5Z_E_NOT_APPLICABLE') return undefined;
          throw error;
        }
      });
      const out = new Uint8Array(codec.encodeBound(chunkBytes, cdValues));
      const into = new Uint8Array(chunkBytes);
      const each = (work: (i: number) => void) => () => {
        for (const [i, chunk] of encoded.entries()) if (chunk !== undefined) work(i);
      };
      const encode = each((i) => codec.encodeInto(chunks[i] as Uint8Array, out, { cdValues }));
      const decode = each((i) => {
        codec.decodeInto(encoded[i] as Uint8Array, into, { cdValues });
      });
      for (const [i, chunk] of encoded.entries()) {
        if (chunk === undefined) continue;
        codec.decodeInto(chunk, into, { cdValues });
        if (Buffer.compare(into, chunks[i] as Uint8Array) !== 0)
          throw new Error(`${label} decodes ${array.file} to other pixels`);
      }
      const size = encoded.reduce((sum, chunk) => sum + (chunk?.length ?? chunkBytes), 0);
      return { label, encode, decode, times: { encode: [] as number[], decode: [] as number[] }, size };
    });
    for (let round = 0; round < ROUNDS; round++) {
      for (const work of round % 2 ? [...works].reverse() : works) {
        work.times.encode.push(secondsOf(work.encode));
        work.times.decode.push(secondsOf(work.decode));
      }
    }
    for (const { label, size, times } of works)
      rows.push({
        array: array.file,
        filter: label,
        nbytes,
        compression: nbytes / size,
        encode: nbytes / median(times.encode) / 1e6,
        decode: nbytes / median(times.decode) / 1e6,
      });
  }
  return rows;
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ array, filter, compression, encode, decode }) =>
      `| ${array} | ${filter} | ${compression.toFixed(2)} | ${encode.toFixed(0)} | ${decode.toFixed(0)} |`,
  );
  return [
    '| array | filter | compression | encode MB/s | decode MB/s |',
    '| --- | --- | ---: | ---: | ---: |',
    ...lines,
  ].join('\n');
}

const [place, ...beside] = process.argv.slice(2);
if (place === undefined || beside.length === 0)
  throw new Error('name the folder of arrays, then filters to compare with');
const folder = resolve(place);
execFileSync(process.execPath, [join(ROOT, 'packages/farm/src/h5z-abi.ts'), 'build', '--targets', currentPlatform()], {
  cwd: join(ROOT, EXAMPLE),
  stdio: 'inherit',
});
const rows = measure(folder, beside);
const result = {
  date: new Date().toISOString().slice(0, 10),
  ...thisMachine(),
  rounds: ROUNDS,
  rows,
};
writeFileSync(join(ROOT, 'docs/data/run-length.json'), `${JSON.stringify(result, null, 1)}\n`);
const guide = join(ROOT, 'docs/guide-new-filter.md');
const text = readFileSync(guide, 'utf8');
writeFileSync(
  guide,
  text.replace(/(<!-- measured -->\n)[\s\S]*?(\n<!-- end -->)/, (_, a: string, b: string) => a + table(rows) + b),
);
process.stdout.write(`${table(rows)}\n`);
