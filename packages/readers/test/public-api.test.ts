// What @h5z/readers exports is what people build on: a change here is a change of the major version.

import { expect, test } from 'vitest';
import * as readers from '../dist/index.js';

test('the exports', () => {
  expect(Object.keys(readers)).toEqual(['h5wasm']);
  expect(Object.keys(readers.h5wasm).sort()).toEqual([
    'HOST_FILTERS',
    'canonicalBytes',
    'compression',
    'install',
    'readRaw',
  ]);
});
