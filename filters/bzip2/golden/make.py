"""Makes the golden chunks of filter 307. Run: python filters/bzip2/golden/make.py (h5py, hdf5plugin; Python's own bz2)."""

import bz2
import pathlib
import platform
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden, counts, noise  # noqa: E402

golden = Golden(__file__)
data = counts(3000, 2)

for block in (1, 5, 9):
    golden.h5(f"block-{block}", [block], data, 2)
golden.h5("no-block", [], data, 2)
golden.h5("zeros", [9], bytes(1_000_000), 4, "much larger than its chunk: 1 MB from 45 bytes")
golden.h5("noise", [9], noise(2000), 1)
golden.h5("one-byte", [9], b"\x2a", 1)
golden.h5("doubles", [5], counts(4000, 8, 3), 8)
golden.h5("two-blocks", [1], (bytes(range(256)) * 430)[:110_000], 1, "110 kB in blocks of 100 kB")
runs = b"".join(bytes([i]) * (i % 9) + b"\0" * i for i in range(256)) * 4
golden.h5("runs", [9], runs, 1, "runs around 4, 255 and 259 equal bytes, which the format counts")

BZ2 = {"tool": "Python's bz2", "version": platform.python_version()}
half = len(data) // 2
a, b = bz2.compress(data[:half]), bz2.compress(data[half:], 1)
golden.add("two-streams", a + b, [9], data, BZ2, "bz2.compress(first half) + bz2.compress(second half, 1)")
golden.add("empty-stream-between", a + bz2.compress(b"") + b, [9], data, BZ2, "bz2.compress(first half) + bz2.compress(b'') + bz2.compress(second half, 1)")
whole = bz2.compress(data)
golden.add("bytes-behind", whole + b"garbage", [9], data, BZ2, "bz2.compress + bytes by hand", "ignored, as PyTables' filter does")
golden.add("few-bytes-behind", whole + b"BZ", [9], data, BZ2, "bz2.compress + bytes by hand", "the beginning of no stream")



def randomised(content: bytes) -> bytes:
    """A stream as bzip2 before 0.9.5 wrote for repetitive blocks: some bytes exchanged before sorting, by a fixed table
    of distances (its beginning is here). Made of bz2's stream for the exchanged bytes, with the mark and both checksums."""
    exchanged, at = bytearray(content), -1
    for distance in (619, 720, 127, 481, 931, 816):
        at += distance
        if at - 1 < len(content):
            exchanged[at - 1] ^= 1
    good, other = bz2.compress(content), bz2.compress(bytes(exchanged))
    length = 8 * len(other)
    bits = int.from_bytes(other, "big")
    old, new = (int.from_bytes(stream[10:14], "big") for stream in (other, good))
    for shift in [length - 112] + [shift for shift in range(8) if bits >> shift & 0xFFFFFFFF == old and bits >> shift + 32 & 2**48 - 1 == 0x177245385090]:
        bits ^= (old ^ new) << shift
    return (bits | 1 << length - 113).to_bytes(len(other), "big")


plain = bytes(i * 7 % 251 for i in range(3000))
golden.add("randomised", randomised(plain), [9], plain, BZ2, "bz2.compress, then the mark of randomised blocks by hand", "bzip2 0.9.0 and before wrote such blocks")
unfounded = whole[:14] + bytes([whole[14] | 0x80]) + whole[15:]

corrupt = "H5Z_E_CORRUPT"
golden.refuse("empty", b"", [9], corrupt, len(data), "no stream at all")
golden.refuse("magic", b"BZ0" + whole[3:], [9], corrupt, len(data), "bzip, the predecessor")
golden.refuse("block-size-0", b"BZh0" + whole[4:], [9], corrupt, len(data), "a block size the format does not have")
golden.refuse("header-only", whole[:4], [9], corrupt, len(data), "a header and no block")
golden.refuse("cut", whole[:-1], [9], corrupt, len(data), "the last byte is missing")
golden.refuse("cut-in-block", whole[: len(whole) // 2], [9], corrupt, len(data), "half of the block is missing")
golden.refuse("cut-between-streams", a + b[:-1], [9], corrupt, len(data), "the second stream is cut")
golden.refuse("block-crc", whole[:10] + bytes([whole[10] ^ 1]) + whole[11:], [9], corrupt, len(data), "the content does not match the block's checksum")
golden.refuse("stream-crc", whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:], [9], corrupt, len(data), "the blocks do not match the stream's checksum")
golden.refuse("randomised", unfounded, [9], corrupt, len(data), "marked as randomised, which this block was not")
golden.refuse("too-small", whole, [9], "H5Z_E_OUTPUT", len(data) - 1, "a good stream, one byte less room")
golden.refuse("no-room", whole, [9], "H5Z_E_OUTPUT", 0, "a good stream, no room")
golden.refuse("cut-and-full", whole[:-1], [9], corrupt, len(data), "cut in the trailer, when the output is full")
golden.write()
