// Writes registry/src/generated/catalogue.ts from registry/filters/*.json, so that lookup needs no I/O. The result is
// committed; registry/test/catalogue.test.ts fails when it is not current.
//
//   node registry/scripts/generate.ts

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compile } from 'json-schema-to-typescript';

const HERE = new URL('../', import.meta.url);
const TARGET = new URL('src/generated/catalogue.ts', HERE);

/** The text of generated/catalogue.ts for the files as they are now. */
export async function generate(): Promise<string> {
  const schema = JSON.parse(readFileSync(new URL('schema/catalogue.schema.json', HERE), 'utf8'));
  for (const word of ['if', 'then', 'else']) delete schema[word]; // conditions that TypeScript cannot say
  const types = await compile(schema, 'catalogue', {
    bannerComment: '',
    additionalProperties: false,
    style: { singleQuote: true, printWidth: 120 },
  });
  const files = readdirSync(new URL('filters/', HERE)).filter((name) => name.endsWith('.json'));
  const entries = files
    .map((name) => JSON.parse(readFileSync(new URL(`filters/${name}`, HERE), 'utf8')))
    .map(({ $schema: _, ...entry }) => entry)
    .sort((a, b) => a.id - b.id);
  return `// Every filter ID registered with The HDF Group, generated from registry/filters by registry/scripts/generate.ts.
// Change the files there, then run that script; do not edit here.

${types}
export const REGISTERED: readonly CatalogueFile[] = [
${entries.map((entry) => `  ${JSON.stringify(entry)},\n`).join('')}];
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(new URL('.', TARGET), { recursive: true });
  writeFileSync(TARGET, await generate());
}
