// `./farm bench --only hsds`: chunks of our filters through a real HSDS beside the Blosc chunks that HSDS writes itself, of the
// same arrays in the same server, in turns; more data nodes; and how soon a data node answers while it decodes. POSIX storage,
// unix sockets, the chunk cache off, so that every read decodes.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { loadavg } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { load } from '../../hsds/test/support/client.ts';
import { type Environment, environment, installHere } from '../../hsds/test/support/environment.ts';
import { BUCKET, Hsds } from '../../hsds/test/support/server.ts';
import { type Machine, median, thisMachine } from './types.ts';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../../..');
const run = promisify(execFile);
const SCRIPT = join(here, 'hsds.py');

const FILTERS = ['bitshuffle', 'bzip2', 'shuffle', 'zstd'];
const ON = { H5Z_HSDS: '1' };
/** No chunk is kept, and only errors are logged: both cost every side the same. */
const READING = { ...ON, CHUNK_MEM_CACHE_SIZE: '1k', LOG_LEVEL: 'ERROR' };
const NODES = [1, 2, 4] as const;
/** Requests at once where the server is to have all it can do; each reads datasets of its own. */
const CLIENTS = 2;
/** Bytes of either array. */
const NBYTES = 64 << 20;
const ARRAYS = ['detector', 'climate'] as const;
/** Chunks of either array. */
const CHUNKS = 32;
/** What is read of a dataset: all, or a few values of each chunk, which has to be decoded for them all the same. */
const PARTS = { whole: '', corner: `?select=[0:${CHUNKS},0:8,0:8]` } as const;
/** The chunks of which a slow filter is read. */
const FEW = 8;
type Part = keyof typeof PARTS | 'few';
const selectOf = (part: Part): string => (part === 'few' ? `?select=[0:${FEW},0:8,0:8]` : PARTS[part]);
/** Bytes that are decoded for it. */
const bytesOf = (part: Part): number => (part === 'few' ? (NBYTES / CHUNKS) * FEW : NBYTES);
/** A dataset as ours and the one of HSDS's own that it is compared with. */
const PAIRS = [
  ['bslz4', 'own lz4'],
  ['stored bslz4', 'own lz4'],
  ['zstd', 'own zstd'],
] as const;
const LOADS = ['bslz4', 'own lz4', 'zstd', 'own zstd'] as const;
/** Seconds of one turn of the latencies. */
const TURN = 10;
/**
 * What is read by more and more nodes: the service node is the narrow place where all values pass it, so once is enough there.
 * bzip2 takes so long that the data nodes have nearly all of the work.
 */
const SCALED: readonly (readonly [Part, string])[] = [
  ['whole', 'bslz4'],
  ['corner', 'bslz4'],
  ['corner', 'own lz4'],
  ['corner', 'zstd'],
  ['corner', 'own zstd'],
  ['few', 'bzip2'],
];

export interface HsdsReadingRow {
  readonly array: (typeof ARRAYS)[number];
  readonly part: keyof typeof PARTS;
  readonly ours: string;
  readonly own: string;
  /** Medians, 10^6 bytes of decoded chunks per second of the clock. */
  readonly oursRate: number;
  readonly ownRate: number;
  /** Median over the rounds of HSDS's own seconds / our seconds. */
  readonly ratio: number;
  /** The same of the seconds of CPU that the data nodes took. */
  readonly cpuRatio: number;
}

export interface HsdsScalingRow {
  readonly part: Part;
  readonly dataset: string;
  /** Median rate by number of data nodes, in the order of `nodes`. */
  readonly rates: readonly number[];
}

/** Milliseconds. */
export interface Spread {
  readonly samples: number;
  readonly median: number;
  readonly p99: number;
  readonly max: number;
  /** How many took longer than 100 ms. */
  readonly over100: number;
}

export interface HsdsLatencyRow {
  /** What is read meanwhile; empty: nothing. */
  readonly load: string;
  readonly about: Spread;
  readonly info: Spread;
  /** /about of a data node of another server that does nothing: what the machine adds. */
  readonly idle: Spread;
  /** How much later than asked the process that measures woke up. */
  readonly late: Spread;
}

export interface HsdsResult {
  readonly date: string;
  /** `load`: processes that wanted a processor in the minute before. */
  readonly machine: Machine & { readonly load: number };
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  /** In which a data node decodes our filters; absent in results from before there was a rule for it. */
  readonly threads?: number;
  readonly nodes: readonly number[];
  readonly reading: readonly HsdsReadingRow[];
  readonly scaling: readonly HsdsScalingRow[];
  readonly latency: readonly HsdsLatencyRow[];
}

interface Measuring {
  readonly here: Environment;
  readonly rounds: number;
  readonly log: (line: string) => void;
  /** By number of data nodes, all with the same bucket. */
  readonly servers: ReadonlyMap<number, Hsds>;
  /** For each client, the request for a dataset. */
  readonly datasets: readonly Readonly<Record<string, Dataset>>[];
}

interface Dataset {
  readonly path: string;
  readonly domain: string;
}

export async function benchHsds(options: {
  /** A Python with HSDS, h5pyd and h5py. */
  readonly python: string;
  readonly rounds?: number;
  readonly log: (line: string) => void;
}): Promise<HsdsResult> {
  const rounds = options.rounds ?? 7;
  const before = loadavg()[0] ?? 0;
  const here = environment(options.python);
  const servers = new Map<number, Hsds>();
  try {
    installHere(here.sitePackages, FILTERS);
    const { bucket, domains } = await prepare(here, options.log);
    for (const nodes of NODES)
      servers.set(nodes, await Hsds.start(here, { name: `n${nodes}`, nodes, settings: READING, bucket }));
    const datasets = await find(here, servers.get(NODES[0]) as Hsds, domains);
    const measuring: Measuring = { here, rounds, log: options.log, servers, datasets };
    await agree(measuring);
    return {
      date: new Date().toISOString().slice(0, 10),
      machine: { ...thisMachine(), load: before },
      versions: await versions(here),
      rounds,
      threads: await threads(here),
      nodes: NODES,
      reading: await reading(measuring),
      scaling: await scaling(measuring),
      latency: await latency(measuring),
    };
  } finally {
    await Promise.all([...servers.values()].map((server) => server.stop()));
    here.remove();
  }
}

const program = (here: Environment, server: Hsds | undefined, ...args: string[]): Promise<{ stdout: string }> =>
  run(here.python, [SCRIPT, ...args], {
    env: { ...process.env, ...ON, ...(server === undefined ? {} : account(server)) },
    maxBuffer: 1 << 26,
  });
const account = (server: Hsds) => ({
  HS_ENDPOINT: server.endpoint,
  HS_USERNAME: 'admin',
  HS_PASSWORD: 'admin',
  HS_BUCKET: BUCKET,
});

/** Files and domains: for each client a linked file and what was written through HSDS. */
async function prepare(here: Environment, log: Measuring['log']): Promise<{ bucket: string; domains: string[][] }> {
  const server = await Hsds.start(here, { name: 'making', nodes: 2, settings: { ...ON, LOG_LEVEL: 'ERROR' } });
  try {
    log('hsds: making the arrays, linking and writing them');
    const file = join(server.bucket, 'linked.h5');
    await program(here, server, 'make', file);
    const domains: string[][] = [];
    for (let client = 0; client < CLIENTS; client++) {
      const [linked, written] = [`/home/admin/linked${client}.h5`, `/home/admin/written${client}.h5`] as const;
      await load(here, server, 'hsload', ['--link', `${BUCKET}/linked.h5`, linked]);
      await program(here, server, 'write', file, written);
      await server.send('PUT', '/?flush=1', { domain: written });
      domains.push([linked, written]);
    }
    return { bucket: server.bucket, domains };
  } finally {
    await server.stop();
  }
}

async function find(here: Environment, server: Hsds, domains: readonly string[][]): Promise<Measuring['datasets']> {
  const found: Record<string, Dataset>[] = [];
  for (const ofClient of domains) {
    const mine: Record<string, Dataset> = {};
    for (const domain of ofClient) {
      const ids = JSON.parse((await program(here, server, 'ids', domain)).stdout) as Record<string, string>;
      for (const [name, id] of Object.entries(ids)) mine[name] = { path: `/datasets/${id}/value`, domain };
    }
    found.push(mine);
  }
  return found;
}

const agent = new Agent({ keepAlive: true });

/** Reads a dataset and drops it, or hands each piece to `each`. Rejects unless it came whole. */
function read(server: Hsds, dataset: Dataset, part: Part, each?: (piece: Buffer) => void): Promise<void> {
  return new Promise((done, failed) => {
    const sent = request(
      {
        agent,
        socketPath: server.socket('sn'),
        path: dataset.path + selectOf(part),
        headers: {
          Host: 'local',
          Authorization: `Basic ${Buffer.from('admin:admin').toString('base64')}`,
          'X-Hdf-domain': dataset.domain,
          Accept: 'application/octet-stream',
        },
      },
      (got) => {
        let bytes = 0;
        got.on('data', (piece: Buffer) => {
          bytes += piece.length;
          each?.(piece);
        });
        got.on('error', failed);
        got.on('end', () => {
          if (got.statusCode === 200 && bytes > 0 && (part !== 'whole' || bytes === NBYTES)) done();
          else failed(new Error(`${dataset.path} of ${dataset.domain}: ${got.statusCode} ${got.statusMessage}`));
        });
      },
    );
    sent.on('error', failed);
    sent.end();
  });
}

/** Every dataset of an array is the same values through every server: else nothing is worth timing. */
async function agree({ servers, datasets }: Measuring): Promise<void> {
  const seen = new Map<string, string>();
  for (const server of servers.values())
    for (const ofClient of datasets)
      for (const [name, dataset] of Object.entries(ofClient)) {
        const hash = createHash('sha256');
        await read(server, dataset, 'whole', (piece) => hash.update(piece));
        const array = name.split(' ')[0] as string;
        const digest = hash.digest('hex');
        if ((seen.get(array) ?? digest) !== digest) throw new Error(`${name} of ${dataset.domain} has other values`);
        seen.set(array, digest);
      }
}

/** Seconds of CPU that the data nodes have used. */
function nodeSeconds(server: Hsds): number {
  let ticks = 0;
  for (const name of server.dataNodes) {
    const fields =
      readFileSync(`/proc/${server.pid(name)}/stat`, 'utf8')
        .split(') ')[1]
        ?.split(' ') ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100;
}

interface Cost {
  readonly clock: number;
  readonly cpu: number;
}

/** What it costs to read a dataset so often. */
async function cost(server: Hsds, dataset: Dataset, part: keyof typeof PARTS, repeats: number): Promise<Cost> {
  const [clock, cpu] = [performance.now(), nodeSeconds(server)];
  for (let repeat = 0; repeat < repeats; repeat++) await read(server, dataset, part);
  return { clock: (performance.now() - clock) / 1000 / repeats, cpu: (nodeSeconds(server) - cpu) / repeats };
}

async function reading({ servers, datasets, rounds, log }: Measuring): Promise<HsdsReadingRow[]> {
  const server = servers.get(2) as Hsds;
  const rows: HsdsReadingRow[] = [];
  for (const array of ARRAYS)
    for (const part of Object.keys(PARTS) as (keyof typeof PARTS)[])
      for (const [ours, own] of PAIRS) {
        const sides = [ours, own].map((name) => datasets[0]?.[`${array} ${name}`] as Dataset);
        const seen: Cost[][] = [];
        for (let turn = 0; turn <= rounds; turn++) {
          const pair: Cost[] = [];
          for (const which of turn % 2 === 0 ? [0, 1] : [1, 0])
            pair[which] = await cost(server, sides[which] as Dataset, part, part === 'whole' ? 1 : 3);
          if (turn > 0) seen.push(pair); // the first is for warming up
        }
        const rate = (which: number) => NBYTES / 1e6 / median(seen.map((pair) => pair[which]?.clock ?? Number.NaN));
        const ratio = (what: keyof Cost) => median(seen.map(([a, b]) => (b as Cost)[what] / (a as Cost)[what]));
        const sum = (which: number) => seen.reduce((total, pair) => total + (pair[which]?.cpu ?? Number.NaN), 0);
        rows.push({
          array,
          part,
          ours,
          own,
          oursRate: rate(0),
          ownRate: rate(1),
          ratio: ratio('clock'),
          cpuRatio: sum(1) / sum(0), // counted in hundredths of a second: only the sums are exact enough
        });
        log(`hsds: ${array} ${part}, ${ours} beside ${own}: ${rows.at(-1)?.ratio.toFixed(2)}`);
      }
  return rows;
}

async function scaling({ servers, datasets, rounds, log }: Measuring): Promise<HsdsScalingRow[]> {
  const rows: HsdsScalingRow[] = [];
  for (const [part, name] of SCALED) {
    const times = new Map<number, number[]>(NODES.map((nodes) => [nodes, []]));
    for (let turn = 0; turn <= rounds; turn++)
      for (const nodes of turn % 2 === 0 ? NODES : [...NODES].reverse()) {
        const start = performance.now();
        await Promise.all(
          datasets.map(async (ofClient) => {
            for (const array of ARRAYS)
              await read(servers.get(nodes) as Hsds, ofClient[`${array} ${name}`] as Dataset, part);
          }),
        );
        if (turn > 0) times.get(nodes)?.push((performance.now() - start) / 1000);
      }
    const amount = (CLIENTS * ARRAYS.length * bytesOf(part)) / 1e6;
    rows.push({ part, dataset: name, rates: NODES.map((nodes) => amount / median(times.get(nodes) ?? [])) });
    log(`hsds: ${part} ${name} by ${NODES.join(', ')} nodes: ${rows.at(-1)?.rates.map(Math.round).join(', ')} MB/s`);
  }
  return rows;
}

type Samples = Record<'/about' | '/info' | 'idle' | 'late', number[]>;

async function latency({ here, servers, datasets, log }: Measuring): Promise<HsdsLatencyRow[]> {
  const [busy, idle] = [servers.get(1), servers.get(2)] as [Hsds, Hsds];
  const seen = new Map<string, Samples>();
  for (let turn = 0; turn < 2; turn++)
    for (const name of turn === 0 ? ['', ...LOADS] : [...LOADS].reverse()) {
      const probe = spawn(here.python, [SCRIPT, 'probe'], { stdio: ['pipe', 'pipe', 'inherit'] });
      let answer = '';
      probe.stdout.setEncoding('utf8').on('data', (text: string) => {
        answer += text;
      });
      probe.stdin.write(`${JSON.stringify({ busy: busy.socket('dn1'), idle: idle.socket('dn1') })}\n`);
      const until = performance.now() + TURN * 1000;
      await Promise.all(
        datasets.map(async (ofClient) => {
          while (performance.now() < until) {
            if (name === '') await new Promise((done) => setTimeout(done, 100));
            else
              for (const array of ARRAYS)
                for (const part of Object.keys(PARTS) as (keyof typeof PARTS)[])
                  await read(busy, ofClient[`${array} ${name}`] as Dataset, part);
          }
        }),
      );
      const ended = new Promise((done) => probe.once('close', done));
      probe.stdin.end();
      if ((await ended) !== 0) throw new Error(`a data node that decodes ${name} did not answer`);
      const samples = JSON.parse(answer) as Samples;
      const before = seen.get(name);
      for (const key of Object.keys(samples) as (keyof Samples)[]) samples[key].push(...(before?.[key] ?? []));
      seen.set(name, samples);
      const most = (key: keyof Samples) => Math.max(...samples[key]).toFixed(0);
      log(`hsds: ${name || 'nothing'} read: /about ${most('/about')} ms at most, idle ${most('idle')} ms`);
    }
  return [...seen].map(([name, samples]) => ({
    load: name,
    about: spread(samples['/about']),
    info: spread(samples['/info']),
    idle: spread(samples.idle),
    late: spread(samples.late),
  }));
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    samples: sorted.length,
    median: median(sorted),
    p99: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    over100: sorted.filter((value) => value > 100).length,
  };
}

async function versions(here: Environment): Promise<Record<string, string>> {
  const names = ['hsds', 'numcodecs', 'numpy', 'aiohttp'];
  const code = `import importlib.metadata as m, json, sys
print(json.dumps({**{n: m.version(n) for n in ${JSON.stringify(names)}}, "Python": sys.version.split()[0]}))`;
  return JSON.parse((await run(here.python, ['-c', code])).stdout) as Record<string, string>;
}

async function threads(here: Environment): Promise<number> {
  const code = 'import h5z_hsds.server as server; print(server._threads())';
  return Number((await run(here.python, ['-c', code])).stdout);
}

/** Writes the result where `./farm docs` finds it. */
export function saveHsds(result: HsdsResult): string {
  const file = join(root, 'docs/data/hsds.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  return file;
}

const lines = (rows: readonly (readonly string[])[]): string[] => {
  const [head = [], ...body] = rows;
  const rule = head.map((name) => (/MB\/s|ratio|node|ms|CPU/.test(name) ? '---:' : '---'));
  return [head, rule, ...body].map((row) => `| ${row.join(' | ')} |`);
};

/** docs/benchmarks-hsds.md. */
export function hsdsPage(result: HsdsResult): string {
  const { machine } = result;
  const rate = (value: number): string => value.toFixed(0);
  const ms = (value: number): string => value.toFixed(value < 10 ? 1 : 0);
  const cells = ({ median: middle, p99, max, over100, samples }: Spread): string[] => [
    ms(middle),
    ms(p99),
    ms(max),
    `${over100} of ${samples}`,
  ];
  return [
    '# Reading through HSDS',
    '',
    `Measured on ${result.date} on ${machine.cpu} (${machine.cores} cores, ${machine.os}, Node ${machine.node}); ` +
      `${Object.entries(result.versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(
          ', ',
        )}. Clients, service node and data nodes share these cores, with other work on the machine: a load of ${machine.load.toFixed(1)} before. POSIX storage, unix sockets, HSDS's cache of ` +
      'chunks off, so that every read decodes.',
    '',
    'Two arrays of 64 MiB in 32 chunks, made for this: **detector** (photon counts, uint16) and **climate** (temperatures in ' +
      'steps of 0.01, float32). **bslz4** and **zstd** (after shuffle) are chunks of an HDF5 file linked by `hsload --link`, ' +
      '**stored bslz4** was written through HSDS with filter 32008; **own lz4** and **own zstd** are what HSDS makes itself of ' +
      'the same array: Blosc containers with byte shuffle, which its own code decodes. Before anything is timed, all of them ' +
      'must give the same bytes.' +
      (result.threads === undefined ? '' : ` Threads of a data node that decode our filters: ${result.threads}.`) +
      ' HSDS decodes its own on the event loop.',
    '',
    '## Beside what HSDS writes itself',
    '',
    `The same server with two data nodes, alternating, medians of ${result.rounds} rounds. \`whole\` reads all values; \`corner\` ` +
      '8 x 8 values of every chunk, so that decoding is most of the work. `ratio` above 1: ours is faster. `CPU` is the same ' +
      'ratio of the processor time of the data nodes.',
    '',
    ...lines([
      ['array', 'read', 'ours', 'beside', 'ours MB/s', 'its own MB/s', 'ratio', 'CPU'],
      ...result.reading.map((row) => [
        row.array,
        row.part,
        row.ours,
        row.own,
        rate(row.oursRate),
        rate(row.ownRate),
        row.ratio.toFixed(2),
        row.cpuRatio.toFixed(2),
      ]),
    ]),
    '',
    '## More data nodes',
    '',
    `${CLIENTS} clients at once, each reading both arrays; MB/s of decoded chunks, medians. One service node passes on every ` +
      'value of a whole array, whoever decoded it. ' +
      (result.scaling.some(({ part }) => part === 'few')
        ? `\`few\` is the corner of ${FEW} chunks, of a filter so slow (shuffle and bzip2) that data nodes do nearly all of the work. `
        : '') +
      `All share the ${machine.cores} processors of this machine: more nodes than ` +
      'processors cannot add much.',
    '',
    ...lines([
      ['read', 'dataset', ...result.nodes.map((nodes) => (nodes === 1 ? '1 node' : `${nodes} nodes`))],
      ...result.scaling.map((row) => [row.part, row.dataset, ...row.rates.map(rate)]),
    ]),
    '',
    '## Answers of a data node while it decodes',
    '',
    `\`GET /about\` to the only data node of a server while ${CLIENTS} clients read from it without a pause, asked by a process of ` +
      'its own every 30 ms over a connection that is kept. `idle node` is the same question to a node of another server on the ' +
      'machine that does nothing: what the machine itself adds. Milliseconds.',
    '',
    ...lines([
      ['read meanwhile', 'median ms', 'p99 ms', 'max ms', 'above 100 ms', 'idle node p99 ms', 'idle node max ms'],
      ...result.latency.map(({ load: name, about, idle }) => [
        name || 'nothing',
        ...cells(about),
        ms(idle.p99),
        ms(idle.max),
      ]),
    ]),
    '',
    '`GET /info`, for which HSDS itself asks the system about processors, disks and network:',
    '',
    ...lines([
      ['read meanwhile', 'median ms', 'p99 ms', 'max ms', 'above 100 ms'],
      ...result.latency.map(({ load: name, info }) => [name || 'nothing', ...cells(info)]),
    ]),
    '',
    'This page is made from `docs/data/hsds.json` by `./farm docs`; `./farm bench --only hsds` measures anew.',
    '',
  ].join('\n');
}
