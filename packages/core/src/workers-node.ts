// Workers of Node.

import { Worker } from 'node:worker_threads';
import type { PooledWorker } from './workers-none.js';

export type { PooledWorker } from './workers-none.js';

/** A worker that has said that it is there; rejects where none starts. */
export async function spawn(): Promise<PooledWorker> {
  const worker = new Worker(new URL('./worker-node.js', import.meta.url), { execArgv: [], name: 'h5z' });
  worker.unref();
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', reject);
  });
  const pooled: PooledWorker = {
    post: (message, transfer) => worker.postMessage(message, transfer),
    busy: (busy) => (busy ? worker.ref() : worker.unref()),
  };
  worker.on('message', (message) => pooled.onMessage?.(message));
  worker.on('error', (error) => pooled.onEnd?.(error instanceof Error ? error.message : String(error)));
  worker.on('exit', (code) => pooled.onEnd?.(`exit ${code}`));
  worker.unref();
  return pooled;
}
