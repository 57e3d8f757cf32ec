// docs/examples/hsds: the Dockerfile's instructions, run one after the other in folders of their own with a registry of ours and
// a Python environment that has HSDS, as the image has; and what the Kubernetes example changes in HSDS's manifest.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { publishAll } from '../../packages/farm/src/publish.ts';
import type { RunningRegistry } from '../../packages/farm/src/registry-server.ts';
import { type Environment, environment } from '../../packages/hsds/test/support/environment.ts';
import { env, need } from '../support/env.ts';
import { filterFolders, packed, ROOT, runIn } from '../support/packed.ts';

const EXAMPLE = join(ROOT, 'docs/examples/hsds');
const SUPPORTED = JSON.parse(readFileSync(join(ROOT, 'packages/hsds/python/h5z_hsds/versions.json'), 'utf8')).hsds;

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** The instructions of a Dockerfile: comments left out, continued lines joined. */
function instructionsOf(text: string): Instruction[] {
  const lines = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    return { name, rest };
  });
}

const instructions = instructionsOf(readFileSync(join(EXAMPLE, 'Dockerfile'), 'utf8'));
const argument = (name: string): string => {
  const found = instructions.find((one) => one.name === 'ARG' && one.rest.startsWith(`${name}=`));
  return found?.rest.slice(name.length + 1).replace(/^"(.*)"$/, '$1') ?? '';
};
const image = argument('HSDS');
const filters = argument('FILTERS').split(' ');

describe('the Dockerfile', () => {
  it('starts from an image of a supported HSDS and names filters that there are', () => {
    expect(Object.keys(SUPPORTED).map((version) => `hdfgroup/hsds:${version}`)).toContain(image);
    const known = filterFolders().map(({ packageName }) => packageName);
    for (const name of filters) expect(known).toContain(name);
    expect(instructions.filter(({ name }) => name === 'FROM').map(({ rest }) => rest)).toEqual([
      expect.stringMatching(/^node:\d+-.* AS wheel$/),
      // biome-ignore lint/suspicious/noTemplateCurlyInString: an argument of the Dockerfile
      '${HSDS}',
    ]);
  });

  it('has nothing that is not tried here', () => {
    const names = new Set(instructions.map(({ name }) => name));
    expect(names).toEqual(new Set(['ARG', 'FROM', 'WORKDIR', 'RUN', 'COPY', 'ENV']));
  });
});

describe.skipIf(env.hsdsPython === undefined)(
  `the image${env.hsdsPython === undefined ? `: ${need('hsdsPython')}` : ''}`,
  () => {
    const root = mkdtempSync(join(tmpdir(), 'h5z-image-'));
    /** A path of the image below `root`. */
    const here = (path: string): string => join(root, path);
    const inHere = (text: string): string => text.replaceAll(/(?<=^|\s)\/(?=wheel|tmp)/g, `${root}/`);
    const variables: Record<string, string> = {};
    let registry: RunningRegistry;
    let python: Environment;

    beforeAll(async () => {
      const others = filterFolders()
        .map(({ packageName }) => packageName)
        .filter((name) => !filters.includes(name));
      registry = await publishAll(packed().filter(({ name }) => !others.includes(name)));
      python = environment(env.hsdsPython as string);
      let folder = root;
      for (const { name, rest } of instructions) {
        if (name === 'WORKDIR') {
          folder = here(rest);
          mkdirSync(folder, { recursive: true });
        } else if (name === 'FROM') folder = root;
        else if (name === 'ENV' || name === 'ARG') {
          const [, variable = '', value = ''] = /^(\w+)="?(.*?)"?$/.exec(rest) ?? [];
          variables[variable] = value;
        } else if (name === 'COPY') {
          const [, from = '', to = ''] = inHere(rest).split(' ');
          cpSync(from, to, { recursive: true });
        } else if (name === 'RUN') {
          const path = [dirname(python.python), process.env.PATH].join(delimiter);
          const answer = await runIn(folder, 'sh', ['-c', inHere(rest)], { ...registry.env, ...variables, PATH: path });
          expect({ rest, ...answer }).toMatchObject({ status: 0 });
        }
      }
    });
    afterAll(async () => {
      await registry?.close();
      python?.remove();
      rmSync(root, { recursive: true });
    });

    it('has the filters that were asked for, whole and on, and no wheel any more', async () => {
      const answer = await runIn(root, python.python, ['-m', 'h5z_hsds', 'status', '--json'], variables);
      const status = JSON.parse(answer.stdout);
      expect(status).toMatchObject({ enabled: true, problem: null, hsds: { ok: true } });
      const names = (status.filters as { name: string; ok: boolean }[]).filter(({ ok }) => ok).map(({ name }) => name);
      const asked = filterFolders().filter(({ packageName }) => filters.includes(packageName));
      expect(names.sort()).toEqual(asked.map(({ description }) => description.name).sort());
      expect(readdirSync(here('/tmp'))).toEqual([]);
      const pip = await runIn(root, python.python, ['-m', 'pip', 'show', 'h5z-hsds']);
      expect(pip.stdout).toMatch(/^Name: h5z[-_]hsds$/m);
    });

    it('is ready in Kubernetes', async () => {
      const { spec } = parse(readFileSync(join(EXAMPLE, 'deployment-h5z.yml'), 'utf8'));
      const [, dn] = spec.template.spec.containers;
      const [program, ...args] = dn.readinessProbe.exec.command as string[];
      expect(program).toBe('python');
      expect(await runIn(root, python.python, args, variables)).toMatchObject({ status: 0 });
    });
  },
);

describe('the Kubernetes example', () => {
  const kustomization = parse(readFileSync(join(EXAMPLE, 'kustomization.yml'), 'utf8'));
  const patches = (kustomization.patches as { path: string }[]).map(({ path }) =>
    parse(readFileSync(join(EXAMPLE, path), 'utf8')),
  );

  it('takes the manifest of the HSDS in the image, and its image by name', () => {
    const version = image.split(':')[1];
    for (const resource of kustomization.resources)
      expect(resource).toMatch(new RegExp(`/HDFGroup/hsds/v${version}/admin/kubernetes/k8s_deployment_\\w+\\.yml$`));
    expect(kustomization.images).toEqual([
      { name: image.split(':')[0], newName: expect.stringContaining('/'), newTag: version },
    ]);
  });

  it('turns the filters on in both kinds of nodes', () => {
    expect(patches).toMatchObject([{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'hsds' } }]);
    const { containers } = patches[0].spec.template.spec;
    expect(containers.map(({ name }: { name: string }) => name)).toEqual(['sn', 'dn']);
    for (const container of containers) expect(container.env).toContainEqual({ name: 'H5Z_HSDS', value: '1' });
  });
});
