// h5pyd, hsload and hsget against a server of the tests: programs of the same environment, with its settings.

import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Environment } from './environment.ts';
import { BUCKET, endWithUs, type Hsds } from './server.ts';

const run = promisify(execFile);

/** What client.py answers for a dataset. */
export interface Digest {
  readonly name: string;
  readonly sha256?: string;
  readonly bytes?: number;
  readonly error?: string;
  readonly id?: string;
  readonly difference?: number;
  readonly compression?: string | null;
  readonly filters?: readonly { readonly id: number; readonly parameters?: readonly number[] }[];
}

export interface NewDataset {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly chunks: readonly number[];
  /** Names of filters, in their order. */
  readonly filters: readonly string[];
  readonly seed?: number;
}

/** Environment of a client of `server`. */
export function settings(server: Hsds, more: Record<string, string>): NodeJS.ProcessEnv {
  const account = { HS_ENDPOINT: server.endpoint, HS_USERNAME: 'admin', HS_PASSWORD: 'admin', HS_BUCKET: BUCKET };
  return { ...process.env, ...account, ...more };
}

/** One process of client.py; its commands run one after the other. */
export class Client {
  readonly #child;
  readonly #answers: AsyncIterator<string>;
  #stderr = '';

  constructor(environment: Environment, server: Hsds, more: Record<string, string> = {}) {
    this.#child = spawn(environment.python, [join(import.meta.dirname, '../python/client.py')], {
      env: settings(server, more),
      cwd: environment.folder,
    });
    endWithUs(this.#child);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async #ask(command: unknown): Promise<Digest[]> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error(`client.py ended:\n${this.#stderr.slice(-3000)}`);
    return JSON.parse(value) as Digest[];
  }

  digest(domain: string, datasets: readonly string[]): Promise<Digest[]> {
    return this.#ask({ do: 'digest', domain, datasets });
  }

  create(domain: string, datasets: readonly NewDataset[]): Promise<Digest[]> {
    return this.#ask({ do: 'create', domain, datasets });
  }

  /** How far what is read is from what `create` wrote. */
  check(domain: string, datasets: readonly NewDataset[]): Promise<Digest[]> {
    return this.#ask({ do: 'check', domain, datasets });
  }

  close(): void {
    this.#child.stdin.end();
  }
}

/** A program of h5pyd with these arguments, in the folder that holds the bucket; its output. */
export async function load(
  environment: Environment,
  server: Hsds,
  program: 'hsload' | 'hsget' | 'hscopy' | 'hsls',
  args: readonly string[],
  more: Record<string, string> = { H5Z_HSDS: '1' },
): Promise<string> {
  const options = { env: settings(server, more), cwd: join(server.bucket, '..'), maxBuffer: 1 << 26 };
  const log = join(environment.folder, 'load.log');
  const running = run(environment.program(program), ['--logfile', log, ...args], options);
  endWithUs(running.child);
  const { stdout, stderr } = await running;
  return stdout + stderr;
}
