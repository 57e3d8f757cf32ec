// ./farm doctor: what is there, what is missing, and the one command that fixes it.

import type { Command } from '../command.ts';
import { cacheFolder, doctor } from '../doctor.ts';
import { table } from '../log.ts';

export const command: Command = {
  name: 'doctor',
  summary: 'Show every tool, its version, and the one command that fixes a gap',
  options: { json: { type: 'boolean', doc: 'print [{tool, version, state, use, fix}]' } },
  help: 'ok: there. auto: the farm gets it by itself when it is needed. missing: run the command. Exit status 1 if any is missing.',
  order: 25,
  async run(args) {
    const findings = await doctor();
    if (args.flag('json')) process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
    else {
      const rows = findings.map(({ tool, version, state, use, fix }) => [tool, version, state, use, fix]);
      process.stdout.write(`${table(['tool', 'version', 'state', 'for', 'fix'], rows)}\n\ncache: ${cacheFolder}\n`);
    }
    return findings.some(({ state }) => state === 'missing') ? 1 : 0;
  },
};
