// The script of a Node worker.

import { parentPort } from 'node:worker_threads';
import { serve } from './worker-protocol.js';

const take = serve((answer, transfer) => parentPort?.postMessage(answer, transfer));
parentPort?.on('message', take);
parentPort?.postMessage('ready');
