// A WebAssembly module of the standalone ABI whose decoder does on command what codecs must not do, assembled here byte
// by byte so that the loader's tests need no compiler. The first byte of a chunk is the command:
//
//   0  copy the rest of the chunk      3  claim to have written cap + 1 bytes   5  65536 bytes, size unknown
//   1  trap                            4  recurse until the stack is full       6  the header claims 4,000,000,000 bytes
//   2  return H5Z_E_CORRUPT           7  return H5Z_E_VERSION, explained by "why!"

export const COPY = 0;
export const TRAP = 1;
export const CORRUPT = 2;
export const LIE = 3;
export const RECURSE = 4;
export const GROW = 5;
export const BOAST = 6;
export const FUTURE = 7;

export interface FakeOptions {
  readonly id?: number;
  readonly abi?: number;
  /** Leaves out an export. */
  readonly without?: string;
  /** Adds an import `env.f`. */
  readonly imports?: boolean;
}

const I32 = 0x7f;
const F64 = 0x7c;
const END = 0x0b;
const RETURN = 0x0f;

function leb(value: number): number[] {
  const bytes = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

/** Signed LEB128. */
function sleb(value: number): number[] {
  const bytes = [];
  for (let rest = value; ; rest >>= 7) {
    const byte = rest & 0x7f;
    if ((rest >> 7 === 0 && (byte & 0x40) === 0) || (rest >> 7 === -1 && (byte & 0x40) !== 0)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

const vector = (items: readonly (readonly number[])[]) => [...leb(items.length), ...items.flat()];
const text = (value: string) => [...leb(value.length), ...new TextEncoder().encode(value)];
const section = (id: number, content: readonly number[]) => [id, ...leb(content.length), ...content];
const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const i32 = (value: number) => [0x41, ...sleb(value)];
const f64 = (value: number) => [0x44, ...new Uint8Array(new Float64Array([value]).buffer)];
const when = (condition: readonly number[], then: readonly number[]) => [...condition, 0x04, 0x40, ...then, END];
const firstByte = [...get(2), 0x2d, 0, 0];
const isCommand = (command: number) => [...firstByte, ...i32(command), 0x46];
const body = (locals: number, code: readonly number[]) => {
  const content = [...(locals > 0 ? [1, ...leb(locals), I32] : [0]), ...code, END];
  return [...leb(content.length), ...content];
};

/** The module's bytes. Filter 40000, "fake". */
export function fakeModule({
  id = 40000,
  abi = 1,
  without,
  imports = false,
}: FakeOptions = {}): Uint8Array<ArrayBuffer> {
  const types = [
    [0x60, 1, I32, 1, I32], // 0 alloc
    [0x60, 0, 0], // 1 reset
    [0x60, 0, 1, I32], // 2 info
    [0x60, 6, I32, I32, I32, I32, I32, I32, 1, F64], // 3 decode
    [0x60, 4, I32, I32, I32, I32, 1, F64], // 4 decoded_size
  ];
  const shift = imports ? 1 : 0; // imported functions come first in the index space
  const decodeIndex = 3 + shift;

  const alloc = body(2, [
    ...[0x23, 0, ...set(1)],
    ...[0x23, 0, ...get(0), 0x6a, ...i32(15), 0x6a, ...i32(-16), 0x71, 0x24, 0],
    ...when(
      [0x23, 0, ...i32(16), 0x76, ...i32(1), 0x6a, 0x3f, 0, 0x6b, 0x22, 2, ...i32(0), 0x4a],
      when([...get(2), 0x40, 0, ...i32(-1), 0x46], [...i32(0), RETURN]),
    ),
    ...get(1),
  ]);
  const reset = body(0, [...i32(4096), 0x24, 0]);
  const info = body(0, i32(64));
  const decode = body(0, [
    ...when(isCommand(TRAP), [0x00]),
    ...when(isCommand(CORRUPT), [...f64(-2), RETURN]),
    ...when(isCommand(FUTURE), [...f64(-5), RETURN]),
    ...when(isCommand(LIE), [...get(5), 0xb8, ...f64(1), 0xa0, RETURN]),
    ...when(isCommand(RECURSE), [...[0, 1, 2, 3, 4, 5].flatMap(get), 0x10, decodeIndex, ...f64(1), 0xa0, RETURN]),
    ...when(isCommand(GROW), [...when([...get(5), ...i32(65536), 0x49], [...f64(-3), RETURN]), ...f64(65536), RETURN]),
    ...when([...get(3), ...i32(1), 0x6b, ...get(5), 0x4b], [...f64(-3), RETURN]),
    ...[...get(4), ...get(2), ...i32(1), 0x6a, ...get(3), ...i32(1), 0x6b, 0xfc, 0x0a, 0, 0],
    ...[...get(3), ...i32(1), 0x6b, 0xb8],
  ]);
  const decodedSize = body(0, [...when(isCommand(BOAST), [...f64(4e9), RETURN]), ...f64(-100)]);
  // restore: the client values are the stored ones, each word as it is.
  const restore = body(0, [
    ...[...get(2), ...get(0), ...get(1), ...i32(4), 0x6c, 0xfc, 0x0a, 0, 0],
    ...[...get(1), 0xb8],
  ]);

  // explain: "why!", whatever the chunk is.
  const explain = body(0, [...get(4), ...i32(0x21796877), 0x36, 0, 0, ...f64(4)]);

  const exports: [string, number, number][] = [
    ['memory', 2, 0],
    ['h5z_alloc', 0, shift],
    ['h5z_reset', 0, 1 + shift],
    ['h5z_info', 0, 2 + shift],
    ['h5z_decode', 0, decodeIndex],
    ['h5z_decoded_size', 0, 4 + shift],
    ['h5z_restore', 0, 5 + shift],
    ['h5z_explain', 0, 6 + shift],
  ];
  const words = new Uint32Array([abi, id, 2, 96, 96, 96]);
  const data = [...new Uint8Array(words.buffer), ...Array(8).fill(0), ...new TextEncoder().encode('fake'), 0];
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...(imports ? section(2, vector([[...text('env'), ...text('f'), 0, 1]])) : []),
    ...section(3, vector([[0], [1], [2], [3], [4], [4], [3]])),
    ...section(5, vector([[0, 1]])),
    ...section(6, vector([[I32, 1, ...i32(4096), END]])),
    ...section(
      7,
      vector(exports.filter(([name]) => name !== without).map(([name, kind, index]) => [...text(name), kind, index])),
    ),
    ...section(10, vector([alloc, reset, info, decode, decodedSize, restore, explain])),
    ...section(11, vector([[0, ...i32(64), END, ...leb(data.length), ...data]])),
  ]);
}
