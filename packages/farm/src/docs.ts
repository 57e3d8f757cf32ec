// `./farm docs`: writes the pages that are made from data: docs/filters/<name>.md from every filter.json (and the manifest,
// once built), docs/filters/README.md with the catalogue of all registered IDs, docs/benchmarks.md from docs/data/bench.json.
// The filter pages are not kept in git, so that a new filter folder changes nothing else; the benchmarks are.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HsdsResult, hsdsPage } from '../../bench/src/hsds.ts';
import type { ReadingResult } from '../../bench/src/reading.ts';
import { readingPage, readingPlot } from '../../bench/src/reading-page.ts';
import { type BenchResult, type BenchRow, geometricMean } from '../../bench/src/types.ts';
import type { FilterDescription, Manifest, Parameter, Place } from '../../core/src/types.ts';
import { gpuPage, gpuResults } from './gpu-results.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

const json = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T;
const optionalJson = <T>(file: string): T | undefined => (existsSync(file) ? json<T>(file) : undefined);
const cell = (text: string | number | undefined): string =>
  String(text ?? '')
    .replaceAll('|', '\\|')
    .replaceAll('\n', ' ');
const bytes = (n: number): string => n.toLocaleString('en');

/** A Markdown table; numbers are aligned right by `right`, the indices of such columns. */
function table(
  head: readonly string[],
  rows: readonly (readonly (string | number | undefined)[])[],
  right: number[] = [],
) {
  return [
    `| ${head.join(' | ')} |`,
    `| ${head.map((_, i) => (right.includes(i) ? '---:' : '---')).join(' | ')} |`,
    ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`),
  ].join('\n');
}

function place(at: Place | undefined): string {
  if (at === undefined) return '';
  const as = at.as ?? 'uint32';
  const bits = at.width !== undefined ? ` ${at.shift}..${(at.shift ?? 0) + (at.width ?? 1) - 1}` : '';
  const words = as.startsWith('float64') ? `[${at.word}], [${at.word + 1}]` : `[${at.word}]`;
  return as === 'uint32' ? words : `${words} as ${as}${bits}`;
}

function range(parameter: Parameter): string {
  if (parameter.values !== undefined) {
    return Object.entries(parameter.values)
      .map(([word, value]) => `\`${word}\` = ${value}`)
      .join(', ');
  }
  if (parameter.type === 'boolean') return '`true`, `false`';
  const low = parameter.minimum ?? parameter.exclusiveMinimum;
  const high = parameter.maximum ?? parameter.exclusiveMaximum;
  const multiple = parameter.multipleOf === undefined ? '' : `, multiple of ${parameter.multipleOf}`;
  return low === undefined && high === undefined ? `any${multiple}` : `${low ?? '…'} to ${high ?? '…'}${multiple}`;
}

function whenText(parameter: Parameter): string {
  if (parameter.when === undefined) return '';
  const parts = Object.entries(parameter.when).map(([name, value]) => `${name} = ${[value].flat().join(' or ')}`);
  return ` Only with ${parts.join(' and ')}.`;
}

/** The page of one filter. `manifest` is there once the filter is packed. */
export function filterPage(folder: string): string {
  const filter = json<FilterDescription>(join(folder, 'filter.json'));
  const pkg = json<{ name: string; version: string }>(join(folder, 'package.json'));
  const manifest = optionalJson<Manifest>(join(folder, 'manifest.json'));
  const identifier = filter.name.replace(/[^A-Za-z0-9]+(.)?/g, (_, next: string | undefined) =>
    (next ?? '').toUpperCase(),
  );
  const parts = [
    `# ${filter.title}`,
    '',
    `${filter.summary}`,
    '',
    table(
      ['', ''],
      [
        ['HDF5 filter ID', filter.id],
        ['canonical name', `\`${filter.name}\``],
        ['npm package', `\`${pkg.name}\` ${pkg.version}`],
        ['lossy', filter.lossy ? 'yes' : 'no'],
        ['licence', filter.licence],
        ['variants', Object.keys(filter.variants).join(', ')],
        ...(filter.limits?.maxChunkBytes === undefined
          ? []
          : [['largest chunk', `${bytes(filter.limits.maxChunkBytes)} bytes`]]),
        ...(filter.aliases ?? []).map((alias) => ['also found as', `${alias.id}: ${alias.doc}`]),
      ],
    ),
    '',
    '## Use',
    '',
    '```sh',
    `npm install ${pkg.name}`,
    '```',
    '',
    '```js',
    `import ${identifier} from '${pkg.name}';`,
    '',
    `const codec = await ${identifier}.load();`,
    'const values = codec.decode(chunk, { cdValues, size }); // cdValues: as stored in the file; size: bytes of a whole chunk',
    '```',
    '',
    '## Parameters',
    '',
  ];
  if (filter.parameters.length === 0) parts.push('None.', '');
  else {
    parts.push(
      table(
        ['name', 'type', 'values', 'default', 'unit', 'client cd_values', 'stored cd_values', 'meaning'],
        filter.parameters.map((p) => [
          `\`${p.name}\``,
          p.type,
          range(p),
          p.default === undefined ? 'required' : `\`${p.default}\``,
          p.unit,
          place(p.client),
          place(p.stored ?? p.client),
          p.doc + whenText(p),
        ]),
      ),
      '',
    );
  }
  if (filter.derived !== undefined && filter.derived.length > 0) {
    parts.push(
      'HDF5 adds to the stored cd_values when a dataset is created:',
      '',
      table(
        ['name', 'stored cd_values', 'meaning'],
        filter.derived.map((d) => [`\`${d.name}\``, place(d.stored), d.doc]),
      ),
      '',
    );
  }
  parts.push(...gpuLines(filter));
  parts.push('## Codecs inside', '', table(['upstream', 'version', 'licence'], filter.upstreams.map(upstreamRow)), '');
  if (filter.zarr !== undefined)
    parts.push(
      `Zarr: these are the chunks of numcodecs' \`${filter.zarr.id}\`. With the native library's folder on HDF5_PLUGIN_PATH, netCDF-C's ` +
        'NCZarr reads and writes such stores.',
      '',
    );
  if (manifest !== undefined) {
    const { native, wasm, h5wasm, cuda, webgpu } = manifest.variants;
    parts.push(
      '## Files of this build',
      '',
      table(
        ['variant', 'for', 'bytes', 'SHA-256', 'verified'],
        [
          ...native.map((f) => ['native', f.platform, bytes(f.size), `\`${f.sha256}\``, f.verified]),
          ...wasm.map((f) => [
            'wasm',
            f.encode ? 'encode, decode' : 'decode',
            bytes(f.size),
            `\`${f.sha256}\``,
            f.verified,
          ]),
          ...h5wasm.map((f) => ['h5wasm', 'h5wasm', bytes(f.size), `\`${f.sha256}\``, f.verified]),
          ...Object.entries({ cuda, webgpu }).flatMap(([variant, { size, sha256, verifiedOn }]) =>
            sha256 === undefined
              ? []
              : [
                  [
                    variant,
                    variant === 'cuda' ? 'PTX kernels' : 'WGSL kernels',
                    bytes(size ?? 0),
                    `\`${sha256}\``,
                    verifiedOn?.join(', ') || 'on no GPU',
                  ],
                ],
          ),
        ],
        [2],
      ),
      '',
    );
  }
  parts.push('This page is made from `filter.json` by `./farm docs`.', '');
  return parts.join('\n');
}

type Launch = NonNullable<FilterDescription['gpu']>;
type Rule = NonNullable<Launch['refuses']>[number];

/** What the kernels do and what launches of them need. */
function gpuLines({ variants, gpu = {} }: FilterDescription): string[] {
  const kinds = Object.entries({ CUDA: variants.cuda, WebGPU: variants.webgpu });
  const lines = kinds.flatMap(([kind, one]) =>
    one === undefined ? [] : [`- ${kind}, ${one.mode}: ${one.reason ?? 'all of it'}.`],
  );
  if (lines.length === 0) return [];
  const where = (rule: Rule | undefined): string => (rule === undefined ? '' : ` where ${ruleText(rule)}`);
  if (gpu.lanes !== undefined) lines.push(`- Groups have ${gpu.lanes} lanes on CUDA.`);
  for (const [direction, wanted = false] of Object.entries(gpu.scratch ?? {})) {
    if (wanted === false) continue;
    const rules = wanted === true ? '' : ` where ${wanted.map(ruleText).join(', or ')}`;
    lines.push(`- To ${direction} takes scratch as large as the output${rules}.`);
  }
  for (const rule of gpu.refuses ?? []) lines.push(`- The CPU decodes all chunks${where(rule)}: ${rule.reason}.`);
  if (gpu.size !== undefined) lines.push(`- Any chunk becomes ${gpu.size.adds} bytes longer${where(gpu.size.rule)}.`);
  return ['## On a GPU', '', ...lines, ''];
}

function ruleText({ when = {}, product = [], above }: Rule): string {
  const words = Object.entries(when).map(([name, value]) => `\`${name}\` is ${[value].flat().join(' or ')}`);
  if (above !== undefined) words.push(`${product.map((name) => `\`${name}\``).join(' times ')} is more than ${above}`);
  return words.join(' and ');
}

function upstreamRow(upstream: FilterDescription['upstreams'][number]): (string | undefined)[] {
  const found =
    typeof upstream === 'string'
      ? json<{ name: string; version: string; licence: string }>(join(root, 'upstreams', upstream, 'upstream.json'))
      : upstream;
  return [found.name, found.version, found.licence];
}

/** The index: filters with a page, then every registered ID. */
export function cataloguePage(names: readonly string[]): string {
  const folder = join(root, 'registry/filters');
  const entries = (existsSync(folder) ? readdirSync(folder) : [])
    .filter((file) => file.endsWith('.json'))
    .map((file) =>
      json<{ id: number; name: string; status: string; title?: string; summary?: string }>(join(folder, file)),
    )
    .sort((a, b) => a.id - b.id);
  const shipped = names.map((name) => json<FilterDescription>(join(root, 'filters', name, 'filter.json')));
  const ids = new Set(shipped.map(({ id }) => id));
  return [
    '# Filters',
    '',
    'What h5z ships:',
    '',
    table(
      ['ID', 'name', 'what it is'],
      shipped.sort((a, b) => a.id - b.id).map((f) => [f.id, `[${f.name}](${f.name}.md)`, f.title]),
      [0],
    ),
    '',
    'Every filter ID registered with The HDF Group:',
    '',
    table(
      ['ID', 'name', 'status', 'what it is'],
      entries.map((e) => [e.id, e.name, ids.has(e.id) ? 'shipped' : e.status, e.title ?? e.summary]),
      [0],
    ),
    '',
    'This page is made from `filters/` and `registry/filters/` by `./farm docs`.',
    '',
  ].join('\n');
}

const rate = (n: number): string => n.toFixed(n < 10 ? 1 : 0);

/** A row for each filter, with its default options: its two variants as a program in Node calls them, and the peers' ratios. */
function everyFilter({ rows }: BenchResult): string[] {
  const own = rows.filter((row) => row.suite === 'variants');
  if (own.length === 0) return [];
  const mean = (values: number[]): number | undefined => (values.length > 0 ? geometricMean(values) : undefined);
  const cells = (filter: string): (string | number)[] => {
    const of = (suite: BenchRow['suite'], direction: BenchRow['direction'], pick: (row: BenchRow) => number) =>
      mean(
        rows
          .filter((row) => row.suite === suite && row.filter === filter && row.direction === direction)
          .filter((row) => row.config === '')
          .map(pick),
      );
    const peer = (suite: BenchRow['suite'], direction: BenchRow['direction']) =>
      of(suite, direction, ({ ratio }) => ratio)?.toFixed(2) ?? '';
    const compression = mean(own.filter((row) => row.filter === filter).map((row) => row.compression ?? 1)) ?? 1;
    return [
      filter,
      compression.toFixed(compression < 10 ? 2 : 0),
      rate(of('variants', 'encode', ({ ours }) => ours) ?? 0),
      rate(of('variants', 'decode', ({ ours }) => ours) ?? 0),
      rate(of('variants', 'encode', ({ theirs }) => theirs) ?? 0),
      rate(of('variants', 'decode', ({ theirs }) => theirs) ?? 0),
      peer('native', 'encode'),
      peer('native', 'decode'),
      peer('h5wasm', 'decode'),
    ];
  };
  return [
    '## Every filter',
    '',
    'Default options, one array of each type that the filter takes. Encoders and decoders as a program in Node calls them, ' +
      'native and WebAssembly alternately, MB/s; `compression` is bytes of data / bytes encoded. The last three columns are the ' +
      'ratios of the comparisons below: ours is that many times as fast as hdf5plugin (or libhdf5) and as h5wasm-plugins; ' +
      'empty where the peer has no such filter.',
    '',
    table(
      [
        'filter',
        'compression',
        'native encode',
        'native decode',
        'WASM encode',
        'WASM decode',
        'encode x hdf5plugin',
        'decode x hdf5plugin',
        'decode x h5wasm-plugins',
      ],
      [...new Set(own.map((row) => row.filter))].map(cells),
      [1, 2, 3, 4, 5, 6, 7, 8],
    ),
    '',
  ];
}

/** One line for what was measured after the full run. */
function measuredAgain(result: BenchResult): string[] {
  const later = new Map<string, Set<string>>();
  for (const { date, suite, filter } of result.rows) {
    if (date !== undefined) later.set(date, (later.get(date) ?? new Set()).add(`${filter} (${suite})`));
  }
  return [...later].sort().flatMap(([date, what]) => [`Measured again on ${date}: ${[...what].join(', ')}.`, '']);
}

/** docs/benchmarks.md from a result: per filter the geometric means over all arrays, then every array. */
export function benchmarksPage(result: BenchResult): string {
  const groups = new Map<string, BenchRow[]>();
  for (const row of result.rows) {
    const key = [row.suite, row.filter, row.config, row.direction].join('\t');
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const section = (suite: BenchRow['suite'], title: string, text: string): string[] => {
    const mine = [...groups.values()].filter((rows) => rows[0]?.suite === suite);
    if (mine.length === 0) return [];
    return [
      `## ${title}`,
      '',
      text,
      '',
      table(
        ['filter', 'options', 'direction', 'ours MB/s', 'peer MB/s', 'ratio', 'lowest', 'arrays'],
        mine.map((rows) => {
          const first = rows[0] as BenchRow;
          return [
            first.filter,
            first.config || 'default',
            first.direction,
            rate(geometricMean(rows.map((r) => r.ours))),
            rate(geometricMean(rows.map((r) => r.theirs))),
            geometricMean(rows.map((r) => r.ratio)).toFixed(2),
            Math.min(...rows.map((r) => r.ratio)).toFixed(2),
            rows.length,
          ];
        }),
        [3, 4, 5, 6, 7],
      ),
      '',
    ];
  };
  const parts = [
    '# Benchmarks',
    '',
    `Measured on ${result.date} on ${result.machine.cpu} (${result.machine.cores} cores, ${result.machine.os}, Node ${result.machine.node}). ` +
      `Data: ${result.data}, in chunks of about 1 MiB.`,
    '',
    ...measuredAgain(result),
    `Each comparison runs ours and the peer alternately in one run, ${result.rounds} rounds, the order swapped every round. ` +
      'Rates are 10^6 bytes of decoded data per second of CPU time of one thread; the tables give geometric means over the arrays of the medians of the ' +
      'rounds. `ratio` is the geometric mean of the per-round ratios peer seconds / our seconds (above 1: ours is faster), ' +
      '`lowest` the worst array.',
    '',
    `Versions: ${Object.entries(result.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}.`,
    '',
    ...everyFilter(result),
    ...section(
      'native',
      'Native, beside hdf5plugin and libhdf5',
      "Both sides' HDF5 filter functions, called in one process on one thread with the same chunks; decoders get the peer's bytes. " +
        "The peer of what is built into libhdf5 (deflate, shuffle, fletcher32, szip, nbit, scaleoffset) is libhdf5's own filter " +
        "in h5py's wheel, called the same way; of all others hdf5plugin's.",
    ),
    ...section(
      'wasm',
      'WebAssembly, beside numcodecs.js',
      'In Node, copies in and out included. numcodecs.js keeps LZ4 in another container: each decoder gets the same block in its own.',
    ),
    ...section(
      'h5wasm',
      'h5wasm side modules, beside h5wasm-plugins',
      'Whole-dataset reads by h5wasm of the same file, which hdf5plugin wrote, or our plugin where hdf5plugin has no such filter.',
    ),
  ];
  if (result.sizes.length > 0) {
    parts.push(
      '### Size of the side modules',
      '',
      table(
        ['filter', 'ours, bytes', 'h5wasm-plugins, bytes', 'ours / theirs'],
        result.sizes.map((s) => [s.filter, bytes(s.ours), bytes(s.theirs), (s.ours / s.theirs).toFixed(2)]),
        [1, 2, 3],
      ),
      '',
    );
  }
  if (result.skipped.length > 0) parts.push('Not compared:', '', ...result.skipped.map((line) => `- ${line}`), '');
  parts.push(
    '## Every array',
    '',
    table(
      ['suite', 'filter', 'options', 'direction', 'array', 'ours MB/s', 'peer MB/s', 'ratio'],
      result.rows
        .filter((r) => r.suite !== 'variants')
        .map((r) => [
          r.suite,
          r.filter,
          r.config || 'default',
          r.direction,
          r.array,
          rate(r.ours),
          rate(r.theirs),
          r.ratio.toFixed(2),
        ]),
      [5, 6, 7],
    ),
    '',
    'This page is made from `docs/data/bench.json` by `./farm docs`; `./farm bench` measures anew.',
    '',
  );
  return parts.join('\n');
}

/** Writes every generated page below `docs` and returns their paths. */
export function writeDocs(docs: string = join(root, 'docs')): string[] {
  const names = readdirSync(join(root, 'filters'))
    .filter((name) => existsSync(join(root, 'filters', name, 'filter.json')))
    .sort();
  const pages: [string, string][] = names.map((name) => [
    `filters/${name}.md`,
    filterPage(join(root, 'filters', name)),
  ]);
  pages.push(['filters/README.md', cataloguePage(names)]);
  const result = optionalJson<BenchResult>(join(root, 'docs/data/bench.json'));
  if (result !== undefined) pages.push(['benchmarks.md', benchmarksPage(result)]);
  const reading = optionalJson<ReadingResult>(join(root, 'docs/data/reading.json'));
  if (reading !== undefined) {
    pages.push(['benchmarks-reading.md', readingPage(reading)], ['benchmarks-reading.svg', readingPlot(reading)]);
  }
  const hsds = optionalJson<HsdsResult>(join(root, 'docs/data/hsds.json'));
  if (hsds !== undefined) pages.push(['benchmarks-hsds.md', hsdsPage(hsds)]);
  const gpus = gpuResults();
  if (gpus.length > 0) pages.push(['benchmarks-gpu.md', gpuPage(gpus, table)]);
  const written: string[] = [];
  for (const [name, text] of pages) {
    const file = join(docs, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    written.push(file);
  }
  return written;
}
