// A filter measured again takes its place among what a full run kept, so that a faster codec need not wait for half an hour
// of a quiet machine. Rows of another machine or beside another peer's version are not mixed: their rates do not compare.
import type { BenchResult, BenchRow } from './types.ts';

type Group = Pick<BenchRow, 'suite' | 'filter'>;

const group = (row: Group): string => `${row.suite}/${row.filter}`;

/**
 * `kept` with the rows of every suite and filter that `again` measured replaced by its own, which bear its date.
 * @throws Error when the machine or the versions of the peers differ, or nothing was measured.
 */
export function mergeResult(kept: BenchResult, again: BenchResult): BenchResult {
  const { cpu, cores, node } = again.machine;
  if (cpu !== kept.machine.cpu || cores !== kept.machine.cores || node !== kept.machine.node) {
    throw new Error(
      `measured on ${cpu} with ${cores} cores and Node ${node}, but what was kept is of ${kept.machine.cpu} with ` +
        `${kept.machine.cores} cores and Node ${kept.machine.node}. Run the whole of \`./farm bench\` here.`,
    );
  }
  const differs = Object.keys(again.versions).find(
    (name) => !name.startsWith('@') && again.versions[name] !== kept.versions[name],
  );
  if (differs !== undefined) {
    throw new Error(
      `measured beside ${differs} ${again.versions[differs]}, but what was kept is beside ${kept.versions[differs] ?? 'none'}. ` +
        'Run the whole of `./farm bench` again.',
    );
  }
  const measured = new Set(again.rows.map(group));
  if (measured.size === 0) throw new Error('nothing was measured. Give --only a suite or a filter that has a peer.');
  const rows = [
    ...kept.rows.filter((row) => !measured.has(group(row))),
    ...again.rows.map((row) => ({ ...row, date: again.date })),
  ];
  const suites = [...new Set([...kept.rows, ...again.rows].map((row) => row.suite))];
  const filters = [...new Set(rows.map((row) => row.filter))].sort();
  const place = (row: BenchRow): number => suites.indexOf(row.suite) * filters.length + filters.indexOf(row.filter);
  const sized = new Set(again.sizes.map((size) => size.filter));
  return {
    ...kept,
    versions: { ...kept.versions, ...again.versions },
    rows: rows.sort((a, b) => place(a) - place(b)),
    sizes: [...kept.sizes.filter((size) => !sized.has(size.filter)), ...again.sizes].sort((a, b) =>
      a.filter < b.filter ? -1 : 1,
    ),
  };
}
