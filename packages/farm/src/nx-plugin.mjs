// The Nx plugin: infers build:<target> and pack for every filters/*/filter.json, and build:<target> for packages with C
// of their own, with inputs and outputs from targets.ts. Nx then runs what changed and leaves the rest.

import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { filterPlans, nxName, packagePlans } from './targets.ts';

const MAIN = 'packages/farm/src/main.ts';

function nxTarget(folder, name, plan) {
  const ofPackage = folder.startsWith('packages/');
  return [
    nxName(ofPackage, plan.target),
    {
      executor: 'nx:run-commands',
      options: { command: `node ${MAIN} task ${name} ${plan.target}`, cwd: '.' },
      cache: plan.cache,
      inputs: [
        ...plan.inputs.map((glob) => `{workspaceRoot}/${glob}`),
        { env: 'H5Z_COMPILER' },
        { env: 'H5Z_EMSCRIPTEN' },
      ],
      outputs: plan.outputs.map((file) => `{workspaceRoot}/${folder}/${file}`),
      dependsOn: plan.after.map((target) => nxName(ofPackage, target)),
    },
  ];
}

const infer = (root) => (file) => {
  const folder = dirname(file);
  const name = basename(folder);
  const plans = file.endsWith('filter.json')
    ? filterPlans(JSON.parse(readFileSync(join(root, file), 'utf8')))
    : packagePlans(name, root);
  const { name: projectName } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
  const targets = Object.fromEntries(plans.map((plan) => nxTarget(folder, name, plan)));
  return [file, { projects: { [folder]: { name: projectName, targets } } }];
};

export const name = 'h5z-farm';

export const createNodesV2 = [
  '{filters/*/filter.json,packages/*/CMakeLists.txt}',
  (files, _options, { workspaceRoot }) => files.map(infer(workspaceRoot)),
];

export const createNodes = createNodesV2;
