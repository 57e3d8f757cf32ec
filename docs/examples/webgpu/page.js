// Frames of a dropped HDF5 file: decoded by WebGPU into a GPUBuffer, measured and drawn from there; by the codecs in WebAssembly
// and a 2D canvas where there is no GPU. The page says which way it went, and why.

import bitshuffle from '@h5z/bitshuffle';
import { open, readDataset } from '@h5z/chunks';
import fletcher32 from '@h5z/fletcher32';
import { openWebGpu, toDevice } from '@h5z/gpu';
import lz4 from '@h5z/lz4';
import { createRegistry } from '@h5z/registry';
import shuffle from '@h5z/shuffle';
import { cpuFrames } from './cpu-frames.js';
import { gpuFrames } from './gpu-frames.js';

const registry = createRegistry([bitshuffle, lz4, shuffle, fletcher32]);
const $ = (id) => document.getElementById(id);
const image = $('image');
const plain = ({ message }) => message.replace(/; decode with the ordinary codecs$/, '');

/** ?cpu: as if there were no GPU; ?software: take a stand-in for one, for tests. */
const wishes = new URLSearchParams(location.search);
let gpu;
let whyNot;
let frames;
const ready = (async () => {
  try {
    if (wishes.has('cpu')) throw new Error('the address says ?cpu');
    gpu = await openWebGpu({ software: wishes.has('software') });
    frames = await gpuFrames(gpu.webgpu, image);
    $('device').textContent = `WebGPU: ${gpu.device.name}${gpu.device.software ? ', a stand-in for a GPU' : ''}`;
    gpu.lost.then((why) => say(`The GPU was lost (${why}): load the page again`, true));
  } catch (error) {
    gpu = undefined;
    whyNot = plain(error);
    frames = cpuFrames(image);
    $('device').textContent = `No GPU is used: ${whyNot}`;
  }
})();

function say(text, failed = false) {
  $('path').textContent = text;
  $('path').classList.toggle('failed', failed);
}

/** The kind of a pixel in frames.wgsl.js; undefined for what is no plain little-endian number of at most 32 bits. */
function kindOf({ class: kind, size, signed, order, precision }) {
  if (size > 4 || (size > 1 && order !== 'le') || precision !== size * 8) return undefined;
  if (kind === 'float') return size === 4 ? 0 : undefined;
  return kind === 'integer' ? size + (signed ? 8 : 0) : undefined;
}

let file;
let dataset;
let shape; // of the frames: number, height, width

async function load(chosen) {
  await ready;
  try {
    file?.close();
    file = await open(chosen);
    const usable = file.datasets.filter(
      ({ info }) =>
        info.layout === 'chunked' &&
        info.shape.length >= 2 &&
        info.shape.length <= 3 &&
        kindOf(info.type) !== undefined,
    );
    if (usable.length === 0) throw new Error(`${chosen.name} has no chunked images of plain numbers`);
    $('dataset').replaceChildren(...usable.map(({ path }) => new Option(path, path)));
    $('controls').hidden = false;
    await choose();
  } catch (error) {
    say(error.message, true);
  }
}

async function choose() {
  dataset = file.dataset($('dataset').value);
  shape = dataset.info.shape.length === 3 ? dataset.info.shape : [1, ...dataset.info.shape];
  $('frame').max = String(shape[0] - 1);
  $('frames').hidden = shape[0] === 1;
  $('sum').hidden = shape[0] === 1;
  $('shown').hidden = false;
  $('frame').value = '0';
  await show();
}

/** Where frame n lies in memory that holds rows from `first` on. */
function frameIn({ memory, chunk, stride, itemSize }, n, first) {
  const [, height, width] = shape;
  const [chunkHeight, chunkWidth] = chunk.slice(-2);
  const deep = chunk.length === 3 ? chunk[0] : 1;
  const [across, down] = [Math.ceil(width / chunkWidth), Math.ceil(height / chunkHeight)];
  const layer = Math.floor(n / deep) - Math.floor(first / deep);
  const start = layer * across * down * stride + (n % deep) * chunkHeight * chunkWidth * itemSize;
  return { memory, width, height, chunkWidth, chunkHeight, across, stride, start, kind: kindOf(dataset.info.type) };
}

/** Rows of the first dimension that hold frames from..to; a dataset of one image is all rows. */
const rowsOf = (from, to) => (dataset.info.shape.length === 3 ? { rows: [from, to] } : {});

/** The chunks of some frames in device memory. Damaged ones are all ones there, which is no count of any kind of pixel. */
async function decode(from, to) {
  const found = await toDevice(gpu, dataset, { registry, ...rowsOf(from, to) });
  for (const { error, offset } of found.chunks)
    if (error !== undefined)
      gpu.webgpu.queue.writeBuffer(found.memory, offset, new Uint8Array(found.stride).fill(0xff));
  return found;
}

function tell(doing, { path, reason, chunks }, since) {
  const bad = chunks.filter(({ error }) => error !== undefined);
  const byCpu = chunks.filter((one) => one.path === 'cpu').length;
  const device = `on WebGPU (${gpu.device.name})`;
  const who = {
    webgpu: device,
    hybrid: `by the codecs in WebAssembly, because ${reason}, and the rest ${device}`,
    cpu: `by the codecs in WebAssembly, because ${reason}`,
  }[path];
  const some = path === 'webgpu' && byCpu > 0 ? `, ${byCpu} of ${chunks.length} chunks by the codecs` : '';
  say(`${doing} ${who}${some}, drawn from the GPUBuffer${since}`, false);
  const are = bad.length === 1 ? 'is' : 'are';
  if (bad.length > 0) say(`${bad.length} of ${chunks.length} chunks ${are} damaged: ${bad[0].error.message}`, true);
}

const number = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

/** What the canvas of the profile shows; drawn again when its size changes. */
let means = [];

function profile({ sums, pixels, brightest }, what) {
  const counts = sums.reduce((all, sum) => all + sum, 0);
  const [, height, width] = shape;
  $('caption').textContent =
    `${what}: ${width} × ${height} pixels, ${counts.toLocaleString('en')} counts, ` +
    `at most ${brightest.toLocaleString('en')} in a pixel; logarithmic`;
  image.dataset.sums = JSON.stringify(sums);
  means = sums.map((sum, i) => (pixels[i] > 0 ? sum / pixels[i] : undefined));
  while (means.length > 0 && means.at(-1) === undefined) means.pop();
  drawProfile();
}

/** 1, 2 or 5 times a power of ten: the least step that cuts `most` into no more than `parts`. */
function stepOf(most, parts) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most / parts, 1)));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => most / step <= parts) ?? most;
}

function drawProfile() {
  const canvas = $('profile');
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = globalThis.devicePixelRatio;
  [canvas.width, canvas.height] = [width * scale, height * scale];
  if (width === 0 || means.length === 0) return;
  const pen = canvas.getContext('2d');
  const { color, fontFamily } = getComputedStyle(canvas);
  pen.scale(scale, scale);
  pen.font = `12px ${fontFamily}`;
  pen.strokeStyle = color;
  pen.fillStyle = color;
  const [left, right, top, bottom] = [56, width - 12, 8, height - 20];
  const most = Math.max(1, ...means.map((mean) => mean ?? 0));
  const x = (i) => left + (i / Math.max(1, means.length - 1)) * (right - left);
  const y = (mean) => bottom - (Math.log2(1 + mean) / Math.log2(1 + most)) * (bottom - top);

  pen.textBaseline = 'middle';
  pen.textAlign = 'right';
  pen.lineWidth = 1;
  const powers = Array.from({ length: Math.floor(Math.log10(most)) + 1 }, (_, i) => 10 ** i);
  for (const mean of [0, ...powers]) {
    pen.fillText(number.format(mean), left - 6, y(mean));
    pen.globalAlpha = 0.2;
    pen.strokeRect(left, Math.round(y(mean)) + 0.5, right - left, 0);
    pen.globalAlpha = 1;
  }
  pen.textBaseline = 'alphabetic';
  pen.textAlign = 'center';
  const step = stepOf(means.length - 1, 10);
  for (let i = 0; i < means.length; i += step) pen.fillText(String(i), x(i), height - 4);

  pen.beginPath();
  let drawing = false; // no line over distances where no pixel counts
  means.forEach((mean, i) => {
    if (mean !== undefined) pen[drawing ? 'lineTo' : 'moveTo'](x(i), y(mean));
    drawing = mean !== undefined;
  });
  pen.strokeStyle = '#38c';
  pen.lineWidth = 2;
  pen.stroke();
}
new ResizeObserver(drawProfile).observe($('profile'));

let turn = Promise.resolve();
/** One thing after the other: a slider asks faster than frames come. */
const inTurn = (work) => {
  turn = turn.then(work).catch((error) => say(error.message, true));
  return turn;
};

const show = () =>
  inTurn(async () => {
    const n = Number($('frame').value);
    $('number').textContent = `${n} (0 to ${shape[0] - 1})`;
    delete image.dataset.done;
    if (gpu === undefined) {
      const slice = dataset.info.shape.length === 3 ? [n, null, null] : null;
      const { data } = await readDataset(file, dataset.path, { registry, ...(slice === null ? {} : { slice }) });
      profile(frames.show({ data, width: shape[2], height: shape[1], kind: kindOf(dataset.info.type) }), `Frame ${n}`);
      say(`Decoded by the codecs in WebAssembly, because ${whyNot}, drawn by the processor`);
    } else {
      const found = await decode(n, n + 1);
      profile(await frames.show(frameIn(found, n, n), gpu), `Frame ${n}`);
      gpu.free(found.memory);
      tell('Decoded', found, '');
    }
    image.dataset.done = String(n);
  });

/** Frames that are decoded together for a sum. */
const TOGETHER = 16;

const sum = () =>
  inTurn(async () => {
    delete image.dataset.done;
    const [count, height, width] = shape;
    if (gpu === undefined) {
      const { data } = await readDataset(file, dataset.path, { registry });
      const total = frames.sum({ data, count, width, height, kind: kindOf(dataset.info.type) });
      profile(frames.show({ data: total, width, height, kind: 4 }), `Sum of ${count} frames`);
      say(`Summed by the processor, because ${whyNot}`);
    } else {
      const total = frames.total({ width, height });
      let found;
      for (let first = 0; first < count; first += TOGETHER) {
        const end = Math.min(first + TOGETHER, count);
        found = await decode(first, end);
        for (let n = first; n < end; n++) frames.add(frameIn(found, n, first), total);
        gpu.free(found.memory);
        say(`${end} of ${count} frames`);
      }
      const whole = {
        memory: total,
        width,
        height,
        chunkWidth: width,
        chunkHeight: height,
        across: 1,
        stride: 0,
        start: 0,
        kind: 4,
      };
      profile(await frames.show(whole, gpu), `Sum of ${count} frames`);
      total.destroy();
      tell('Decoded and summed', found, '');
    }
    image.dataset.done = 'sum';
  });

$('file').addEventListener('change', ({ target }) => target.files[0] && load(target.files[0]));
$('dataset').addEventListener('change', choose);
$('frame').addEventListener('input', show);
$('sum').addEventListener('click', sum);
for (const type of ['dragover', 'dragleave', 'drop'])
  document.addEventListener(type, (event) => {
    event.preventDefault();
    $('drop').classList.toggle('over', type === 'dragover');
    if (type === 'drop' && event.dataTransfer.files[0]) load(event.dataTransfer.files[0]);
  });
