// The JavaScript in a guide, so that tests can run it: what the docs say is what happens.

import { readFileSync } from 'node:fs';

/** The ```js blocks of a Markdown file, joined: a guide's snippets make one program. */
export function programOf(markdown: string): string {
  const blocks = [...readFileSync(markdown, 'utf8').matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(
    (match) => match[1] ?? '',
  );
  if (blocks.length === 0) throw new Error(`${markdown} has no js snippets`);
  return blocks.join('\n');
}

/** What `console.log(...); // text` lines promise to print, in order. */
export function promisedOutput(program: string): string[] {
  return [...program.matchAll(/^\s*console\.log\(.*\); \/\/ (.*)$/gm)].map((match) => match[1] ?? '');
}
