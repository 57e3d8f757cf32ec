// The worker of page.js.

import { readAll } from './read.js';

try {
  self.postMessage({ value: await readAll() });
} catch (error) {
  self.postMessage({ error: { code: error.code, message: error.message } });
}
