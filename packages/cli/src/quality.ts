// How far decoded values are from the original: largest error, PSNR and SSIM. For numbers, arrays of them and complex ones,
// whose two parts count as two, and for each member of a compound that is such; other types have none of these.

import { canonicalBytes, type Datatype, halfFloats, type NumberArray } from '@h5z/chunks';

/** What a lossy filter did to the values. Pairs in which either value is not finite count only when they differ. */
export interface Quality {
  /** Largest absolute difference; infinite where a value that was not finite, or became so, changed. */
  readonly maxError: number;
  /** 20 log10(range) - 10 log10(mean squared error), decibels; infinite for equal values. */
  readonly psnr: number;
  /**
   * Mean structural similarity over windows of 8 x 8 (in one dimension 64) values; 1 for equal values, NaN where no window has
   * two finite values.
   */
  readonly ssim: number;
}

/** Of a compound's members: the worst of each, and all by name. */
export interface MembersQuality extends Quality {
  /** Of compounds only. A member that is no number is here where its values changed, with an infinite error. */
  readonly members?: readonly (Quality & { readonly name: string })[];
}

/** What elements hold in one place: the whole of them, or one member of a compound. */
export interface Part {
  /** The members down to it, joined by dots, such as `position.x`; empty for the whole element. */
  readonly name: string;
  /** How its values lie in one element, slowest dimension first: none for a single number. */
  readonly inner: readonly number[];
  /** False for what is no number, whose bytes `valuesOf` gives. */
  readonly isNumber: boolean;
  /** Its values in whole elements as stored, one element after another. */
  valuesOf(bytes: Uint8Array): ArrayLike<number>;
}

/** The numbers that an element is made of: one, or those of an array or a complex number; `undefined` for other types. */
function numberIn(type: Datatype): Extract<Datatype, { class: 'integer' | 'float' }> | undefined {
  if (type.class === 'enum' || type.class === 'array' || type.class === 'complex') return numberIn(type.base);
  return type.class === 'integer' || type.class === 'float' ? type : undefined;
}

/** How the numbers of one element lie, slowest dimension first: none for a number. */
export function innerShape(type: Datatype): number[] {
  if (type.class === 'array') return [...type.dims, ...innerShape(type.base)];
  return type.class === 'complex' ? [2] : [];
}

/** Values as numbers; `undefined` for types that are none. 64-bit integers lose what a double cannot hold. */
export function numbersOf(bytes: Uint8Array, type: Datatype): ArrayLike<number> | undefined {
  const number = numberIn(type);
  if (number === undefined) return undefined;
  const { size } = number;
  const aligned = canonicalBytes(bytes, type).slice();
  if (number.class === 'float') {
    if (size === 2) return halfFloats(aligned, number);
    if (size === 4) return new Float32Array(aligned.buffer);
    return size === 8 ? new Float64Array(aligned.buffer) : undefined;
  }
  if (size === 8) {
    const wide: NumberArray = number.signed ? new BigInt64Array(aligned.buffer) : new BigUint64Array(aligned.buffer);
    return Float64Array.from(wide, Number);
  }
  const classes = number.signed
    ? { 1: Int8Array, 2: Int16Array, 4: Int32Array }
    : { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };
  const array = classes[size as 1 | 2 | 4];
  return array === undefined ? undefined : new array(aligned.buffer);
}

/** What elements of `type` are made of: a compound's members, those of compounds in it, else the whole element. */
export function partsOf(type: Datatype): Part[] {
  const parts: Part[] = [];
  addParts(type, { name: '', inner: [], offsets: [0], stride: type.size }, parts);
  return parts;
}

/** Where a part lies: `offsets` into elements of `stride` bytes. */
interface Place {
  readonly name: string;
  readonly inner: readonly number[];
  readonly offsets: readonly number[];
  readonly stride: number;
}

function addParts(type: Datatype, place: Place, parts: Part[]): void {
  const { name, inner, offsets, stride } = place;
  if (type.class === 'compound') {
    for (const member of type.members) {
      const below = { ...place, name: name === '' ? member.name : `${name}.${member.name}` };
      addParts(member.type, { ...below, offsets: offsets.map((at) => at + member.offset) }, parts);
    }
  } else if (type.class === 'array' && holdsCompound(type)) {
    const count = type.dims.reduce((product, n) => product * n, 1);
    const all = offsets.flatMap((at) => Array.from({ length: count }, (_, i) => at + i * type.base.size));
    addParts(type.base, { ...place, inner: [...inner, ...type.dims], offsets: all }, parts);
  } else {
    const isNumber = numbersOf(new Uint8Array(0), type) !== undefined;
    const gather = (bytes: Uint8Array) => {
      if (offsets.length === 1 && stride === type.size) return bytes;
      const count = Math.floor(bytes.length / stride);
      const out = new Uint8Array(count * offsets.length * type.size);
      let to = 0;
      for (let element = 0; element < count; element++) {
        for (const offset of offsets) {
          const at = element * stride + offset;
          for (let i = 0; i < type.size; i++) out[to + i] = bytes[at + i] as number;
          to += type.size;
        }
      }
      return out;
    };
    parts.push({
      name,
      inner: [...inner, ...innerShape(type)],
      isNumber,
      valuesOf: (bytes) => numbersOf(gather(bytes), type) ?? canonicalBytes(gather(bytes), type),
    });
  }
}

const holdsCompound = (type: Datatype): boolean =>
  type.class === 'compound' || (type.class === 'array' && holdsCompound(type.base));

/** Largest finite value minus the smallest; 0 where there is none. */
export function rangeOf(chunks: readonly ArrayLike<number>[]): number {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const values of chunks) {
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (!Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return high > low ? high - low : 0;
}

/** Absolute difference; infinite where a value that is not finite changed. */
function errorOf(a: number, b: number): number {
  return Number.isFinite(a) && Number.isFinite(b) ? Math.abs(a - b) : Object.is(a, b) ? 0 : Number.POSITIVE_INFINITY;
}

/** `Quality.maxError` of two chunks of the same length; what is no number is the same or infinitely far. */
export function largestError(original: ArrayLike<number>, decoded: ArrayLike<number>, isNumber: boolean): number {
  let most = 0;
  for (let i = 0; i < original.length; i++) most = Math.max(most, errorOf(original[i] as number, decoded[i] as number));
  return isNumber || most === 0 ? most : Number.POSITIVE_INFINITY;
}

/** Compares chunks part by part. `shape`: of every chunk, in elements; `ranges`: of each part's original values. */
export class PartsComparison {
  readonly #parts: readonly { readonly part: Part; readonly numbers: Comparison; changed: boolean }[];

  constructor(parts: readonly Part[], shape: readonly number[], ranges: readonly number[]) {
    this.#parts = parts.map((part, i) => ({
      part,
      numbers: new Comparison([...shape, ...part.inner], ranges[i] ?? 0),
      changed: false,
    }));
  }

  /** Two chunks of the same length, as stored before filters. */
  add(original: Uint8Array, decoded: Uint8Array): void {
    for (const one of this.#parts) {
      const [before, after] = [one.part.valuesOf(original), one.part.valuesOf(decoded)];
      if (one.part.isNumber) one.numbers.add(before, after);
      else if (largestError(before, after, false) > 0) one.changed = true;
    }
  }

  /** `undefined` where no part is a number. */
  get quality(): MembersQuality | undefined {
    const numbers = this.#parts.filter(({ part }) => part.isNumber);
    const [first] = numbers;
    if (first === undefined) return undefined;
    if (this.#parts.length === 1 && first.part.name === '') return first.numbers.quality;
    const lost = { maxError: Number.POSITIVE_INFINITY, psnr: Number.NaN, ssim: Number.NaN };
    const members = this.#parts
      .filter(({ part, changed }) => part.isNumber || changed)
      .map(({ part, numbers: one }) => ({ name: part.name, ...(part.isNumber ? one.quality : lost) }));
    const least = (values: readonly number[]) => {
      const known = values.filter((value) => !Number.isNaN(value));
      return known.length > 0 ? Math.min(...known) : Number.NaN;
    };
    return {
      maxError: Math.max(...members.map(({ maxError }) => maxError)),
      psnr: least(members.map(({ psnr }) => psnr)),
      ssim: least(members.map(({ ssim }) => ssim)),
      members,
    };
  }
}

/** Compares chunks pairwise. `shape`: of every chunk, in elements; `range`: of the original values. */
export class Comparison {
  readonly #height: number;
  readonly #width: number;
  readonly #range: number;
  #maxError = 0;
  #squares = 0;
  #count = 0;
  #similarity = 0;
  #windows = 0;

  constructor(shape: readonly number[], range: number) {
    const dims = shape.filter((n) => n > 1);
    this.#width = dims.at(-1) ?? 1;
    this.#height = dims.at(-2) ?? 1;
    this.#range = range;
  }

  /** Two chunks of the same length. */
  add(original: ArrayLike<number>, decoded: ArrayLike<number>): void {
    for (let i = 0; i < original.length; i++) {
      const a = original[i] as number;
      const b = decoded[i] as number;
      const error = errorOf(a, b);
      if (error > this.#maxError) this.#maxError = error;
      if (!Number.isFinite(a) || !Number.isFinite(b)) continue;
      this.#squares += error * error;
      this.#count++;
    }
    const plane = this.#height * this.#width;
    for (let at = 0; at + plane <= original.length; at += plane) this.#addPlane(original, decoded, at);
  }

  get quality(): Quality {
    const meanSquare = this.#count > 0 ? this.#squares / this.#count : 0;
    const noise = meanSquare === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(this.#range ** 2 / meanSquare);
    return {
      maxError: this.#maxError,
      psnr: noise,
      ssim: this.#windows > 0 ? this.#similarity / this.#windows : this.#maxError === 0 ? 1 : Number.NaN,
    };
  }

  /** Windows half a window apart. */
  #addPlane(original: ArrayLike<number>, decoded: ArrayLike<number>, start: number): void {
    const wide = Math.min(this.#width, this.#height === 1 ? 64 : 8);
    const high = Math.min(this.#height, 8);
    for (let y = 0; y + high <= this.#height; y += Math.max(1, high >> 1)) {
      for (let x = 0; x + wide <= this.#width; x += Math.max(1, wide >> 1)) {
        this.#addWindow(original, decoded, start + y * this.#width + x, high, wide);
      }
    }
  }

  #addWindow(original: ArrayLike<number>, decoded: ArrayLike<number>, at: number, high: number, wide: number): void {
    // Of values that are finite in both: data with holes (NaN over land) are compared where they have values.
    let n = 0;
    let sumA = 0;
    let sumB = 0;
    for (let y = 0, row = at; y < high; y++, row += this.#width) {
      for (let i = row; i < row + wide; i++) {
        const a = original[i] as number;
        const b = decoded[i] as number;
        if (!Number.isFinite(a) || !Number.isFinite(b)) continue;
        n++;
        sumA += a;
        sumB += b;
      }
    }
    if (n < 2) return;
    const meanA = sumA / n;
    const meanB = sumB / n;
    let varianceA = 0;
    let varianceB = 0;
    let covariance = 0;
    for (let y = 0, row = at; y < high; y++, row += this.#width) {
      for (let i = row; i < row + wide; i++) {
        const a = (original[i] as number) - meanA;
        const b = (decoded[i] as number) - meanB;
        if (!Number.isFinite(a) || !Number.isFinite(b)) continue;
        varianceA += a * a;
        varianceB += b * b;
        covariance += a * b;
      }
    }
    const steady = (0.01 * this.#range) ** 2;
    const contrast = (0.03 * this.#range) ** 2;
    const above = (2 * meanA * meanB + steady) * ((2 * covariance) / n + contrast);
    const below = (meanA ** 2 + meanB ** 2 + steady) * ((varianceA + varianceB) / n + contrast);
    const similarity = below === 0 ? (meanA === meanB ? 1 : 0) : above / below;
    if (!Number.isFinite(similarity)) return; // beyond what doubles hold
    this.#similarity += similarity;
    this.#windows++;
  }
}
