// Draws and sums frames that lie in device memory as @h5z/gpu's toDevice leaves them: chunk after chunk.

import { FRAMES } from './frames.wgsl.js';

const { STORAGE, UNIFORM, COPY_DST, COPY_SRC } = globalThis.GPUBufferUsage ?? {};

/** Compute and drawing for one device and canvas. */
export async function gpuFrames(device, canvas) {
  const context = canvas.getContext('webgpu');
  const format = navigator.gpu.getPreferredCanvasFormat();
  context.configure({ device, format, alphaMode: 'opaque' });
  const module = device.createShaderModule({ code: FRAMES });
  const [measure, add, draw] = await Promise.all([
    device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'measure' } }),
    device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'add' } }),
    device.createRenderPipelineAsync({
      layout: 'auto',
      vertex: { module, entryPoint: 'corner' },
      fragment: { module, entryPoint: 'grey', targets: [{ format }] },
    }),
  ]);
  const group = (pipeline, resources) =>
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: Object.entries(resources).map(([binding, buffer]) => ({
        binding: Number(binding),
        resource: { buffer },
      })),
    });
  const uniform = (frame) => {
    const { width, height, chunkWidth, chunkHeight, across, stride, start, kind } = frame;
    const words = new Uint32Array([width, height, chunkWidth, chunkHeight, across, stride, start, kind]);
    const buffer = device.createBuffer({ size: words.byteLength, usage: UNIFORM | COPY_DST });
    device.queue.writeBuffer(buffer, 0, words);
    return buffer;
  };
  const overPixels = (encoder, pipeline, bound, { width, height }) => {
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bound);
    pass.dispatchWorkgroups(Math.ceil(width / 8), Math.ceil(height / 8));
    pass.end();
  };
  const ringsOf = ({ width, height }) => Math.ceil(Math.hypot(width, height) / 2) + 1;

  return {
    /** Draws a frame and gives back its profile: sums and numbers of pixels by distance, and the brightest pixel. */
    async show(frame, gpu) {
      [canvas.width, canvas.height] = [frame.width, frame.height];
      const rings = ringsOf(frame);
      const found = device.createBuffer({ size: 16 * (rings + 1), usage: STORAGE | COPY_SRC | COPY_DST });
      const settings = uniform(frame);
      const encoder = device.createCommandEncoder();
      overPixels(encoder, measure, group(measure, { 0: settings, 1: frame.memory, 2: found }), frame);
      const pass = encoder.beginRenderPass({
        colorAttachments: [{ view: context.getCurrentTexture().createView(), loadOp: 'clear', storeOp: 'store' }],
      });
      pass.setPipeline(draw);
      pass.setBindGroup(0, group(draw, { 0: settings, 1: frame.memory, 4: found }));
      pass.draw(3);
      pass.end();
      device.queue.submit([encoder.finish()]);
      const words = new Uint32Array((await gpu.read(found)).buffer);
      found.destroy();
      settings.destroy();
      const ring = (i) => words[4 + 4 * i] + words[5 + 4 * i] * 2 ** 32;
      return {
        brightest: new Float32Array(words.buffer, 0, 1)[0],
        sums: Array.from({ length: rings }, (_, i) => ring(i)),
        pixels: Array.from({ length: rings }, (_, i) => words[6 + 4 * i]),
      };
    },

    /** Memory for a sum of frames, all zeros. */
    total: ({ width, height }) => device.createBuffer({ size: width * height * 4, usage: STORAGE | COPY_SRC }),

    /** Adds a frame to a sum. */
    add(frame, total) {
      const settings = uniform(frame);
      const encoder = device.createCommandEncoder();
      overPixels(encoder, add, group(add, { 0: settings, 1: frame.memory, 3: total }), frame);
      device.queue.submit([encoder.finish()]);
      settings.destroy();
    },
  };
}
