// What the filter.json files say is true and agrees: each holds to its schema, folder and name are one, no two filters have
// an ID, and the upstreams named are pinned. A problem names file and line. ./farm lint shows them; nothing is built or packed with one.

import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { findNodeAtLocation, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import type { FilterDescription } from '../../core/src/generated/schema.ts';
import { filterFolders } from './catalogue.ts';
import { FarmError } from './log.ts';
import { FILTER_FOLDER, ROOT } from './paths.ts';
import { upstreamFolder } from './sources.ts';

const SCHEMA = 'registry/schema/filter.schema.json';

/** A JSON file that knows on which line what stands. */
class Located {
  readonly value: unknown;
  readonly problem: string | undefined;
  readonly file: string;
  readonly #text: string;
  readonly #tree: Node | undefined;

  constructor(file: string, text: string) {
    this.file = file;
    this.#text = text;
    const errors: ParseError[] = [];
    this.#tree = parseTree(text, errors, { disallowComments: true });
    const [first] = errors;
    if (first !== undefined)
      this.problem = `${file}:${this.#lineOf(first.offset)}: is not JSON (${printParseErrorCode(first.error)})`;
    else this.value = JSON.parse(text);
  }

  #lineOf(offset: number): number {
    return this.#text.slice(0, offset).split('\n').length;
  }

  /** `FILE:LINE` of a value, or of the nearest one around it that is there. */
  at(path: readonly (string | number)[]): string {
    for (let length = path.length; length >= 0 && this.#tree !== undefined; length--) {
      const node = findNodeAtLocation(this.#tree, path.slice(0, length));
      if (node !== undefined) return `${this.file}:${this.#lineOf(node.offset)}`;
    }
    return `${this.file}:1`;
  }
}

/** What a JSON pointer points to, as jsonc-parser wants it. */
function pathOf(pointer: string, value: unknown): (string | number)[] {
  let here = value;
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((key) => {
      const step = Array.isArray(here) ? Number(key) : key;
      here = (here as Record<string | number, unknown> | undefined)?.[step];
      return step;
    });
}

function explain({ instancePath, message, params, keyword }: ErrorObject): string {
  const what = instancePath === '' ? 'the file' : instancePath.slice(1);
  const extra = 'additionalProperty' in params ? ` (${String(params.additionalProperty)})` : '';
  const allowed = 'allowedValues' in params ? `: ${(params.allowedValues as unknown[]).join(', ')}` : '';
  return `${what} ${message ?? keyword}${extra}${allowed}`;
}

/** What the rules of `gpu` speak of that is neither a parameter nor a derived word, nor a word of an enum. */
function unknownWords({ gpu, parameters, derived = [] }: FilterDescription): string[] {
  const { decode = [], encode = [] } = gpu?.scratch ?? {};
  const scratch = [decode, encode].flatMap((rules) => (Array.isArray(rules) ? rules : []));
  const rules = [...scratch, ...(gpu?.refuses ?? []), ...(gpu?.size?.rule === undefined ? [] : [gpu.size.rule])];
  const known = new Map([...derived, ...parameters].map((one) => [one.name, one]));
  return rules.flatMap(({ when = {}, product = [] }) => [
    ...[...Object.keys(when), ...product].filter((name) => !known.has(name)),
    ...Object.entries(when).flatMap(([name, wanted]) =>
      [wanted]
        .flat()
        .filter((value) => typeof value === 'string' && known.get(name)?.values?.[value] === undefined)
        .map((value) => `${name} ${value}`),
    ),
  ]);
}

/** Problems of every filters/<name>/filter.json of the repository in `root`, each `FILE:LINE: what`; empty when all is well. */
export function descriptionProblems(root = ROOT): string[] {
  const own = root === ROOT ? FILTER_FOLDER : undefined;
  const folders = own === undefined ? filterFolders(join(root, 'filters')) : [own];
  const validate = new Ajv2020({ allErrors: true, strict: false }).compile(
    JSON.parse(readFileSync(join(ROOT, SCHEMA), 'utf8')) as object,
  );
  const problems: string[] = [];
  const owners = new Map<number, string>();
  for (const folder of folders) {
    const name = basename(folder);
    const label = own === undefined ? `filters/${name}/filter.json` : 'filter.json';
    const located = new Located(label, readFileSync(join(folder, 'filter.json'), 'utf8'));
    if (located.problem !== undefined) {
      problems.push(located.problem);
      continue;
    }
    if (!validate(located.value)) {
      for (const error of validate.errors ?? []) {
        const inside = 'additionalProperty' in error.params ? [String(error.params.additionalProperty)] : [];
        const place = located.at([...pathOf(error.instancePath, located.value), ...inside]);
        problems.push(`${place}: ${explain(error)}`);
      }
      continue;
    }
    const description = located.value as FilterDescription;
    const { id, name: said, upstreams, aliases, variants } = description;
    if (own === undefined && said !== name)
      problems.push(`${located.at(['name'])}: says name "${said}" in the folder ${name}`);
    for (const [path, number] of [
      [['id'], id] as const,
      ...(aliases ?? []).map((alias, i) => [['aliases', i, 'id'], alias.id] as const),
    ]) {
      const owner = owners.get(number);
      if (owner !== undefined) problems.push(`${located.at(path)}: ID ${number} is that of ${owner} too`);
      else owners.set(number, located.at(path));
    }
    for (const [i, upstream] of upstreams.entries()) {
      if (typeof upstream === 'string' && !existsSync(join(upstreamFolder(folder, upstream, root), 'upstream.json')))
        problems.push(`${located.at(['upstreams', i])}: there is no upstreams/${upstream}/upstream.json`);
    }
    const unknown = unknownWords(description);
    if (unknown.length > 0)
      problems.push(`${located.at(['gpu'])}: its rules name ${unknown.join(', ')}, no parameter or derived word`);
    if ((variants.cuda?.mode ?? 'none') !== 'none' && !existsSync(join(folder, 'src/gpu.c')))
      problems.push(`${located.at(['variants', 'cuda'])}: there is no src/gpu.c with the kernels`);
    if ((variants.webgpu?.mode ?? 'none') !== 'none' && !existsSync(join(folder, 'src/gpu.wgsl')))
      problems.push(`${located.at(['variants', 'webgpu'])}: there is no src/gpu.wgsl with the kernels`);
  }
  return problems;
}

/** Throws a FarmError that lists the problems, where there are any. `done`: what is not done then, such as `built`. */
export function refuseLies(done: string): void {
  const lies = descriptionProblems();
  if (lies.length > 0) throw new FarmError(`nothing is ${done} before this is repaired:\n${lies.join('\n')}`);
}
