// A Python package in the shape of packages/hsds/python, small enough to be made in two versions, and environments for it
// with an HSDS of a few lines: what installing does to files does not depend on what is in them.

import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { env } from '../../../tests/support/env.ts';
import { runIn } from '../../../tests/support/packed.ts';

export const HSDS_VERSION = '0.9.4';
const HSDS_FILE = 'util/storUtil.py';
const HSDS_TEXT = 'def _uncompress(data):\n    return data\n';

const MAIN = `
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, 'installed.json')) as file:
    data = json.load(file)
filters = [dict(f, ok=os.path.exists(os.path.join(here, f['file'])), result='executed', problem=None) for f in data['filters']]
print(json.dumps({'ok': True, 'version': data['version'], 'problem': None, 'enabled': os.environ.get('H5Z_HSDS') == '1',
                  'filters': filters, 'command': sys.argv[1]}))
`;

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Writes the package below `folder`; `marker` tells one version from another. */
export function standIn(folder: string, marker: string, more: Readonly<Record<string, string>> = {}): string {
  const digest = createHash('sha256').update(HSDS_TEXT).digest('hex');
  const files = {
    'h5z_hsds.pth': 'import os; os.environ.setdefault("H5Z_HSDS_STARTED", "h5z_hsds")\n',
    'h5z_hsds/__init__.py': `MARKER = ${JSON.stringify(marker)}\n`,
    'h5z_hsds/__main__.py': MAIN,
    'h5z_hsds/versions.json': JSON.stringify({ hsds: { [HSDS_VERSION]: { [HSDS_FILE]: digest } } }),
    ...more,
  };
  for (const [name, text] of Object.entries(files)) write(join(folder, name), text);
  return folder;
}

/** The Python of a new virtual environment in `folder`. With pip: some seconds more. */
export async function environment(folder: string, pip = false): Promise<string> {
  const { status, stderr } = await runIn('/', env.python ?? 'python3', [
    '-m',
    'venv',
    ...(pip ? [] : ['--without-pip']),
    folder,
  ]);
  if (status !== 0) throw new Error(stderr);
  return join(folder, 'bin/python');
}

/** Where an environment's packages lie. */
export async function sitePackagesOf(python: string): Promise<string> {
  const text = 'import sysconfig; print(sysconfig.get_path("platlib"))';
  return (await runIn('/', python, ['-c', text])).stdout.trim();
}

/** Puts an HSDS into an environment, as pip would leave it. */
export function putHsds(sitePackages: string, version = HSDS_VERSION, text = HSDS_TEXT): void {
  write(join(sitePackages, 'hsds/__init__.py'), '');
  write(join(sitePackages, 'hsds', HSDS_FILE), text);
  const metadata = join(sitePackages, `hsds-${version}.dist-info`);
  write(join(metadata, 'METADATA'), `Metadata-Version: 2.1\nName: hsds\nVersion: ${version}\n`);
  write(join(metadata, 'RECORD'), 'hsds/__init__.py,,\n');
}

/** A filter package's folder with its library for this platform passed off as another platform's. */
export function copyFilter(folder: string, to: string): void {
  for (const part of ['dist', 'prebuilds', 'manifest.json', 'filter.json', 'package.json']) {
    cpSync(join(folder, part), join(to, part), { recursive: true });
  }
}
