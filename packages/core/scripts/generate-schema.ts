// Writes packages/core/src/generated/schema.ts from registry/schema/*.schema.json. The result is committed, so that
// building needs no generator; packages/core/test/schema.test.ts fails when it is not current.
//
//   node packages/core/scripts/generate-schema.ts

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compile } from 'json-schema-to-typescript';

const SCHEMAS = new URL('../../../registry/schema/', import.meta.url);
const TARGET = new URL('../src/generated/schema.ts', import.meta.url);

const HEADER = `// Types of filter.json and manifest.json, generated from registry/schema by packages/core/scripts/generate-schema.ts.
// Change the schemas, then run that script; do not edit here.
`;

/** The text of generated/schema.ts for the schemas as they are now. */
export async function generate(): Promise<string> {
  const parts = [HEADER];
  for (const name of ['filter', 'manifest']) {
    const schema = JSON.parse(readFileSync(new URL(`${name}.schema.json`, SCHEMAS), 'utf8'));
    parts.push(
      await compile(schema, name, {
        bannerComment: '',
        additionalProperties: false,
        ignoreMinAndMaxItems: true,
        style: { singleQuote: true, printWidth: 120 },
      }),
    );
  }
  return parts.join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(new URL('.', TARGET), { recursive: true });
  writeFileSync(TARGET, await generate());
}
