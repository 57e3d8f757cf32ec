// The same files as a wheel: a zip as Python's packaging has it, for pip in a container build. The same inputs give the
// same bytes.

import { gzipSync } from 'node:zlib';
import type { Layout } from './layout.js';

/** What pip insists on as the file's name. */
export function wheelName({ metadata, tag }: Layout): string {
  return `${metadata.replace(/\.dist-info$/, '')}-${tag}.whl`;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20;
const UTF8 = 0x0800;
const DEFLATE = 8;
const UNIX = 3;
const MODE = (0o100644 << 16) >>> 0;
/** 1980-01-01: the first day that a zip can name. */
const DAY = 0x21;
/** A gzip file is a header of ten bytes, the deflate stream, and the CRC-32 and size of the content. */
const GZIP_HEADER = 10;
const GZIP_TRAILER = 8;

/** The wheel's bytes. */
export function wheelBytes({ files }: Layout): Uint8Array {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [path, content] of files) {
    const name = Buffer.from(path);
    const packed = gzipSync(content, { level: 9 });
    const data = packed.subarray(GZIP_HEADER, packed.length - GZIP_TRAILER);
    const crc = packed.readUInt32LE(packed.length - GZIP_TRAILER);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(VERSION, 0);
    common.writeUInt16LE(UTF8, 2);
    common.writeUInt16LE(DEFLATE, 4);
    common.writeUInt16LE(DAY, 8);
    common.writeUInt32LE(crc, 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.alloc(4);
    local.writeUInt32LE(LOCAL);
    parts.push(local, common, name, data);

    const head = Buffer.alloc(6);
    head.writeUInt32LE(CENTRAL);
    head.writeUInt16LE((UNIX << 8) | VERSION, 4);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(MODE, 6);
    tail.writeUInt32LE(offset, 10);
    central.push(head, common, tail, name);
    offset += local.length + common.length + name.length + data.length;
  }
  const size = central.reduce((sum, { length }) => sum + length, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END);
  end.writeUInt16LE(files.size, 8);
  end.writeUInt16LE(files.size, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...central, end]);
}
