// Where bytes go that libhdf5 writes: a file descriptor in Node, memory that grows anywhere.

import { H5zError } from '@h5z/core';
import { fileSystem, type Source } from './source.js';

/** A file that can be read, written and cut. */
export interface Storage extends Source {
  /** Writes all of `bytes` at `offset`, beyond the end too; what lies between reads as zero. */
  write(offset: number, bytes: Uint8Array): void;
  truncate(size: number): void;
  /** Waits until what was written is where a power cut does not reach it. */
  sync(): void;
}

/** A source as a storage that refuses writes. */
export function readOnlyStorage(source: Source): Storage {
  const refuse = () => {
    throw new H5zError('H5Z_READ_ONLY', `${source.name} is open for reading only`, { remedy: 'open it for writing' });
  };
  return {
    name: source.name,
    get size() {
      return source.size;
    },
    readInto: (offset, to) => source.readInto(offset, to),
    write: refuse,
    truncate: refuse,
    sync() {},
    close: () => source.close(),
  };
}

/** Memory as a storage; it starts with a copy of `initial`. */
export class MemoryStorage implements Storage {
  readonly name: string;
  #bytes: Uint8Array;
  #size: number;

  constructor(initial: Uint8Array, name = 'file') {
    this.name = name;
    this.#bytes = initial.slice();
    this.#size = initial.length;
  }

  get size(): number {
    return this.#size;
  }

  /** The content now: a view, valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  readInto(offset: number, to: Uint8Array): void {
    if (offset + to.length > this.#size) {
      throw new H5zError('H5Z_E_CORRUPT', `${this.name} ends before byte ${offset + to.length}`, {
        remedy: 'the file is cut short: copy it again',
      });
    }
    to.set(this.#bytes.subarray(offset, offset + to.length));
  }

  write(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.#size) this.truncate(offset + bytes.length);
    this.#bytes.set(bytes, offset);
  }

  truncate(size: number): void {
    if (size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(size, Math.ceil(this.#bytes.length * 1.5)));
      grown.set(this.bytes());
      this.#bytes = grown;
    } else {
      this.#bytes.fill(0, size, this.#size);
    }
    this.#size = size;
  }

  sync(): void {}
  close(): void {}
}

/** By what the system says; else the path is to be looked at. */
const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'make room on that disk, or write to another',
  EDQUOT: 'make room within your quota, or write to another disk',
  EFBIG: 'write to a file system that takes files of this size',
  EACCES: 'get the right to write there, or write to another folder',
  EPERM: 'get the right to write there, or write to another folder',
  EROFS: 'that file system is read-only: write to another folder',
};

/** A file on disk as a storage. `wx` makes a new one, `r+` opens one that is there; H5Z_FILE says why it cannot. */
export function fileStorage(path: string, mode: 'r+' | 'wx'): Storage {
  const fs = fileSystem();
  if (fs === undefined) {
    throw new H5zError('H5Z_FILE', `there is no file system here to open ${path} in`, {
      remedy: "pass the file's bytes",
    });
  }
  const attempt = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      const reason =
        cause instanceof Error ? cause.message.replace(/^[A-Z]+: /, '').replace(/, .*/, '') : String(cause);
      const remedy = REMEDIES[(cause as NodeJS.ErrnoException).code ?? ''];
      throw new H5zError('H5Z_FILE', `${path} cannot be written (${reason})`, remedy ? { cause, remedy } : { cause });
    }
  };
  // 'wx' of Node opens for writing only.
  const flags = mode === 'r+' ? mode : fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL;
  const fd = attempt(() => fs.openSync(path, flags));
  let size = attempt(() => fs.fstatSync(fd)).size;
  let isOpen = true;
  return {
    name: path,
    get size() {
      return size;
    },
    readInto(offset, to) {
      for (let done = 0; done < to.length; ) {
        const got = attempt(() => fs.readSync(fd, to, done, to.length - done, offset + done));
        if (got === 0) {
          throw new H5zError('H5Z_E_CORRUPT', `${path} ends before byte ${offset + to.length}`, {
            remedy: 'the file is cut short: copy it again',
          });
        }
        done += got;
      }
    },
    write(offset, bytes) {
      for (let done = 0; done < bytes.length; )
        done += attempt(() => fs.writeSync(fd, bytes, done, bytes.length - done, offset + done));
      size = Math.max(size, offset + bytes.length);
    },
    truncate(to) {
      attempt(() => fs.ftruncateSync(fd, to));
      size = to;
    },
    sync() {
      attempt(() => fs.fsyncSync(fd));
    },
    close() {
      if (isOpen) fs.closeSync(fd);
      isOpen = false;
    },
  };
}
