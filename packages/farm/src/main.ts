// ./farm: finds the subcommands in commands/, teaches them with --help, and runs one.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runCommands } from './cli.ts';
import type { Command } from './command.ts';

async function readCommands(): Promise<Command[]> {
  const folder = join(import.meta.dirname, 'commands');
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts')).sort();
  const modules = await Promise.all(files.map((file) => import(pathToFileURL(join(folder, file)).href)));
  return modules.map((module) => (module as { command: Command }).command);
}

const about = 'Builds, tests and publishes the HDF5 filters in filters/.';
await runCommands({ program: './farm', about }, await readCommands(), process.argv.slice(2));
