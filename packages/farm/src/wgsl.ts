// Kernels in WGSL, which has no #include: the text of a filter's src/gpu.wgsl with what it includes in its place, so that
// the file in the package is whole.
//
//     //#include <h5z/gpu/lz4.wgsl> H5Z_NAME=lz4_in_rows H5Z_MEMORY=rows
//
// A name in <> lies in packages/abi/include, one in "" beside the file; words before = are replaced by those behind it. Comments
// of included files stay behind.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FarmError } from './log.ts';
import { ROOT } from './paths.ts';

const INCLUDE = /^\/\/#include (?:<([^>]+)>|"([^"]+)")((?: \w+=\w+)*)$/;

/** The whole text of a file of kernels. Throws a FarmError that names a file or word that is not there. */
export function wholeWgsl(file: string): string {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line, index) => {
      if (!line.startsWith('//#')) return line;
      const [, shared, beside, words = ''] = INCLUDE.exec(line) ?? [];
      const included =
        shared === undefined ? join(dirname(file), beside ?? '') : join(ROOT, 'packages/abi/include', shared);
      if ((shared ?? beside) === undefined || !existsSync(included))
        throw new FarmError(`${file}:${index + 1}: "${line}" includes nothing. Write //#include <h5z/gpu.wgsl>.`);
      let text = wholeWgsl(included)
        .replace(/^ *\/\/.*\n/gm, '')
        .trim();
      for (const pair of words.split(' ').filter(Boolean)) {
        const [word = '', by = ''] = pair.split('=');
        if (!text.includes(word)) throw new FarmError(`${file}:${index + 1}: ${included} does not say ${word}.`);
        text = text.replaceAll(word, by);
      }
      return text;
    })
    .join('\n');
}
