// The app's worker: decodes what it is sent.

import filter from 'FILTER_PACKAGE';
import { decodeCase } from './decode.js';

self.onmessage = async ({ data }) => {
  try {
    postMessage({ value: await decodeCase(await filter.load(), data) });
  } catch (error) {
    postMessage({ error: { code: error.code, message: error.message } });
  }
};
