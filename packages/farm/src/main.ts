// ./farm: finds the subcommands in commands/, teaches them with --help, and runs one.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import type { Arguments, Command } from './command.ts';
import { FarmError, say } from './log.ts';
import { CACHE } from './paths.ts';

async function readCommands(): Promise<Command[]> {
  const folder = join(import.meta.dirname, 'commands');
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts')).sort();
  const modules = await Promise.all(files.map((file) => import(pathToFileURL(join(folder, file)).href)));
  const commands = modules.map((module) => (module as { command: Command }).command);
  return commands.sort((a, b) => (a.order ?? 50) - (b.order ?? 50) || a.name.localeCompare(b.name));
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length)) + 2;
  return [
    'usage: ./farm COMMAND [options]        ./farm COMMAND --help',
    '',
    'Builds, tests and publishes the HDF5 filters in filters/. What it needs it installs into',
    `${CACHE} (set H5Z_CACHE to change that).`,
    '',
    ...commands.map((command) => `  ${command.name.padEnd(width)}${command.summary}`),
  ].join('\n');
}

function usage(command: Command): string {
  const options = Object.entries(command.options ?? {}).map(([name, option]) => {
    const left = `--${name}${option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : ''}`;
    return `  ${left.padEnd(24)}${option.doc}`;
  });
  return [
    `usage: ./farm ${[command.name, command.positionals, options.length > 0 ? '[options]' : ''].filter(Boolean).join(' ')}`,
    '',
    command.summary,
    ...(options.length > 0 ? ['', ...options] : []),
    ...(command.help === undefined ? [] : ['', command.help]),
  ].join('\n');
}

function parse(command: Command, argv: readonly string[]): Arguments {
  const options: ParseArgsOptionsConfig = {};
  for (const [name, option] of Object.entries(command.options ?? {}))
    options[name] = { type: option.type, multiple: option.multiple ?? false };
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: command.positionals !== undefined, strict: true });
  } catch (error) {
    throw new FarmError(`${(error as Error).message}. See ./farm ${command.name} --help.`);
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

async function main(argv: readonly string[]): Promise<number> {
  const commands = await readCommands();
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(`${overview(commands)}\n`);
    return name === undefined ? 2 : 0;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    throw new FarmError(`no command "${name}". Commands: ${commands.map((known) => known.name).join(', ')}.`);
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(`${usage(command)}\n`);
    return 0;
  }
  return command.run(parse(command, rest));
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof FarmError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
