// The most memory that this process had.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';

let reset = false;

/**
 * Most bytes that this process had in memory until now. Linux counts for getrusage what the process that started this one had,
 * so its own peak is asked for, and the first call sets that back to what there is.
 */
export function peak(): number {
  const status = '/proc/self/status';
  if (!existsSync(status)) return process.resourceUsage().maxRSS * 1024;
  if (!reset) {
    reset = true;
    writeFileSync('/proc/self/clear_refs', '5');
  }
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(status, 'utf8'))?.[1]) * 1024;
}
