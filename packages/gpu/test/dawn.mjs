// Runs a bundled test program with Dawn, the WebGPU that Chromium has, as the npm package `webgpu` carries it for Node:
//
//     node dawn.mjs program.mjs input.json output.json
//
// In a process of its own: the Vulkan driver is chosen by the environment it starts with.

import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { create, globals } from 'webgpu';

const [, , program, input, output] = process.argv;
Object.assign(globalThis, globals);
globalThis.keptGpu = create([]); // what nobody refers to is collected, and its devices with it
const { main } = await import(pathToFileURL(program).href);
// Not to the standard output, where Dawn says what it thinks of shaders.
writeFileSync(output, JSON.stringify(await main(globalThis.keptGpu, JSON.parse(readFileSync(input, 'utf8')))));
process.exit(0);
