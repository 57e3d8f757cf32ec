// Runs a bundled test program with Dawn, the WebGPU that Chromium has, as the npm package `webgpu` carries it for Node:
//
//     node dawn.mjs bundle.mjs input.json > output.json
//
// In a process of its own: the Vulkan driver is chosen by the environment it starts with.

import { readFileSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { create, globals } from 'webgpu';

const [, , bundle, input] = process.argv;
Object.assign(globalThis, globals);
globalThis.keptGpu = create([]); // what nobody refers to is collected, and its devices with it
const { main } = await import(pathToFileURL(bundle).href);
const text = JSON.stringify(await main(globalThis.keptGpu, JSON.parse(readFileSync(input, 'utf8'))));
for (let bytes = Buffer.from(text); bytes.length > 0; ) bytes = bytes.subarray(writeSync(1, bytes));
process.exit(0);
