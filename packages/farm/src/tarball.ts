// What lies in an npm tarball, without unpacking it to disk.

import { gunzipSync } from 'node:zlib';

/** Content of an npm tarball: path inside `package/` -> bytes. Understands what `npm pack` writes (ustar, pax path records). */
export function readTarball(tarball: Uint8Array): Map<string, Buffer> {
  const tar = gunzipSync(tarball);
  const files = new Map<string, Buffer>();
  let longName: string | undefined;
  for (let at = 0; at + 512 <= tar.length; ) {
    // ustar header: 0 name[100], 124 size[12] in octal, 156 type, 345 prefix[155]
    const text = (from: number, length: number): string =>
      tar
        .subarray(at + from, at + from + length)
        .toString('latin1')
        .replace(/\0.*$/s, '');
    const name = text(0, 100);
    if (name === '') break;
    const size = Number.parseInt(text(124, 12).trim() || '0', 8);
    const type = text(156, 1);
    const content = tar.subarray(at + 512, at + 512 + size);
    if (type === 'x') {
      longName = /^\d+ path=(.*)$/m.exec(content.toString('utf8'))?.[1];
    } else if (type === '0' || type === '') {
      const prefix = text(345, 155);
      const path = longName ?? (prefix === '' ? name : `${prefix}/${name}`);
      files.set(path.replace(/^[^/]+\//, ''), Buffer.from(content));
      longName = undefined;
    } else if (type !== '5' && type !== 'g') {
      throw new Error(`the tarball holds ${name}, which is neither a file nor a folder (type ${type})`);
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
