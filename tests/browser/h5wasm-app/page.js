// `?mode=page` reads on the main thread, `?mode=worker` in a worker.

import { readAll } from './read.js';

const output = document.querySelector('output');
try {
  const mode = new URLSearchParams(location.search).get('mode');
  const value = mode === 'worker' ? await inWorker() : await readAll();
  output.textContent = JSON.stringify({ value });
} catch (error) {
  output.textContent = JSON.stringify({ error: { code: error.code, message: error.message } });
}
output.dataset.done = 'yes';

function inWorker() {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) =>
      data.error ? reject(Object.assign(new Error(), data.error)) : resolve(data.value);
    worker.onerror = (event) => reject(new Error(event.message));
  });
}
