// A Python environment for one test file: the farm's HSDS environment, which nothing may change, seen through a virtual
// environment of its own that gets h5z_hsds. All in a temporary folder.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filterFolders } from '../../../../tests/support/packed.ts';

const SOURCE = join(import.meta.dirname, '../../python');
const SCRIPTS = {
  hsds: 'hsds.app',
  'hsds-node': 'hsds.node_runner',
  'hsds-servicenode': 'hsds.servicenode',
  hsload: 'h5pyd._apps.hsload',
  hsget: 'h5pyd._apps.hsget',
  hscopy: 'h5pyd._apps.hscopy',
  hsls: 'h5pyd._apps.hsls',
};

export interface Environment {
  readonly folder: string;
  readonly python: string;
  readonly sitePackages: string;
  /** Program of `bin/`, such as hsload. */
  program(name: keyof typeof SCRIPTS): string;
  remove(): void;
}

/** A virtual environment on top of `base` (a Python of another one), without h5z_hsds. */
export function environment(base: string): Environment {
  const folder = mkdtempSync(join(tmpdir(), 'h5z-hsds-'));
  const ask = (python: string): string =>
    execFileSync(python, ['-c', "import sysconfig; print(sysconfig.get_path('purelib'))"], { encoding: 'utf8' }).trim();
  execFileSync(base, ['-m', 'venv', '--without-pip', join(folder, 'env')]);
  const python = join(folder, 'env/bin/python');
  const sitePackages = ask(python);
  writeFileSync(join(sitePackages, 'base.pth'), `${ask(base)}\n`);
  for (const [name, module] of Object.entries(SCRIPTS))
    writeFileSync(
      join(folder, 'env/bin', name),
      `#!${python}\nimport sys\nfrom ${module} import main\nsys.exit(main())\n`,
      { mode: 0o755 },
    );
  return {
    folder,
    python,
    sitePackages,
    program: (name) => join(folder, 'env/bin', name),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Puts h5z_hsds with the filters built here into an environment; `names`: only these. */
export function installHere(sitePackages: string, names?: readonly string[]): void {
  const target = join(sitePackages, 'h5z_hsds');
  cpSync(join(SOURCE, 'h5z_hsds'), target, { recursive: true, filter: (path) => !path.includes('__pycache__') });
  cpSync(join(SOURCE, 'h5z_hsds.pth'), join(sitePackages, 'h5z_hsds.pth'));
  const platform = `${process.platform}-${process.arch}`;
  const filters: { name: string; [field: string]: unknown }[] = [];
  for (const { folder, description } of filterFolders()) {
    const library = `libh5z_${description.name}.${process.platform === 'darwin' ? 'dylib' : 'so'}`;
    const source = join(folder, 'prebuilds', platform, library);
    if (!existsSync(source) || (names !== undefined && !names.includes(description.name))) continue;
    const file = `filters/${description.name}/${library}`;
    mkdirSync(join(target, 'filters', description.name), { recursive: true });
    cpSync(source, join(target, file));
    const bytes = readFileSync(source);
    filters.push({
      id: description.id,
      name: description.name,
      aliases: (description.aliases ?? []).map(({ id }) => id),
      file,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      size: bytes.length,
      abi: 1,
    });
  }
  writeFileSync(
    join(target, 'installed.json'),
    `${JSON.stringify({ version: '0.1.0', platform, filters }, null, 2)}\n`,
  );
  const info = join(sitePackages, 'h5z_hsds-0.1.0.dist-info');
  mkdirSync(info, { recursive: true });
  writeFileSync(join(info, 'METADATA'), 'Metadata-Version: 2.1\nName: h5z-hsds\nVersion: 0.1.0\n');
  const attribute = (name: string): string => name.replaceAll('-', '_');
  const points = (group: string, line: (name: string) => string): string =>
    `[${group}]\n${filters.map(({ name }) => line(attribute(name))).join('\n')}\n`;
  writeFileSync(
    join(info, 'entry_points.txt'),
    points('numcodecs.codecs', (name) => `h5z_${name} = h5z_hsds.numcodecs_codecs:h5z_${name}`) +
      points('hsds.filters', (name) => `${name} = h5z_hsds.hsds_filters:${name}`),
  );
}
