// The script of a browser's worker.

import { serve } from './worker-protocol.js';

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent) => void;
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
};
const take = serve((answer, transfer) => scope.postMessage(answer, transfer));
scope.onmessage = ({ data }) => take(data);
scope.postMessage('ready', []);
