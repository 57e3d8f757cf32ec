// The programs in a guide, so that tests can run them: what the docs say is what happens.

import { readFileSync } from 'node:fs';

/** The blocks of one language in a Markdown file. */
export function blocksOf(markdown: string, language: string): string[] {
  const pattern = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm');
  const blocks = [...readFileSync(markdown, 'utf8').matchAll(pattern)].map((match) => match[1] ?? '');
  if (blocks.length === 0) throw new Error(`${markdown} has no ${language} snippets`);
  return blocks;
}

/** The ```js blocks of a Markdown file, joined: a guide's snippets make one program. */
export function programOf(markdown: string): string {
  return blocksOf(markdown, 'js').join('\n');
}

/** What `console.log(...); // text` lines, or Python's `print(...)  # text`, promise to print, in order. */
export function promisedOutput(program: string): string[] {
  return [...program.matchAll(/^\s*(?:console\.log\(.*\); \/\/|print\(.*\) {2}#) (.*)$/gm)].map(
    (match) => match[1] ?? '',
  );
}
