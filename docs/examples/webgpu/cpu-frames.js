// What gpu-frames.js does, by the processor: for pages without WebGPU, and to compare with.

/** Counts of a pixel; below 0: none, as the largest number of an unsigned integer says. */
const countsOf = (value, kind) => (kind > 0 && kind < 8 && value === 2 ** (8 * kind) - 1 ? -1 : value);

export function cpuFrames(canvas) {
  return {
    /** Draws a frame and gives back its profile: sums and numbers of pixels by distance, and the brightest pixel. */
    show({ data, width, height, kind }) {
      [canvas.width, canvas.height] = [width, height];
      const rings = Math.ceil(Math.hypot(width, height) / 2) + 1;
      const sums = new Array(rings).fill(0);
      const pixels = new Array(rings).fill(0);
      let brightest = 0;
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const value = countsOf(data[y * width + x], kind);
          if (!(value >= 0)) continue;
          brightest = Math.max(brightest, value);
          const ring = Math.floor(Math.hypot(x - (width - 1) / 2, y - (height - 1) / 2));
          sums[ring] += Math.round(value);
          pixels[ring]++;
        }
      const picture = new ImageData(width, height);
      const most = Math.log2(1 + Math.max(brightest, 1));
      for (let i = 0; i < width * height; i++) {
        const value = countsOf(data[i], kind);
        const grey = (255 * Math.log2(1 + value)) / most;
        picture.data.set(value >= 0 ? [grey, grey, grey, 255] : [25.5, 25.5, 76.5, 255], 4 * i);
      }
      canvas.getContext('2d').putImageData(picture, 0, 0);
      return { brightest, sums, pixels };
    },

    /** The sum of all frames, as counts of 32 bits. */
    sum({ data, count, width, height, kind }) {
      const total = new Uint32Array(width * height);
      for (let n = 0; n < count; n++)
        for (let i = 0; i < total.length; i++) {
          const value = countsOf(data[n * total.length + i], kind);
          if (value >= 0 && total[i] !== 0xffffffff) total[i] += Math.round(value);
          else total[i] = 0xffffffff;
        }
      return total;
    },
  };
}
