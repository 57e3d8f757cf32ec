// A remote file for libhdf5, which reads a few bytes here and there: whole pages, the least recently used ones let go,
// and ever more of them at once while it reads on where it left off.

/** Bytes of a page. */
export const PAGE_BYTES = 1 << 20;
/** Most pages fetched at once. */
export const MOST_PAGES = 8;
/** Default budget of the cache, in bytes. */
export const CACHE_BYTES = 64 << 20;

export class PageCache {
  readonly #size: number;
  readonly #fetch: (offset: number, length: number) => Uint8Array;
  readonly #budget: number;
  /** Least recently used first. */
  readonly #pages = new Map<number, Uint8Array>();
  #next = -1;
  #ahead = 1;

  /** `fetch` gives exactly the bytes asked for, at most MOST_PAGES pages of them, or throws. `budget` in bytes. */
  constructor(size: number, fetch: (offset: number, length: number) => Uint8Array, budget: number) {
    this.#size = size;
    this.#fetch = fetch;
    this.#budget = Math.max(budget, MOST_PAGES * PAGE_BYTES);
  }

  /** Puts bytes from the start of the file in, as far as they are whole pages or reach its end. */
  prime(first: Uint8Array): void {
    if (first.length === this.#size || first.length % PAGE_BYTES === 0) this.#put(0, first);
  }

  readInto(offset: number, to: Uint8Array): void {
    for (let done = 0; done < to.length; ) {
      const at = offset + done;
      const index = Math.floor(at / PAGE_BYTES);
      const page = this.#page(index, Math.ceil((offset + to.length) / PAGE_BYTES));
      const from = at - index * PAGE_BYTES;
      const length = Math.min(page.length - from, to.length - done);
      if (length <= 0) throw new Error(`byte ${at} lies outside the file`);
      to.set(page.subarray(from, from + length), done);
      done += length;
    }
  }

  /** `end`: the first page that this read has no need of. */
  #page(index: number, end: number): Uint8Array {
    const found = this.#pages.get(index);
    if (found !== undefined) {
      this.#pages.delete(index);
      this.#pages.set(index, found);
      return found;
    }
    this.#ahead = index === this.#next ? Math.min(this.#ahead * 2, MOST_PAGES) : 1;
    let count = Math.min(Math.max(this.#ahead, end - index), MOST_PAGES, Math.ceil(this.#size / PAGE_BYTES) - index);
    for (let i = 1; i < count; i++) if (this.#pages.has(index + i)) count = i;
    const offset = index * PAGE_BYTES;
    this.#put(index, this.#fetch(offset, Math.min(count * PAGE_BYTES, this.#size - offset)));
    this.#next = index + count;
    return this.#pages.get(index) ?? new Uint8Array(0);
  }

  #put(index: number, bytes: Uint8Array): void {
    for (let at = 0, i = index; at < bytes.length; at += PAGE_BYTES, i++) {
      this.#pages.set(i, bytes.slice(at, at + PAGE_BYTES));
    }
    // Never the pages just fetched: the budget holds them.
    for (const old of this.#pages.keys()) {
      if (this.#pages.size * PAGE_BYTES <= this.#budget) return;
      this.#pages.delete(old);
    }
  }
}
