// What people see: one line per step on stderr, so that stdout stays free for --json and tables.

/** An error whose message is for people: printed without a stack, ends with what to do. */
export class FarmError extends Error {
  override readonly name = 'FarmError';
}

/** What to do about a full disk; every step may be run again. */
export const FULL_DISK = 'The disk is full: free some room and run the same command again.';

const started = Date.now();
const terminal = process.stderr.isTTY === true;

export const say = (text: string): void => {
  process.stderr.write(`farm: ${text}\n`);
};

const seconds = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;

/**
 * Runs `work` and says so: at once, with a sign of life every few seconds (a rewritten line on a terminal, a line every
 * 15 s elsewhere), and with the time it took when that was over two seconds.
 */
export async function step<T>(text: string, work: () => Promise<T>): Promise<T> {
  const from = Date.now();
  say(`${text} ...`);
  const timer = setInterval(
    () => {
      if (terminal) process.stderr.write(`\rfarm: ${text} ... ${seconds(from)}\r`);
      else say(`${text} ... still at it, ${seconds(from)}`);
    },
    terminal ? 1000 : 15000,
  );
  try {
    const result = await work();
    if (Date.now() - from > 2000) say(`${text}: done in ${seconds(from)}`);
    return result;
  } finally {
    clearInterval(timer);
  }
}

export const elapsed = (): string => seconds(started);

/** Lines up columns by their widest cell; the header is underlined. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((cell, i) => Math.max(cell.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === cells.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(header), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}
