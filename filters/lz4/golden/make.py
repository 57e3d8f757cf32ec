"""Makes the golden chunks of filter 32004. Run: python filters/lz4/golden/make.py (h5py, hdf5plugin)."""

import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden, counts, noise  # noqa: E402

golden = Golden(__file__)
data = counts(3000, 2)

golden.h5("no-block-size", [], data, 2)
default = golden.h5("block-0", [0], data, 2, "0 = 1 GiB, clipped to the chunk")
golden.h5("one-block", [len(data)], data, 2)
partial = golden.h5("partial-last", [1024], data, 2, "6000 bytes in blocks of 1024: the last holds 880")
golden.h5("whole-blocks", [1500], data, 2, "4 blocks, none partial")
golden.h5("block-of-one-less", [len(data) - 1], data, 2, "the last block is one byte, a plain copy")
golden.h5("block-3", [3], data[:300], 2, "a compression level mistaken for the block size: every block is a plain copy")
golden.h5("block-larger", [1 << 30], data, 2, "clipped to the chunk")
raw = golden.h5("noise", [0], noise(3000), 1, "LZ4 does not shrink it: a plain copy")
golden.h5("noise-blocks", [1000], noise(2500), 1, "plain copies, the last one partial")
golden.h5("mixed", [1000], bytes(1500) + noise(1500) + bytes(700), 1, "compressed blocks and plain copies side by side")
golden.h5("zeros", [0], bytes(200_000), 4)
golden.h5("one-byte", [0], b"\x2a", 1)
golden.h5("twelve-bytes", [0], bytes(12), 1, "too short for LZ4 to find a match")
golden.h5("doubles", [4096], counts(3000, 8, 3), 8)

FORMAT = {"tool": "by hand", "version": "LZ4_HDF5_format.md of HDFGroup/hdf5_plugins, blocks by hdf5plugin"}
golden.add("empty", struct.pack(">QI", 0, 0), [], b"", FORMAT, "struct.pack('>QI', 0, 0)", "0 decoded bytes, no blocks")
golden.add("empty-block-size", struct.pack(">QI", 0, 1 << 30), [], b"", FORMAT, "struct.pack('>QI', 0, 1 << 30)", "0 decoded bytes, no blocks")
golden.add("unclipped", default[:8] + struct.pack(">I", 1 << 30) + default[12:], [], data, FORMAT,
           "the chunk block-0 with its block size as the first plugins wrote it", "the block is longer than the chunk")

size, corrupt = len(data), "H5Z_E_CORRUPT"


def header(chunk: bytes, decoded: int, block: int) -> bytes:
    return struct.pack(">QI", decoded, block) + chunk[12:]


golden.refuse("no-bytes", b"", [], corrupt, size, "no header")
golden.refuse("header-cut", default[:11], [], corrupt, size, "11 of the header's 12 bytes")
golden.refuse("header-only", default[:12], [], corrupt, size, "no block behind the header")
golden.refuse("length-cut", default[:15], [], corrupt, size, "3 of a block length's 4 bytes")
golden.refuse("cut", default[:-1], [], corrupt, size, "the last byte is missing")
golden.refuse("behind", default + b"\0", [], corrupt, size, "a byte behind the last block")
golden.refuse("block-0", header(default, size, 0), [], corrupt, size, "blocks of 0 bytes never reach the end")
golden.refuse("length-0", default[:12] + struct.pack(">I", 0) + default[16:], [], corrupt, size, "a block of 0 stored bytes")
golden.refuse("length-beyond", default[:12] + struct.pack(">I", len(default)) + default[16:], [], corrupt, size, "a block longer than the chunk")
golden.refuse("length-huge", default[:12] + b"\xff\xff\xff\xff" + default[16:], [], corrupt, size, "a block of 4 GiB")
golden.refuse("size-larger", header(default, size + 1, size + 1), [], corrupt, size + 1, "the block decodes to less than the header says")
golden.refuse("size-smaller", header(default, size - 1, size - 1), [], corrupt, size, "the block decodes to more than the header says")
golden.refuse("size-lie", header(default, 2**63 + 1, size), [], corrupt, size, "claims 8 EiB")
golden.refuse("size-1-gib", header(default, 2**30, 2**30), [], corrupt, size, "claims more than LZ4 can hold in these bytes")
golden.refuse("block-wrong", header(partial, size, 1000), [], corrupt, size, "another block size than the blocks have")
golden.refuse("noise-as-lz4", header(raw, 2999, 2999), [], corrupt, 3000, "a plain copy whose length says it is LZ4")
golden.refuse("too-small", default, [], "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
golden.refuse("too-small-raw", raw, [], "H5Z_E_OUTPUT", 2999, "a good plain copy, one byte less room")
golden.write()
