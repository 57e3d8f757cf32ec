// What ./farm and h5z-abi have in common: a list of commands, --help made from it, arguments, errors as sentences.

import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import type { Arguments, Command } from './command.ts';
import { FarmError, FULL_DISK, say } from './log.ts';
import { CACHE } from './paths.ts';

export interface Program {
  /** As people call it. */
  readonly program: string;
  /** What it is for, in a sentence. */
  readonly about: string;
}

function overview({ program, about }: Program, commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length)) + 2;
  return [
    `usage: ${program} COMMAND [options]        ${program} COMMAND --help`,
    '',
    `${about} What it needs it installs into`,
    `${CACHE} (set H5Z_CACHE to change that).`,
    '',
    ...commands.map((command) => `  ${command.name.padEnd(width)}${command.summary}`),
  ].join('\n');
}

function usage({ program }: Program, command: Command): string {
  const options = Object.entries(command.options ?? {}).map(([name, option]) => {
    const left = `--${name}${option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : ''}`;
    return `  ${left.padEnd(24)}${option.doc}`;
  });
  return [
    `usage: ${program} ${[command.name, command.positionals, options.length > 0 ? '[options]' : ''].filter(Boolean).join(' ')}`,
    '',
    command.summary,
    ...(options.length > 0 ? ['', ...options] : []),
    ...(command.help === undefined ? [] : ['', command.help]),
  ].join('\n');
}

function parse({ program }: Program, command: Command, argv: readonly string[]): Arguments {
  const options: ParseArgsOptionsConfig = {};
  for (const [name, option] of Object.entries(command.options ?? {}))
    options[name] = { type: option.type, multiple: option.multiple ?? false };
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: command.positionals !== undefined, strict: true });
  } catch (error) {
    throw new FarmError(`${(error as Error).message}. See ${program} ${command.name} --help.`);
  }
  const { values, positionals } = parsed;
  return {
    positionals,
    flag: (name) => values[name] === true,
    text: (name) => (typeof values[name] === 'string' ? values[name] : undefined),
    list: (name) =>
      [values[name] ?? []]
        .flat()
        .flatMap((value) => String(value).split(','))
        .filter(Boolean),
  };
}

async function dispatch(program: Program, all: readonly Command[], argv: readonly string[]): Promise<number> {
  const commands = [...all].sort((a, b) => (a.order ?? 50) - (b.order ?? 50) || a.name.localeCompare(b.name));
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(`${overview(program, commands)}\n`);
    return name === undefined ? 2 : 0;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    throw new FarmError(`no command "${name}". Commands: ${commands.map((known) => known.name).join(', ')}.`);
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(`${usage(program, command)}\n`);
    return 0;
  }
  return command.run(parse(program, command, rest));
}

/** Runs the command that `argv` names, with the process's exit status. */
export async function runCommands(program: Program, commands: readonly Command[], argv: readonly string[]) {
  try {
    process.exitCode = await dispatch(program, commands, argv);
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC') say(`cannot write ${path ?? 'a file'}. ${FULL_DISK}`);
    else if (error instanceof FarmError) say(error.message);
    else throw error;
    process.exitCode = 1;
  }
}
