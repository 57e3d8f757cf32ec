"""Makes the golden chunks of filter 1. Run: python filters/deflate/golden/make.py (h5py; Python's zlib)."""

import pathlib
import struct
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
import numpy as np  # noqa: E402
from golden import Golden, counts, noise  # noqa: E402

golden = Golden(__file__)
data = counts(3000, 2)


def made_by_hdf5(name: str, level: int, content: bytes, dtype: str, note: str = "") -> None:
    array = np.frombuffer(content, dtype)
    golden.library(name, array, lambda dcpl: dcpl.set_deflate(level), f"H5Pset_deflate({level})", note)


for level in range(10):
    made_by_hdf5(f"level-{level}", level, data, "<u2")
made_by_hdf5("zeros", 6, bytes(100_000), "V4")
made_by_hdf5("noise", 6, noise(2000), "V1", "larger than its data")
made_by_hdf5("one-byte", 6, b"\x2a", "V1")
made_by_hdf5("doubles", 4, counts(4000, 8, 3), "<f8")

PYTHON = {"tool": "zlib (Python)", "version": zlib.ZLIB_RUNTIME_VERSION}


def stream(content: bytes, *, level=6, wbits=15, memory=8, strategy=zlib.Z_DEFAULT_STRATEGY, flush=None, step=1000) -> bytes:
    z = zlib.compressobj(level, zlib.DEFLATED, wbits, memory, strategy)
    out = b""
    for i in range(0, len(content), step):
        out += z.compress(content[i : i + step])
        if flush is not None:
            out += z.flush(flush)
    return out + z.flush()


def made(name: str, note: str = "", **options) -> bytes:
    command = f"compressobj({', '.join(f'{key}={value}' for key, value in options.items())})"
    return golden.add(name, stream(data, **options), [6], data, PYTHON, command, note)


for wbits in range(9, 15):
    made(f"window-{wbits}", f"a window of {2 ** wbits} bytes", wbits=wbits)
made("memory-1", "many small blocks", memory=1)
made("fixed", "Huffman codes of the format itself", strategy=zlib.Z_FIXED)
made("huffman-only", "no matches", strategy=zlib.Z_HUFFMAN_ONLY)
made("run-length", "distances of one", strategy=zlib.Z_RLE)
made("flushed", "an empty stored block after every 1000 bytes", flush=zlib.Z_SYNC_FLUSH)
made("flushed-often", "more overhead than data", flush=zlib.Z_FULL_FLUSH, step=8)
made("partly-flushed", flush=zlib.Z_PARTIAL_FLUSH)
plain = stream(data)
golden.add("bytes-behind", plain + b"behind", [6], data, PYTHON, "compressobj() and 6 bytes", "zlib stops at the stream's end")
golden.add("byte-behind", plain + b"\0", [6], data, PYTHON, "compressobj() and a byte")
golden.add("two-streams", plain + plain, [6], data, PYTHON, "compressobj() twice", "only the first one counts")
# 258 bytes a match, all of them: the densest stream there is.
long = b"\x07" * 300_000
golden.add("dense", stream(long, level=9, step=len(long)), [9], long, PYTHON, "compressobj(level=9)")

corrupt, size = "H5Z_E_CORRUPT", len(data)


def raw(*bits: tuple[int, int]) -> bytes:
    """A zlib stream of these (value, bits), lowest first, and an Adler-32 of nothing."""
    value = at = 0
    for part, width in bits:
        value |= part << at
        at += width
    return b"\x78\x9c" + value.to_bytes(-(-at // 8), "little") + struct.pack(">I", 1)


golden.refuse("no-bytes", b"", [6], corrupt, size, "nothing")
golden.refuse("header-only", plain[:2], [6], corrupt, size, "a header without a block")
golden.refuse("cut", plain[:-1], [6], corrupt, size, "the last byte of the checksum is missing")
golden.refuse("no-checksum", plain[:-4], [6], corrupt, size, "the checksum is missing")
golden.refuse("half", plain[: len(plain) // 2], [6], corrupt, size, "the second half is missing")
golden.refuse("checksum-wrong", plain[:-1] + bytes([plain[-1] ^ 1]), [6], corrupt, size, "not the data's Adler-32")
golden.refuse("header-check", b"\x78\x9d" + plain[2:], [6], corrupt, size, "the header's own check fails")
golden.refuse("method", b"\x77\x85" + plain[2:], [6], corrupt, size, "method 7, not deflate")
golden.refuse("window", b"\x88\x98" + plain[2:], [6], corrupt, size, "a window of 64 KiB")
golden.refuse("bare", plain[2:-4], [6], corrupt, size, "DEFLATE without zlib's header")
golden.refuse("gzip", stream(data, wbits=31), [6], corrupt, size, "gzip, which is not what HDF5's GZIP filter writes")
dictionary = zlib.compressobj(6, zlib.DEFLATED, 15, 8, zlib.Z_DEFAULT_STRATEGY, counts(300, 2, 5))
golden.refuse("dictionary", dictionary.compress(data) + dictionary.flush(), [6], "H5Z_E_UNSUPPORTED", size,
              "made with a dictionary, which an HDF5 file has no place for")
golden.refuse("block-type", raw((1, 1), (3, 2), (0, 40)), [6], corrupt, size, "block type 3")
golden.refuse("stored-length", raw((1, 1), (0, 2), (0, 5), (5, 16), (5, 16), (0, 40)), [6], corrupt, size,
              "a stored block whose lengths do not agree")
golden.refuse("distance", raw((1, 1), (1, 2), (0x40, 7), (0, 5), (0, 7), (0, 16)), [6], corrupt, size,
              "a match before the first byte")
golden.refuse("no-end", raw((0, 1), (0, 2), (0, 5), (0, 16), (0xFFFF, 16)), [6], corrupt, size, "no last block")
golden.refuse("too-small", plain, [6], "H5Z_E_OUTPUT", size - 1, "a good stream, one byte less room")
golden.refuse("too-small-dense", stream(long, level=9), [9], "H5Z_E_OUTPUT", size, "a good stream, far too little room")
golden.write()
