// The plot of `h5z bench --svg`: ratio against decode speed, both on log scales, as one SVG file without scripts or fonts
// of its own. One label per filter, at its best ratio; every point tells its words and numbers when pointed at.

import type { Measurement } from './measure.js';

const WIDTH = 1100;
const HEIGHT = 720;
const LEFT = 80;
const RIGHT = 40;
const TOP = 84;
const BOTTOM = 70;
const FONT = 13;
/** Of a letter, about. */
const LETTER = 7.2;
const LOSSLESS = '#1f5fa8';
const LOSSY = '#b8500c';
const INK = '#222';
const QUIET = '#666';
const GRID = '#e3e3e3';

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The SVG text. `title`: what was measured. */
export function plotSvg(title: string, subtitle: string, results: readonly Measurement[]): string {
  const x = logScale(
    results.map(({ decode }) => decode / 1e6),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = logScale(
    results.map(({ ratio }) => ratio),
    HEIGHT - BOTTOM,
    TOP,
  );
  const at = ({ decode, ratio }: Measurement) => ({ x: x.place(decode / 1e6), y: y.place(ratio) });
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" ` +
      `font-family="system-ui, Helvetica, Arial, sans-serif" font-size="${FONT}" fill="${INK}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 30, title, 'font-size="18" font-weight="600"'),
    text(LEFT, 52, subtitle, `fill="${QUIET}"`),
  ];
  for (const tick of x.ticks) {
    const place = round(x.place(tick));
    parts.push(`<line x1="${place}" y1="${TOP}" x2="${place}" y2="${HEIGHT - BOTTOM}" stroke="${GRID}"/>`);
    parts.push(text(place, HEIGHT - BOTTOM + 20, tickLabel(tick), 'text-anchor="middle"'));
  }
  for (const tick of y.ticks) {
    const place = round(y.place(tick));
    parts.push(`<line x1="${LEFT}" y1="${place}" x2="${WIDTH - RIGHT}" y2="${place}" stroke="${GRID}"/>`);
    parts.push(text(LEFT - 10, place + 4, tickLabel(tick), 'text-anchor="end"'));
  }
  parts.push(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 22, 'Decode speed, MB/s of values on one thread', MIDDLE));
  const middle = (TOP + HEIGHT - BOTTOM) / 2;
  parts.push(text(24, middle, 'Compression ratio', `${MIDDLE} transform="rotate(-90 24 ${middle})"`));
  const front = frontOf(results.filter(({ exact }) => exact));
  if (front.length > 1) {
    const line = front.map((one) => `${round(at(one).x)},${round(at(one).y)}`).join(' ');
    parts.push(`<polyline points="${line}" fill="none" stroke="${LOSSLESS}" stroke-opacity="0.35" stroke-width="2"/>`);
  }
  const taken: Box[] = results.map((one) => ({ x: at(one).x - 6, y: at(one).y - 6, width: 12, height: 12 }));
  for (const one of [...results].reverse()) parts.push(marker(one, at(one)));
  for (const one of labelled(results)) parts.push(label(one, at(one), taken));
  parts.push(...legend(results), '</svg>');
  return `${parts.join('\n')}\n`;
}

const MIDDLE = 'text-anchor="middle"';

/** Those that no other beats in both ratio and decode speed, fastest last. */
export function frontOf<T extends Pick<Measurement, 'ratio' | 'decode'>>(results: readonly T[]): T[] {
  const front: T[] = [];
  for (const one of [...results].sort((a, b) => b.decode - a.decode || b.ratio - a.ratio)) {
    if (front.length === 0 || one.ratio > (front.at(-1) as T).ratio) front.push(one);
  }
  return front.reverse();
}

/** The best ratio of each filter. */
function labelled(results: readonly Measurement[]): Measurement[] {
  const best = new Map<string, Measurement>();
  for (const one of results) {
    const other = best.get(one.filter);
    if (other === undefined || one.ratio > other.ratio) best.set(one.filter, one);
  }
  return [...best.values()];
}

function marker(one: Measurement, { x, y }: { x: number; y: number }): string {
  const error = one.quality && !one.exact ? `, max error ${one.quality.maxError.toPrecision(3)}` : '';
  const tip = `${one.words}: ratio ${one.ratio.toFixed(2)}, decode ${tickLabel(one.decode / 1e6)} MB/s, encode ${tickLabel(one.encode / 1e6)} MB/s${error}`;
  const title = `<title>${escaped(tip)}</title>`;
  if (one.exact) {
    return `<circle cx="${round(x)}" cy="${round(y)}" r="4.5" fill="${LOSSLESS}" fill-opacity="0.8">${title}</circle>`;
  }
  const corners = [`${round(x)},${round(y - 6)}`, `${round(x + 6)},${round(y)}`, `${round(x)},${round(y + 6)}`];
  const points = [...corners, `${round(x - 6)},${round(y)}`].join(' ');
  return `<polygon points="${points}" fill="${LOSSY}" fill-opacity="0.8">${title}</polygon>`;
}

/** The filter's name at the nearest free place, with a line to its point when that is not beside it. */
function label(one: Measurement, point: { x: number; y: number }, taken: Box[]): string {
  const width = one.filter.length * LETTER;
  const colour = one.exact ? LOSSLESS : LOSSY;
  for (const distance of [9, 22, 38, 56, 78, 104]) {
    for (const angle of [0, 180, 270, 90, 315, 45, 225, 135]) {
      const dx = Math.cos((angle * Math.PI) / 180);
      const dy = Math.sin((angle * Math.PI) / 180);
      const x = point.x + dx * distance + (dx > 0.5 ? 0 : dx < -0.5 ? -width : -width / 2);
      const y = point.y + dy * distance - FONT / 2 + (dy * FONT) / 3;
      const box = { x: x - 2, y, width: width + 4, height: FONT + 2 };
      const inside =
        box.x > LEFT && box.x + box.width < WIDTH - 4 && box.y > TOP - 16 && box.y + box.height < HEIGHT - BOTTOM;
      if (!inside || taken.some((other) => overlap(box, other))) continue;
      taken.push(box);
      const end = `x2="${round(point.x + dx * (distance - 2))}" y2="${round(point.y + dy * (distance - 2))}"`;
      const line =
        distance > 9
          ? `<line x1="${round(point.x)}" y1="${round(point.y)}" ${end} stroke="${colour}" stroke-opacity="0.6"/>`
          : '';
      return `${line}${text(x, y + FONT - 2, one.filter, `fill="${colour}"`)}`;
    }
  }
  return '';
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function legend(results: readonly Measurement[]): string[] {
  const parts: string[] = [];
  let x = LEFT;
  const y = TOP - 12;
  if (results.some(({ exact }) => exact)) {
    parts.push(`<circle cx="${x + 5}" cy="${y - 4}" r="4.5" fill="${LOSSLESS}"/>`);
    parts.push(text(x + 16, y, 'every value the same; the line joins the best of these', `fill="${LOSSLESS}"`));
    x += 380;
  }
  if (results.some(({ exact }) => !exact)) {
    parts.push(
      `<polygon points="${x},${y - 4} ${x + 6},${y - 10} ${x + 12},${y - 4} ${x + 6},${y + 2}" fill="${LOSSY}"/>`,
    );
    parts.push(text(x + 18, y, 'values changed (lossy)', `fill="${LOSSY}"`));
  }
  return parts;
}

/** Steps 1, 2, 5 of the powers of ten, around all values with some room. */
function logScale(values: readonly number[], from: number, to: number) {
  const low = Math.min(...values) / 1.25;
  const high = Math.max(...values) * 1.35;
  const span = Math.log(high / low);
  const place = (value: number) => from + (Math.log(value / low) / span) * (to - from);
  const steps: number[] =
    span < Math.log(8) ? [1, 1.2, 1.5, 2, 3, 4, 5, 6, 8] : span < Math.log(3000) ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of steps) {
      const tick = Number((step * 10 ** power).toPrecision(3));
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return { place, ticks };
}

function text(x: number, y: number, words: string, attributes = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escaped(words)}</text>`;
}

const escaped = (words: string) =>
  words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const round = (value: number) => Number(value.toFixed(1));

function tickLabel(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
