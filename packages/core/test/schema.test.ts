// The schemas are strict JSON Schema 2020-12, the committed types are current, and every filter.json keeps to its schema.

import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { generate } from '../scripts/generate-schema.ts';

const ROOT = new URL('../../../', import.meta.url);
const json = (path: string) => JSON.parse(readFileSync(new URL(path, ROOT), 'utf8'));
const ajv = new Ajv2020({
  allErrors: true,
  strict: true,
  strictTypes: false,
  strictRequired: false,
  allowUnionTypes: true,
});

const minimal = {
  id: 32768,
  name: 'demo',
  title: 'Demo',
  summary: 'A demo.',
  lossy: false,
  licence: 'MIT',
  upstreams: [],
  parameters: [],
  variants: { wasm: {} },
};

describe('schemas', () => {
  test('generated/schema.ts is current (else run packages/core/scripts/generate-schema.ts)', async () => {
    const committed = readFileSync(new URL('packages/core/src/generated/schema.ts', ROOT), 'utf8');
    expect(await generate()).toBe(committed);
  });

  const validate = ajv.compile(json('registry/schema/filter.schema.json'));

  test('a minimal description is valid; an unknown word is not', () => {
    expect(validate(minimal), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...minimal, extra: 1 })).toBe(false);
    expect(validate({ ...minimal, id: 65536 })).toBe(false);
    expect(validate({ ...minimal, name: 'a b' })).toBe(false);
  });

  const parameter = (p: object) =>
    validate({ ...minimal, parameters: [{ name: 'p', doc: 'd', client: { word: 0 }, ...p }] });

  test('an integer states its range, an enum its values, bits their place', () => {
    expect(parameter({ type: 'integer', minimum: 0, maximum: 9 })).toBe(true);
    expect(parameter({ type: 'integer' })).toBe(false);
    expect(parameter({ type: 'enum', values: { a: 0 } })).toBe(true);
    expect(parameter({ type: 'enum' })).toBe(false);
    expect(parameter({ type: 'number', values: { a: 0 } })).toBe(false);
    const range = { type: 'integer', minimum: 0, maximum: 7 };
    expect(parameter({ ...range, client: { word: 0, as: 'bits', shift: 3, width: 3 } })).toBe(true);
    expect(parameter({ ...range, client: { word: 0, as: 'bits' } })).toBe(false);
    expect(parameter({ ...range, client: { word: 0, shift: 3 } })).toBe(false);
    const fixed = { word: 0, as: 'fixed', shift: 0, width: 8 };
    expect(parameter({ type: 'number', client: { ...fixed, fraction: 4 } })).toBe(true);
    expect(parameter({ type: 'number', client: fixed })).toBe(false);
    expect(parameter({ ...range, client: { word: 0, as: 'bits', shift: 3, width: 3, fraction: 1 } })).toBe(false);
  });

  test('every filters/*/filter.json is valid', () => {
    const names = readdirSync(new URL('filters/', ROOT)).filter((name) => !name.startsWith('.'));
    for (const name of names) {
      expect(validate(json(`filters/${name}/filter.json`)), `${name}: ${ajv.errorsText(validate.errors)}`).toBe(true);
    }
  });

  test('manifest.schema.json compiles', () => {
    expect(ajv.compile(json('registry/schema/manifest.schema.json'))({})).toBe(false);
  });
});
