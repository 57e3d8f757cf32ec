// Reads what a 64-bit little-endian ELF library exports and needs, so that the tests need no nm.

import { readFileSync } from 'node:fs';

const SHT_DYNSYM = 11;
const SHT_DYNAMIC = 6;
const DT_NEEDED = 1n;

interface Section {
  readonly type: number;
  readonly link: number;
  readonly at: number;
  readonly size: number;
}

/** Names of the defined dynamic symbols, names of the undefined ones, and of the libraries needed. Sorted. */
export function readElf(path: string): { exported: string[]; imported: string[]; needed: string[] } {
  const bytes = readFileSync(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.toString('latin1', 0, 4) !== '\x7fELF' || bytes[4] !== 2 || bytes[5] !== 1)
    throw new Error(`${path} is no 64-bit LE ELF`);
  const u64 = (at: number): number => Number(view.getBigUint64(at, true));
  const sections: Section[] = Array.from({ length: view.getUint16(60, true) }, (_, i) => {
    const at = u64(40) + i * view.getUint16(58, true);
    return {
      type: view.getUint32(at + 4, true),
      link: view.getUint32(at + 40, true),
      at: u64(at + 24),
      size: u64(at + 32),
    };
  });
  const text = (section: Section, offset: number): string => {
    const strings = sections[section.link] as Section;
    const start = strings.at + offset;
    return bytes.toString('latin1', start, bytes.indexOf(0, start));
  };
  const exported: string[] = [];
  const imported: string[] = [];
  const needed: string[] = [];
  for (const section of sections) {
    if (section.type === SHT_DYNSYM) {
      for (let at = section.at + 24; at < section.at + section.size; at += 24) {
        const name = text(section, view.getUint32(at, true));
        (view.getUint16(at + 6, true) === 0 ? imported : exported).push(name);
      }
    } else if (section.type === SHT_DYNAMIC) {
      for (let at = section.at; at < section.at + section.size; at += 16) {
        if (view.getBigUint64(at, true) === DT_NEEDED) needed.push(text(section, u64(at + 8)));
      }
    }
  }
  return { exported: exported.filter((name) => name !== '').sort(), imported: imported.sort(), needed: needed.sort() };
}
