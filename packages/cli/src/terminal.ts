// How h5z talks: tables on stdout, progress and errors on stderr, JSON instead of both when asked.

import { isH5zError } from '@h5z/core';

/** A failure as `--json` prints it. */
export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** Anything thrown as a code and a sentence. */
export function failureOf(error: unknown): Failure {
  if (isH5zError(error)) return { code: error.code, message: error.message };
  return { code: 'H5Z_E_INTERNAL', message: error instanceof Error ? error.message : String(error) };
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

export function complain(text: string): void {
  process.stderr.write(`h5z: ${text}\n`);
}

/** Rows in columns as wide as their widest cell; the last column is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const last = (row: readonly string[]) => row.length - 1;
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === last(row) ? cell : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** `1.4 MB`. */
export function bytesInWords(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let size = bytes;
  let unit = 0;
  for (; size >= 999.5 && unit < units.length - 1; unit++) size /= 1000;
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toPrecision(2)} ${units[unit]}`;
}

const FIRST_MS = 2000;
const TERMINAL_MS = 200;
const LOG_MS = 5000;

/** One line on stderr about work that takes over two seconds: rewritten in a terminal, repeated now and then in a log. */
export class Progress {
  readonly #label: string;
  #next = Date.now() + FIRST_MS;
  #shown = false;

  constructor(label: string) {
    this.#label = label;
  }

  update(done: number, total: number): void {
    this.say(() => (total > 0 ? `${Math.floor((done / total) * 100)} %` : String(done)));
  }

  /** The same with a text of the caller's. */
  say(words: () => string): void {
    const now = Date.now();
    if (now < this.#next) return;
    this.#next = now + (process.stderr.isTTY ? TERMINAL_MS : LOG_MS);
    const text = `h5z: ${this.#label}: ${words()}`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
    this.#shown = true;
  }

  end(): void {
    if (this.#shown && process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}
