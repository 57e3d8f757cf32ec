// Where a file's bytes come from: memory anywhere, a file descriptor in Node. Nothing here imports Node by name, so
// that bundlers for browsers have nothing to trip over.

import { type ChunkFile, H5zError } from '@h5z/core';

/** Random access to a file. */
export interface Source {
  /** For messages. */
  readonly name: string;
  readonly size: number;
  /** Absolute path of a file on disk that holds exactly these bytes: native code then reads chunks from it by itself. */
  readonly path?: string;
  /** Copies bytes from `offset` into `to`, all of them or an error. */
  readInto(offset: number, to: Uint8Array): void;
  close(): void;
}

type FileSystem = typeof import('node:fs');

/** Bytes in memory as a source. They are not copied: do not change them while the file is open. */
export function bytesSource(bytes: Uint8Array, name: string): Source {
  return {
    name,
    size: bytes.length,
    readInto(offset, to) {
      if (offset + to.length > bytes.length) throw shortRead(name, offset, to.length);
      to.set(bytes.subarray(offset, offset + to.length));
    },
    close() {},
  };
}

/** A file on disk as a source; it stays open until `close`. */
export function fileSource(place: string | URL): Source {
  const fs = fileSystem();
  const path =
    typeof place === 'string' ? place : (process?.getBuiltinModule?.('node:url').fileURLToPath(place) ?? place.href);
  if (fs === undefined) {
    throw new H5zError('H5Z_FILE', `there is no file system here to open ${path} from`, {
      remedy: "pass the file's bytes",
    });
  }
  let fd: number;
  let size: number;
  try {
    fd = fs.openSync(path, 'r');
  } catch (cause) {
    throw new H5zError('H5Z_FILE', `${path} cannot be opened (${reason(cause)})`, { cause });
  }
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) throw new Error('not a regular file');
    size = stat.size;
  } catch (cause) {
    fs.closeSync(fd);
    throw new H5zError('H5Z_FILE', `${path} cannot be opened (${reason(cause)})`, { cause });
  }
  let open = true;
  return {
    name: path,
    size,
    path: absolute(path),
    readInto(offset, to) {
      // The descriptor's number may be another file's by now.
      if (!open) throw new H5zError('H5Z_FILE', `${path} is closed`, { remedy: 'read from it before you close it' });
      let done = 0;
      while (done < to.length) {
        const got = fs.readSync(fd, to, done, to.length - done, offset + done);
        if (got === 0) throw shortRead(path, offset, to.length);
        done += got;
      }
    },
    close() {
      if (open) fs.closeSync(fd);
      open = false;
    },
  };
}

/** With its `..`, which behind a linked folder lead elsewhere than the words say. */
function absolute(path: string): string {
  const { isAbsolute, resolve, sep } = process.getBuiltinModule('node:path');
  if (sep !== '/') return resolve(path);
  return isAbsolute(path) ? path : `${process.cwd()}/${path}`;
}

/** A source as batches of chunks read it. */
export function chunkFileOf(source: Source): ChunkFile {
  return {
    ...(source.path === undefined ? {} : { path: source.path }),
    read(address, length) {
      const bytes = new Uint8Array(length);
      source.readInto(address, bytes);
      return bytes;
    },
  };
}

/** node:fs where there is one; found without an import, which bundlers would have to resolve. */
export function fileSystem(): FileSystem | undefined {
  if (typeof process !== 'object' || typeof process.getBuiltinModule !== 'function') return undefined;
  return process.getBuiltinModule('node:fs');
}

function shortRead(name: string, offset: number, length: number): H5zError {
  return new H5zError('H5Z_E_CORRUPT', `${name} ends before byte ${offset + length}`, {
    remedy: 'the file is cut short: copy it again',
  });
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message.replace(/^[A-Z]+: /, '').replace(/, .*/, '') : String(cause);
}
