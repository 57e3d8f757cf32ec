// One form of a dataset's values that every reader can agree on, for digests and comparison: little-endian, C order,
// compounds packed in the order of their members; strings, opaque data and references as stored. Numbers that use only
// part of their bits (12 significant bits in two bytes, a 20-bit float) become ordinary numbers of the same size, as
// every reader's memory types do.

import { H5zError } from '@h5z/core';
import type { Datatype, FloatType, IntegerType } from './types.js';

/** `size` bytes at `from` of a stored element go to the result, reversed when `swap`, then widened by `widen`. */
interface Move {
  from: number;
  size: number;
  swap: boolean;
  widen?: (bits: bigint) => bigint;
}

/** More moves than this in one element would be a hostile datatype, not data. */
const MAX_MOVES = 1 << 20;

/** Bytes of one element in canonical form. Throws H5Z_E_UNSUPPORTED as {@link canonicalBytes} does. */
export function canonicalSize(type: Datatype): number {
  return movesOf(type).reduce((sum, move) => sum + move.size, 0);
}

/**
 * `bytes`: whole elements as stored. Gives them in canonical form: the same array when nothing is to do, else a new one.
 * Throws H5Z_E_UNSUPPORTED for variable-length data, whose values lie elsewhere in the file, and for VAX floats.
 */
export function canonicalBytes(bytes: Uint8Array, type: Datatype): Uint8Array {
  const moves = movesOf(type);
  const packed = moves.reduce((sum, move) => sum + move.size, 0);
  const count = Math.floor(bytes.length / type.size);
  const first = moves[0];
  if (first !== undefined && moves.length === 1 && plain(first) && first.size === type.size) return bytes;
  const out = new Uint8Array(count * packed);
  let to = 0;
  for (let element = 0; element < count; element++) {
    const base = element * type.size;
    for (const { from, size, swap, widen } of moves) {
      const at = base + from;
      if (swap) for (let i = 0; i < size; i++) out[to + i] = bytes[at + size - 1 - i] as number;
      else if (size <= 16) for (let i = 0; i < size; i++) out[to + i] = bytes[at + i] as number;
      else out.set(bytes.subarray(at, at + size), to);
      if (widen) storeBits(out, to, size, widen(loadBits(out, to, size)));
      to += size;
    }
  }
  return out;
}

function movesOf(type: Datatype): Move[] {
  const moves: Move[] = [];
  addMoves(type, 0, moves);
  return moves;
}

function addMoves(type: Datatype, at: number, moves: Move[]): void {
  switch (type.class) {
    case 'integer':
    case 'float': {
      if (type.order === 'vax' || type.order === 'mixed') throw unsupported(`numbers in ${type.order} byte order`);
      const move: Move = { from: at, size: type.size, swap: type.order === 'be' && type.size > 1 };
      const partial = type.precision < type.size * 8;
      if (partial && type.class === 'integer') move.widen = integerWidener(type);
      else if (partial && (type.size === 4 || type.size === 8)) move.widen = floatWidener(type as FloatType);
      push(moves, move);
      return;
    }
    case 'bitfield':
    case 'time':
      if (type.order === 'vax' || type.order === 'mixed') throw unsupported(`values in ${type.order} byte order`);
      push(moves, { from: at, size: type.size, swap: type.order === 'be' && type.size > 1 });
      return;
    case 'enum':
      addMoves(type.base, at, moves);
      return;
    case 'complex':
      addMoves(type.base, at, moves);
      addMoves(type.base, at + type.base.size, moves);
      return;
    case 'array': {
      const count = type.dims.reduce((product, n) => product * n, 1);
      if (count * type.base.size !== type.size || count > MAX_MOVES) throw unsupported('this array datatype');
      for (let i = 0; i < count; i++) addMoves(type.base, at + i * type.base.size, moves);
      return;
    }
    case 'compound':
      for (const member of type.members) addMoves(member.type, at + member.offset, moves);
      return;
    case 'vlen':
      throw unsupported('variable-length data');
    case 'string':
      if (type.variable) throw unsupported('variable-length strings');
      push(moves, { from: at, size: type.size, swap: false });
      return;
    default:
      push(moves, { from: at, size: type.size, swap: false });
      return;
  }
}

function integerWidener({ size, precision, offset, signed }: IntegerType): (bits: bigint) => bigint {
  const asValue = signed ? BigInt.asIntN : BigInt.asUintN;
  return (bits) => BigInt.asUintN(size * 8, asValue(precision, bits >> BigInt(offset)));
}

/** Any binary float of at most 64 bits to IEEE 754 of the same size, rounding to nearest where it has more digits. */
function floatWidener(type: FloatType): (bits: bigint) => bigint {
  const read = floatReader(type);
  const view = new DataView(new ArrayBuffer(8));
  return (bits) => {
    if (type.size === 4) {
      view.setFloat32(0, read(bits));
      return BigInt(view.getUint32(0));
    }
    view.setFloat64(0, read(bits));
    return view.getBigUint64(0);
  };
}

/** The value of any binary float of at most 64 bits. */
function floatReader(type: FloatType): (bits: bigint) => number {
  const [exponentAt, exponentBits] = type.exponent;
  const [mantissaAt, mantissaBits] = type.mantissa;
  const top = 2 ** exponentBits - 1;
  return (bits) => {
    const sign = (bits >> BigInt(type.signAt)) & 1n ? -1 : 1;
    const exponent = Number(BigInt.asUintN(exponentBits, bits >> BigInt(exponentAt)));
    const fraction = Number(BigInt.asUintN(mantissaBits, bits >> BigInt(mantissaAt))) * 2 ** -mantissaBits;
    if (type.implied && exponent === top) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    if (!type.implied) return sign * fraction * 2 ** (exponent - type.bias);
    return sign * (exponent === 0 ? fraction * 2 ** (1 - type.bias) : (1 + fraction) * 2 ** (exponent - type.bias));
  };
}

/** All values of floats of two bytes, by type. */
const tables = new WeakMap<FloatType, Float32Array>();

/** Little-endian floats of two bytes (IEEE's half precision, bfloat16, any other layout) as numbers. */
export function halfFloats(bytes: Uint8Array, type: FloatType): Float32Array<ArrayBuffer> {
  let table = tables.get(type);
  if (table === undefined) {
    const read = floatReader(type);
    table = Float32Array.from({ length: 1 << 16 }, (_, bits) => read(BigInt(bits)));
    tables.set(type, table);
  }
  const values = new Float32Array(bytes.length >> 1);
  for (let i = 0; i < values.length; i++) {
    values[i] = table[(bytes[2 * i] as number) | ((bytes[2 * i + 1] as number) << 8)] as number;
  }
  return values;
}

function loadBits(bytes: Uint8Array, at: number, size: number): bigint {
  let bits = 0n;
  for (let i = size - 1; i >= 0; i--) bits = (bits << 8n) | BigInt(bytes[at + i] as number);
  return bits;
}

function storeBits(bytes: Uint8Array, at: number, size: number, bits: bigint): void {
  for (let i = 0, rest = bits; i < size; i++, rest >>= 8n) bytes[at + i] = Number(rest & 0xffn);
}

function plain(move: Move): boolean {
  return !move.swap && !move.widen;
}

/** Appends, joining neighbours that are copied as they are. */
function push(moves: Move[], move: Move): void {
  const last = moves.at(-1);
  if (last !== undefined && plain(last) && plain(move) && last.from + last.size === move.from) last.size += move.size;
  else if (moves.length < MAX_MOVES) moves.push(move);
  else throw unsupported('a datatype of over a million parts');
}

function unsupported(what: string): H5zError {
  return new H5zError('H5Z_E_UNSUPPORTED', `${what} cannot be given as plain bytes`, {
    remedy: 'read this dataset with a full HDF5 reader such as h5wasm or h5py',
  });
}
