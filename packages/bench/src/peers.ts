// What the peers call our filters. A filter without an entry is benchmarked against the peers that do have it; this is
// knowledge about other people's packages, not a list of filters.

/** numcodecs.js: the same codec in another container, by HDF5 filter ID. */
export interface NumcodecsPeer {
  readonly module: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** The peer's container around the same compressed block, or undefined where this chunk has no counterpart. */
  repack(chunk: Uint8Array): Uint8Array | undefined;
}

export const NUMCODECS: Readonly<Record<number, NumcodecsPeer>> = {
  // HDF5's LZ4 chunk is u64 BE size | u32 BE block size | u32 BE stored size | block; numcodecs' is u32 LE size | block.
  32004: {
    module: 'numcodecs/lz4',
    config: { id: 'lz4' },
    repack(chunk) {
      const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const size = Number(view.getBigUint64(0));
      const stored = view.getUint32(12);
      if (view.getUint32(8) < size || stored === size || 16 + stored !== chunk.length) return undefined;
      const out = new Uint8Array(4 + stored);
      new DataView(out.buffer).setUint32(0, size, true);
      out.set(chunk.subarray(16), 4);
      return out;
    },
  },
  // Both keep a plain zstd frame.
  32015: { module: 'numcodecs/zstd', config: { id: 'zstd' }, repack: (chunk) => chunk },
};

/** File of h5wasm-plugins 0.2.1 by HDF5 filter ID. */
export const H5WASM_PLUGINS: Readonly<Record<number, string>> = {
  307: 'libH5Zbz2.so',
  32000: 'libH5Zlzf.so',
  32001: 'libH5Zblosc.so',
  32004: 'libH5Zlz4.so',
  32008: 'libH5Zbshuf.so',
  32013: 'libH5Zzfp.so',
  32015: 'libH5Zzstd.so',
  32019: 'libH5Zjpeg.so',
  32022: 'libH5Zbitgroom.so',
  32026: 'libH5Zblosc2.so',
  32032: 'libH5Zbitround.so',
};
