// Workers of browsers: module workers at a URL that bundlers find, since many pages' policies refuse blob: URLs.

import type { PooledWorker } from './workers-none.js';

export type { PooledWorker } from './workers-none.js';

/** A worker that has said that it is there; rejects where none starts. */
export async function spawn(): Promise<PooledWorker> {
  const worker = new Worker(new URL('./worker-web.js', import.meta.url), { type: 'module', name: 'h5z' });
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      worker.terminate();
      reject(new Error(why));
    };
    const timer = setTimeout(() => fail('no answer'), 10_000);
    worker.onerror = (event) => fail(event.message);
    worker.onmessage = () => {
      clearTimeout(timer);
      const pooled: PooledWorker = {
        post: (message, transfer) => worker.postMessage(message, transfer),
        busy: () => undefined,
      };
      worker.onmessage = ({ data }) => pooled.onMessage?.(data);
      worker.onerror = (event) => {
        worker.terminate();
        pooled.onEnd?.(event.message);
      };
      resolve(pooled);
    };
  });
}
