// A real HSDS on unix sockets with POSIX storage: one service node and several data nodes, each a process that a test can
// look into, kill and start again. They get the arguments that HSDS's own launcher gives them.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Environment } from './environment.ts';

export const BUCKET = 'hsdstest';

export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly body: Buffer;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Has a child process end with this one, however a test or a demo is left. */
export function endWithUs(child: ChildProcess): void {
  running.add(child);
  child.once('exit', () => running.delete(child));
}

export interface Options {
  /** Folder in the environment's; default `server`. */
  readonly name?: string;
  /** Data nodes; default 2. */
  readonly nodes?: number;
  /** Environment of the processes, such as `{ H5Z_HSDS: '1' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The bucket of another server, with what is in it, instead of an empty one. */
  readonly bucket?: string;
}

export class Hsds {
  /** The bucket's folder: files in it can be linked as `${BUCKET}/name`. */
  readonly bucket: string;
  readonly endpoint: string;
  readonly #environment: Environment;
  readonly #sockets: string;
  readonly #urls: readonly string[];
  readonly #settings: Readonly<Record<string, string>>;
  readonly #nodes = new Map<string, ChildProcess>();
  readonly #logs: string;

  private constructor(environment: Environment, options: Options) {
    const { name = 'server', nodes: count = 2, settings = {}, bucket } = options;
    this.#environment = environment;
    const root = join(environment.folder, name);
    this.bucket = bucket ?? join(root, 'data', BUCKET);
    this.#sockets = join(root, 's');
    this.#logs = join(root, 'log');
    for (const folder of [this.bucket, this.#sockets, this.#logs]) mkdirSync(folder, { recursive: true });
    const url = (socket: string): string => `http+unix://${join(this.#sockets, socket).replaceAll('/', '%2F')}`;
    this.endpoint = url('sn_1.sock');
    this.#urls = Array.from({ length: count }, (_, index) => url(`dn_${index + 1}.sock`));
    this.#settings = settings;
  }

  /** Starts all nodes and waits until they are ready. */
  static async start(environment: Environment, options: Options = {}): Promise<Hsds> {
    const server = new Hsds(environment, options);
    try {
      await server.startAll();
      if (options.bucket === undefined)
        for (const folder of ['/home', '/home/admin'])
          await server.send('PUT', '/', { domain: folder, json: { folder: 1 } });
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  async startAll(): Promise<void> {
    for (const name of ['sn', ...this.#urls.map((_, index) => `dn${index + 1}`)]) this.startNode(name);
    await this.ready();
  }

  startNode(name: string): void {
    const { folder, python, program } = { ...this.#environment, program: this.#environment.program('hsds-node') };
    const number = Number(name.slice(2));
    const socket = name === 'sn' ? 'sn_1.sock' : `dn_${number}.sock`;
    rmSync(join(this.#sockets, socket), { force: true });
    const own =
      name === 'sn'
        ? [
            '--node_type=sn',
            '--hs_username=admin',
            '--admin_user=admin',
            '--hs_password=admin',
            '--password_file=',
            `--sn_url=${this.endpoint}`,
          ]
        : ['--node_type=dn', `--node_number=${number - 1}`];
    // A file and no pipe: HSDS prints on its event loop, so a reader that is busy would stop it.
    const log = openSync(join(this.#logs, name), 'a');
    const child = spawn(
      python,
      [
        program,
        ...own,
        `--log_prefix=${name} `,
        '--standalone',
        '--use_socket',
        `--dn_urls=${this.#urls.join(',')}`,
        `--hsds_endpoint=${this.endpoint}`,
        `--root_dir=${join(this.bucket, '..')}`,
      ],
      {
        cwd: folder,
        env: { ...process.env, BUCKET_NAME: BUCKET, PYTHONUNBUFFERED: '1', LOG_LEVEL: 'INFO', ...this.#settings },
        stdio: ['ignore', log, log],
      },
    );
    closeSync(log);
    endWithUs(child);
    this.#nodes.set(name, child);
  }

  /** Waits until every node answers that it is ready. */
  async ready(): Promise<void> {
    const until = Date.now() + 150_000;
    for (const name of this.#nodes.keys()) {
      for (;;) {
        const answer = await this.about(name).catch(() => undefined);
        if (answer !== undefined && answer.status === 200 && /"READY"/.test(answer.body.toString())) break;
        if (Date.now() > until || this.#nodes.get(name)?.exitCode !== null)
          throw new Error(`${name} does not get ready:\n${this.log(name).slice(-4000)}`);
        await sleep(100);
      }
    }
  }

  /** GET /about of one node. */
  about(name: string): Promise<Answer> {
    return ask(this.socket(name), 'GET', name === 'sn' ? '/about' : '/info', {});
  }

  /** The unix socket of a node. */
  socket(name: string): string {
    return join(this.#sockets, name === 'sn' ? 'sn_1.sock' : `dn_${name.slice(2)}.sock`);
  }

  /**
   * A request to the service node as admin. `bytes` are sent as binary values. `partial`: a body that ends too early is an
   * answer, not an error.
   */
  send(
    method: string,
    path: string,
    options: { domain?: string; json?: unknown; bytes?: Uint8Array; binary?: boolean; partial?: boolean } = {},
  ): Promise<Answer> {
    const headers: Record<string, string> = {
      Authorization: `Basic ${Buffer.from('admin:admin').toString('base64')}`,
      ...(options.domain === undefined ? {} : { 'X-Hdf-domain': options.domain }),
      ...(options.binary === true ? { Accept: 'application/octet-stream' } : {}),
      ...(options.bytes === undefined ? {} : { 'Content-Type': 'application/octet-stream' }),
      // Else HSDS keeps the connection open behind a body that it does not send.
      ...(options.partial === true ? { Connection: 'close' } : {}),
    };
    const body = options.json === undefined ? options.bytes : JSON.stringify(options.json);
    return ask(this.socket('sn'), method, path, headers, body, options.partial);
  }

  /** What a node, or every node, has printed so far, restarts included. */
  log(name?: string): string {
    const names = name === undefined ? [...this.#nodes.keys()] : [name];
    return names.map((one) => readFileSync(join(this.#logs, one), 'utf8')).join('');
  }

  pid(name: string): number {
    const pid = this.#nodes.get(name)?.pid;
    if (pid === undefined) throw new Error(`no process of ${name}`);
    return pid;
  }

  /** Files that a node has mapped (Linux). */
  maps(name: string): string {
    const path = `/proc/${this.pid(name)}/maps`;
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  get dataNodes(): string[] {
    return [...this.#nodes.keys()].filter((name) => name !== 'sn');
  }

  /** Ends one node (SIGTERM lets it write what is pending) and waits for it. */
  async stopNode(name: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#nodes.get(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
    await gone;
    clearTimeout(timer);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#nodes.keys()].map((name) => this.stopNode(name)));
  }
}

function ask(
  socketPath: string,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string | Uint8Array,
  partial = false,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { socketPath, method, path, headers: { Host: 'local', ...headers }, timeout: 150_000 },
      (got) => {
        const parts: Buffer[] = [];
        got.on('data', (part: Buffer) => parts.push(part));
        const answer = (): void =>
          resolve({ status: got.statusCode ?? 0, reason: got.statusMessage ?? '', body: Buffer.concat(parts) });
        got.on('error', (error: NodeJS.ErrnoException) =>
          partial && error.code === 'ECONNRESET' ? answer() : reject(error),
        );
        got.on('end', answer);
      },
    );
    sent.on('error', reject);
    sent.on('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path}`)));
    sent.end(body);
  });
}
