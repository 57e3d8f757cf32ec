// A codec that shows in its bytes what was done: for tests of what runs codecs.

import { type Codec, filterError, type LoadedStage } from '../../dist/index.js';

/** A codec in JavaScript: encoding puts `tag` before the data, decoding takes it off. */
export function tagging(tag: number, extra: Partial<Codec> = {}): Codec {
  const codec: Codec = {
    id: tag,
    name: `tag${tag}`,
    variant: 'wasm',
    source: 'test',
    canEncode: true,
    decode(chunk, { size = Number.POSITIVE_INFINITY } = {}) {
      if (chunk[0] !== tag) throw filterError(-2, `tag${tag}`);
      if (chunk.length - 1 > size) throw filterError(-3, `tag${tag}`);
      return chunk.slice(1);
    },
    decodeInto(chunk, out, options) {
      const data = codec.decode(chunk, { ...options, size: Math.min(out.length, options?.size ?? out.length) });
      out.set(data);
      return data.length;
    },
    decodedSize: (chunk) => chunk.length - 1,
    encode: (data) => new Uint8Array([tag, ...data]),
    encodeInto: () => 0,
    encodeBound: (size) => size + 1,
    derive: (client) => Uint32Array.from(client),
    restore: (stored) => Uint32Array.from(stored),
    decodeAsync: async (chunk, options) => codec.decode(chunk, options),
    encodeAsync: async (data) => codec.encode(data),
    ...extra,
  };
  return codec;
}

/** A stage of it. */
export const stage = (codec: Codec, flags = 0): LoadedStage => ({ id: codec.id, cdValues: [], flags, codec });
