// Where there are no workers (workerd): the same names, and the shape that those elsewhere have.

/** A worker as the pool sees it. */
export interface PooledWorker {
  post(message: unknown, transfer: ArrayBuffer[]): void;
  /** Whether it has work: an idle one keeps no program alive. */
  busy(busy: boolean): void;
  onMessage?: (message: unknown) => void;
  /** It is gone. */
  onEnd?: (why: string) => void;
}

/** Always rejects. */
export async function spawn(): Promise<PooledWorker> {
  throw new Error('there are no workers here');
}
