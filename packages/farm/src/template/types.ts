// The TypeScript declarations of a filter package: options with their documentation, from filter.json.

import { describeRange } from '../../../core/dist/index.js';
import type { FilterDescription, Parameter } from '../../../core/src/generated/schema.ts';

/** dist/index.d.ts of the package `name`. */
export function typesText(name: string, description: FilterDescription): string {
  const options = `${pascal(description.name)}Options`;
  const binding = camel(description.name);
  const fields = description.parameters.map(
    (parameter) =>
      `${comment(parameterDoc(parameter), '  ')}  ${parameter.name}${isRequired(parameter) ? '' : '?'}: ${typeOf(parameter)};\n`,
  );
  return `// ${name}: types generated from filter.json.

import type { FilterPackage } from '@h5z/core';

${comment([`Options of HDF5 filter ${description.id}, ${description.title}.`], '')}export interface ${options} {
${fields.join('')}}

${comment([description.summary, '', `HDF5 filter ID ${description.id}, canonical name \`${description.name}\`. ${description.lossy ? 'Lossy.' : 'Lossless.'}`], '')}declare const ${binding}: FilterPackage<${options}>;
export default ${binding};
`;
}

function parameterDoc(parameter: Parameter): string[] {
  const unit = parameter.unit === undefined ? '' : ` ${parameter.unit}`;
  const lines = [parameter.doc];
  if (parameter.type === 'integer' || parameter.type === 'number') {
    const range = describeRange(parameter);
    lines.push(`${range[0]?.toUpperCase()}${range.slice(1)}${unit && ` (${unit.trim()})`}.`);
  }
  const when = Object.entries(parameter.when ?? {}).map(
    ([name, wanted]) =>
      `${name} is ${[wanted]
        .flat()
        .map((value) => JSON.stringify(value))
        .join(' or ')}`,
  );
  if (when.length > 0) lines.push(`Only when ${when.join(' and ')}.`);
  if (parameter.default !== undefined) lines.push('', `@defaultValue \`${JSON.stringify(parameter.default)}\``);
  return lines;
}

/** Required always: no default, and no condition under which it would not exist. */
function isRequired(parameter: Parameter): boolean {
  return parameter.default === undefined && parameter.when === undefined;
}

function typeOf(parameter: Parameter): string {
  if (parameter.type === 'boolean') return 'boolean';
  if (parameter.type === 'enum')
    return Object.keys(parameter.values ?? {})
      .map((word) => `'${word}'`)
      .join(' | ');
  return 'number';
}

function comment(lines: readonly string[], indent: string): string {
  const text = lines.map((line) => line.replaceAll('*/', '*\\/'));
  return `${indent}/**\n${text.map((line) => `${indent} *${line && ` ${line}`}\n`).join('')}${indent} */\n`;
}

/** A canonical name as a TypeScript identifier: jpeg-xr -> JpegXr, 7zip -> Filter7zip. */
function pascal(name: string): string {
  const words = name.split(/[^A-Za-z0-9]+/).filter(Boolean);
  const joined = words.map((word) => `${word[0]?.toUpperCase()}${word.slice(1)}`).join('');
  return /^[A-Za-z]/.test(joined) ? joined : `Filter${joined}`;
}

/** Reserved words cannot name a constant; no filter's name should stop its package from building. */
function camel(name: string): string {
  const word = pascal(name);
  return `${word[0]?.toLowerCase()}${word.slice(1)}Filter`;
}
