// `h5z repack`: filters in words on the command line, progress, and what became of each dataset.

import { type ChosenStage, HOST_FILTERS, type RepackProgress, type RepackReport } from '@h5z/chunks';
import { H5zError, parseParameterString } from '@h5z/core';
import { missingFilter, type Registry } from '@h5z/registry';
import { bytesInWords, table } from './terminal.js';
import { which } from './which.js';

/** HDF5's shuffle: of use only before what compresses. */
export const SHUFFLE = 2;
/** The one parameter of a filter of libhdf5's own that it can be given without its package. */
export const DEFLATE = 1;
const DEFLATE_LEVEL = 6;

/**
 * `zstd:level=9`, `shuffle,bitshuffle:codec=zstd,level=5`, `none`: filters by ID or canonical name, each with its parameters
 * behind a colon; a part without `=` begins the next filter. Words that are no numbers may do without their quotes.
 * In the order of encoding, but shuffle goes before what compresses: first, or after the last lossy filter before it.
 */
export function stagesOf(texts: readonly string[], registry: Registry): ChosenStage[] {
  const chosen: { name: string; parameters: string[] }[] = [];
  for (const part of texts.flatMap((text) => text.split(','))) {
    const word = part.trim();
    const colon = word.indexOf(':');
    const last = chosen.at(-1);
    if (word === 'none') continue;
    if (word === '')
      throw new H5zError('H5Z_PARAMETER', 'a filter has no name', { remedy: 'write zstd:level=9, or none' });
    if (colon > 0) chosen.push({ name: word.slice(0, colon), parameters: [word.slice(colon + 1)] });
    else if (!word.includes('=')) chosen.push({ name: word, parameters: [] });
    else if (last) last.parameters.push(word);
    else throw new H5zError('H5Z_PARAMETER', `"${word}" belongs to no filter`, { remedy: 'write zstd:level=9' });
  }
  const stages = chosen.map(({ name, parameters }) => stageOf(name, parameters.map(quoted).join(', '), registry));
  const isLossy = (stage: ChosenStage | undefined) => registry.get(stage?.id ?? 0)?.description.lossy === true;
  for (let at = 1; at < stages.length; at++) {
    for (let to = at; to > 0 && stages[to]?.id === SHUFFLE && !isLossy(stages[to - 1]); to--) {
      const [shuffle] = stages.splice(to, 1);
      if (shuffle) stages.splice(to - 1, 0, shuffle);
    }
  }
  return stages;
}

/** The words that `stagesOf` reads as this filter with these options: `zstd:level=9`. */
export function wordsOf(name: string, options: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(options).map(([key, value]) => `${key}=${valueInWords(value)}`);
  return pairs.length === 0 ? name : `${name}:${pairs.join(',')}`;
}

function valueInWords(value: unknown): string {
  if (typeof value !== 'string') return String(value);
  return WORD.test(value) && !RESERVED.test(value) ? value : JSON.stringify(value);
}

/** Text that does without its quotes. */
const WORD = /^[A-Za-z][A-Za-z0-9_.-]*$/;
const RESERVED = /^(true|false|inf|nan)$/;

function stageOf(name: string, parameters: string, registry: Registry): ChosenStage {
  const { id } = which(name, registry);
  const filter = registry.get(id);
  if (filter) return filter(parseParameterString(filter.description, parameters));
  if (!HOST_FILTERS.includes(id)) throw missingFilter([{ id, name }], 'to encode with it');
  const level = /^level = (\d)$/.exec(parameters)?.[1];
  if (id === DEFLATE) {
    if (parameters === '' || level !== undefined) return { id, cdValues: [Number(level ?? DEFLATE_LEVEL)] };
  } else if (parameters === '') return { id, cdValues: [] };
  throw new H5zError('H5Z_PARAMETER', `"${parameters}" is no parameter of ${name} in libhdf5`, {
    remedy: id === DEFLATE ? 'write deflate:level=6' : `write ${name}`,
  });
}

/** `codec=zstd` -> `codec = "zstd"`. */
function quoted(pair: string): string {
  const at = pair.indexOf('=');
  if (at < 0) return pair;
  const value = pair.slice(at + 1).trim();
  const isWord = WORD.test(value) && !RESERVED.test(value);
  return `${pair.slice(0, at).trim()} = ${isWord ? JSON.stringify(value) : value}`;
}

/** `34 %, 210 MB/s, 3.1 times smaller, 12 s left`. */
export function progressInWords({ done, total, stored, verifying }: RepackProgress, seconds: number): string {
  const rate = done / Math.max(seconds, 1e-3);
  const share = total > 0 ? Math.floor((done / total) * 100) : 100;
  if (verifying) return `written, ${share} % of it verified`;
  const left = Math.ceil((total - done) / Math.max(rate, 1));
  return `${share} %, ${bytesInWords(rate)}/s, ratio ${(done / Math.max(stored, 1)).toFixed(2)}, ${left} s left`;
}

export function reportInWords(report: RepackReport, dryRun: boolean): string {
  const rows = report.datasets.map(({ dataset, changed, reason = '', bytes, storedBefore, storedAfter, verified }) => [
    dataset,
    bytesInWords(bytes),
    bytesInWords(storedBefore),
    changed && !dryRun ? bytesInWords(storedAfter) : '-',
    changed ? (dryRun ? 'would be changed' : (verified ?? 'changed')) : `kept: ${reason}`,
  ]);
  const { fileBefore, fileAfter, seconds } = report;
  const changed = report.datasets.filter((dataset) => dataset.changed);
  const bytes = changed.reduce((sum, dataset) => sum + dataset.bytes, 0);
  const end = dryRun
    ? `${changed.length} of ${rows.length} datasets would be changed`
    : `${changed.length} of ${rows.length} datasets changed: ${bytesInWords(fileBefore)} -> ${bytesInWords(fileAfter)} ` +
      `in ${seconds.toFixed(1)} s, ${bytesInWords(bytes / Math.max(seconds, 1e-3))}/s`;
  return `${table([['DATASET', 'VALUES', 'STORED', 'NOW', 'WHAT'], ...rows])}\n\n${end}`;
}
