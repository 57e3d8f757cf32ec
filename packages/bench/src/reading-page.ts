// What `./farm docs` makes of docs/data/reading.json: docs/benchmarks-reading.md and the plot beside it.

import { FILES, type ReadingParts, type ReadingResult, type ReadingRow } from './reading.ts';

const megabytes = (bytes: number, seconds: number): string => `${(bytes / 1e6 / seconds).toFixed(0)} MB/s`;
const ms = (seconds: number): string => `${(seconds * 1000).toFixed(1)} ms`;
const MB = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line), ''];
}

/** The least seconds in which `threads` threads can put a file's values in memory: codecs, or memory written once. */
function floorOf({ direct, bytes }: ReadingParts, copy: readonly number[], threads: number): number {
  return Math.max(direct / threads, bytes / (copy[threads - 1] ?? Number.POSITIVE_INFINITY));
}

/** docs/benchmarks-reading.md. */
export function readingPage(result: ReadingResult): string {
  const { machine, parts, copy, fresh } = result;
  const speed = (row: ReadingRow, seconds: number) =>
    row.what === 'list' ? `${(seconds * 1000).toFixed(0)} ms` : megabytes(row.amount, seconds);
  const name = (row: ReadingRow): string => {
    if (row.what === 'list') return `list ${row.amount.toLocaleString('en')} chunks`;
    return { read: row.file, fresh: `${row.file}, nothing kept`, into: `${row.file}, array given` }[row.what];
  };
  const compared = result.rows.map((row) => [
    name(row),
    String(row.threads),
    speed(row, row.ours),
    speed(row, row.theirs),
    row.ratio.toFixed(2),
  ]);
  const where = parts.map((part) => {
    const clearing = Math.max(0, part.whole - part.into);
    const rest = Math.max(0, part.into - part.read - part.pipeline);
    return [part.file, ms(part.whole), ms(part.pipeline), ms(part.read), ms(clearing), ms(rest)];
  });
  const direct = parts.map((part) => [
    part.file,
    megabytes(part.bytes, part.direct),
    megabytes(part.bytes, part.pipeline),
    (part.pipeline / part.direct).toFixed(2),
  ]);
  const scaling = parts.flatMap((part) =>
    part.scaling.map((seconds, i) => [
      part.file,
      String(i + 1),
      megabytes(part.bytes, seconds),
      ((part.scaling[0] ?? 0) / seconds).toFixed(2),
      megabytes(part.bytes, floorOf(part, copy, i + 1)),
      `${((floorOf(part, copy, i + 1) / seconds) * 100).toFixed(0)} %`,
    ]),
  );
  const memory = parts.flatMap((part) =>
    part.beside.map(({ threads, bytes }) => [
      part.file,
      String(threads),
      MB(part.bytes),
      MB(bytes),
      MB(threads * (2 * part.chunkBytes + part.storedBytes)),
    ]),
  );
  return [
    '# Reading whole files',
    '',
    `Measured on ${result.date} on ${machine.cpu} (${machine.cores} cores, ${machine.os}, Node ${machine.node}); ` +
      `${Object.entries(result.versions)
        .map(([what, version]) => `${what} ${version}`)
        .join(', ')}.`,
    '',
    '![readDataset beside h5py, and how fast this machine can be](benchmarks-reading.svg)',
    '',
    '`readDataset` of @h5z/chunks beside `h5py.File(path)["data"][()]` with hdf5plugin\'s filters, alternating, medians of ' +
      `${result.rounds} rounds (CPU time on one thread, wall-clock time on two), opening the file and making the array included; ` +
      'h5py always makes a new array, in memory of the system. `readDataset` makes one in memory that @h5z/native has kept of arrays ' +
      'that nobody has any more; `nothing kept` is the same with `setMaxMemoryKept(0)`: what the first reads of a program cost. ' +
      '`array given` is `readDataset` with `into` beside `read_direct`, to an array that is used again. The files are made for this: ' +
      `${FILES.filter(({ file }) => result.rows.some((row) => row.file === file))
        .map(({ file, about }) => `**${file}** (${about})`)
        .join('; ')}. \`ratio\` above 1: ours is faster.`,
    '',
    ...table(['file', 'threads', 'readDataset', 'h5py', 'ratio'], compared),
    '## Where the time goes',
    '',
    'CPU time of one read on one thread, the least of several. `codecs`: all chunks decoded one after the other into one output ' +
      "that stays in the cache. `reading`: the stored chunks out of the system's cache, by `pread` on the thread that decodes them. " +
      '`new memory`: what a new array costs more than one that is there where nothing is kept: the system clears every page before it is written, in ' +
      `pages of 2 MiB where Linux gives them, ${(fresh / 1e9).toFixed(1)} GB/s here, and V8 collects the arrays of before; a virtual machine may first have to ask its host for the memory, which makes this the ` +
      'part that differs most from run to run, and the reason to keep memory. ' +
      '`all else`: values written to memory instead of the cache, chunks that are not whole rows placed row by row, libhdf5 ' +
      'finding them, and JavaScript.',
    '',
    ...table(['file', 'one read', 'codecs', 'reading', 'new memory', 'all else'], where),
    'The same filter libraries called directly by a loop in C (`packages/bench/src/reading.c`), chunk by chunk, into one output:',
    '',
    ...table(['file', 'C', 'pipeline', 'time, pipeline / C'], direct),
    '## Threads and the roof',
    '',
    `Wall-clock rates to an array that is there. The roof is the lower of two: the codecs as C runs them times the threads, and ` +
      `memory, which has to take every value once (a copy runs at ${copy.map((rate, i) => `${(rate / 1e9).toFixed(1)} GB/s on ${i + 1}`).join(', ')} ` +
      'threads here).',
    '',
    ...table(['file', 'threads', 'readDataset', 'times one', 'roof', 'of the roof'], scaling),
    '## Memory',
    '',
    'Most memory beside the output while a file is read, in a process of its own. What depends on the file is bounded by a chunk as ' +
      "stored and two decoded for each thread, the last column; libhdf5's memory (4 MiB) and JavaScript's, the same for every " +
      'file, are in what was measured.',
    '',
    ...table(['file', 'threads', 'output', 'beside it', 'threads x chunks'], memory),
    'This page is made from `docs/data/reading.json` by `./farm docs`; `./farm bench --only reading` measures anew.',
    '',
  ].join('\n');
}

const WIDTH = 900;
const LEFT = 190;
const RIGHT = 90;
const BAR = 20;
const INK = '#222';
const QUIET = '#666';
const OURS = '#1f5fa8';
const THEIRS = '#b9b9b9';
const ROOF = '#b8500c';

/** docs/benchmarks-reading.svg: bars of MB/s for each file and number of threads, with the roof over ours. */
export function readingPlot(result: ReadingResult): string {
  const rows = result.rows.filter(({ what }) => what === 'read');
  const rate = (bytes: number, seconds: number) => bytes / 1e6 / seconds;
  const roofOf = (row: ReadingRow): number => {
    const part = result.parts.find(({ file }) => file === row.file);
    return part === undefined ? 0 : rate(part.bytes, floorOf(part, result.copy, row.threads));
  };
  const most = Math.max(
    1,
    ...rows.flatMap((row) => [rate(row.amount, row.ours), rate(row.amount, row.theirs), roofOf(row)]),
  );
  const step = stepOf(most);
  const end = Math.ceil(most / step) * step;
  const x = (value: number) => Math.round(LEFT + (value / end) * (WIDTH - LEFT - RIGHT));
  const top = 96;
  const group = 2 * BAR + 22;
  const height = top + rows.length * group + 44;
  const bottom = top + rows.length * group;
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
      `font-family="system-ui, Helvetica, Arial, sans-serif" font-size="13" fill="${INK}">`,
    '<title>Reading whole files: readDataset beside h5py</title>',
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(24, 30, 'Reading whole files', 'font-size="18" font-weight="600"'),
    text(
      24,
      52,
      `MB/s of values, open to array; ${escaped(result.machine.cpu)}, ${result.machine.cores} cores`,
      `fill="${QUIET}"`,
    ),
    ...legend(),
  ];
  for (let value = 0; value <= end; value += step) {
    out.push(`<line x1="${x(value)}" y1="${top - 6}" x2="${x(value)}" y2="${bottom}" stroke="#e3e3e3"/>`);
    out.push(text(x(value), bottom + 20, value.toLocaleString('en'), `text-anchor="middle" fill="${QUIET}"`));
  }
  for (const [i, row] of rows.entries()) {
    const y = top + i * group;
    const threads = row.threads === 1 ? '1 thread' : `${row.threads} threads`;
    out.push(text(LEFT - 12, y + BAR - 5, row.file, 'text-anchor="end" font-weight="600"'));
    out.push(text(LEFT - 12, y + 2 * BAR - 4, threads, `text-anchor="end" fill="${QUIET}"`));
    for (const [k, [seconds, colour]] of (
      [
        [row.ours, OURS],
        [row.theirs, THEIRS],
      ] as const
    ).entries()) {
      const value = rate(row.amount, seconds);
      out.push(
        `<rect x="${LEFT}" y="${y + k * BAR}" width="${x(value) - LEFT}" height="${BAR - 2}" fill="${colour}"/>`,
      );
      const label = k === 0 ? `${value.toFixed(0)} (${row.ratio.toFixed(2)} x)` : value.toFixed(0);
      // Beside the bar, or beyond the roof's mark where that would be in the way.
      const mark = x(roofOf(row));
      const bar = x(value);
      const covered = k === 0 && mark > bar - 4 && mark < bar + 8 + label.length * 7;
      out.push(text((covered ? mark + 2 : bar) + 6, y + k * BAR + BAR - 6, label));
    }
    const roof = x(roofOf(row));
    out.push(`<line x1="${roof}" y1="${y - 4}" x2="${roof}" y2="${y + BAR + 1}" stroke="${ROOF}" stroke-width="3"/>`);
  }
  out.push('</svg>');
  return `${out.join('\n')}\n`;
}

function legend(): string[] {
  const items = [
    ['readDataset (times h5py)', OURS],
    ['h5py with hdf5plugin', THEIRS],
    ['the roof: codecs in C, or memory', ROOF],
  ] as const;
  let at = 24;
  return items.flatMap(([label, colour], i) => {
    const mark =
      i === 2
        ? `<rect x="${at + 4}" y="62" width="3" height="16" fill="${colour}"/>`
        : `<rect x="${at}" y="64" width="12" height="12" fill="${colour}"/>`;
    const parts = [mark, text(at + 18, 75, label)];
    at += 18 + label.length * 7 + 24;
    return parts;
  });
}

/** A round distance between four to eight marks. */
function stepOf(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  return [0.2, 0.5, 1, 2].map((n) => n * power).find((n) => most / n <= 8) ?? power;
}

function text(x: number, y: number, words: string, more = ''): string {
  return `<text x="${x}" y="${y}"${more && ` ${more}`}>${words}</text>`;
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
