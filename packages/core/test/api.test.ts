// The public API: a name that comes or goes is a decision, so it shows up here.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as core from '../dist/index.js';
import * as node from '../dist/node.js';

test('@h5z/core', () => {
  expect(Object.keys(core).sort()).toEqual([
    'FILTER_ERRORS',
    'FLAG_OPTIONAL',
    'H5zError',
    'HOST_ERRORS',
    'MAX_CD_VALUES',
    'TYPE_CLASSES',
    'bytesOf',
    'checkSha256',
    'completeOptions',
    'createPipeline',
    'datasetStruct',
    'defineFilter',
    'describeRange',
    'encodedBound',
    'fill',
    'filterError',
    'fromStoredValues',
    'isH5zError',
    'loadWasm',
    'parameterString',
    'parseParameterString',
    'readWasm',
    'setWorkers',
    'sha256',
    'shortRead',
    'sriOf',
    'toClientValues',
    'toWords',
    'variantOrder',
    'withStage',
    'workers',
    'wrongSize',
  ]);
});

test('@h5z/core/node', () => {
  expect(Object.keys(node).sort()).toEqual(['currentPlatform', 'nativeHost', 'readFile']);
});

test('core imports nothing of the project, and nothing of Node outside what is for Node alone', () => {
  const isForNode = (name: string) => /(^|-)node\.ts$/.test(name);
  const source = new URL('../src/', import.meta.url);
  const files = readdirSync(source).filter((name) => name.endsWith('.ts'));
  expect(files.length).toBeGreaterThan(8);
  for (const name of files) {
    const text = readFileSync(new URL(name, source), 'utf8');
    const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
    const foreign = imports.filter(
      (from) => !from.startsWith('./') && from !== '#workers' && !(isForNode(name) && from.startsWith('node:')),
    );
    expect(
      foreign.filter((from) => !from.startsWith('@h5z/zstd')),
      name,
    ).toEqual([]);
  }
});
