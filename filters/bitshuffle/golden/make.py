"""Makes the golden chunks of filter 32008. Run: python filters/bitshuffle/golden/make.py (h5py, hdf5plugin)."""

import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import HDF5PLUGIN, Golden, counts, noise  # noqa: E402

golden = Golden(__file__)
NAMES = {0: "none", 2: "lz4", 3: "zstd"}

# Every element size in every mode; 603 elements: several blocks of 256 and 80, a last one rounded down, a raw tail of 3.
for elem in [*range(1, 17), 20, 24, 33]:
    for codec in (0, 2, 3):
        if codec == 0 and elem > 8 and elem % 4 != 0 or codec == 3 and elem > 8 and elem not in (12, 16, 33):
            continue  # the transpose is the same; keeps the folder small
        n = 603 if elem <= 8 and codec == 2 else 203
        golden.h5(f"{NAMES[codec]}-{elem}", [80, codec, 3][: 3 if codec == 3 else 2], counts(n, elem, elem), elem)

# The automatic block size: 8192 / elem, rounded down to 8, at least 128.
for elem, n in ((1, 8192 + 1003), (2, 4096 + 9), (3, 2728 + 8), (8, 1024 + 15), (48, 168 + 20), (100, 128 + 17)):
    golden.h5(f"auto-lz4-{elem}", [0, 2], counts(n, elem, elem), elem)
golden.h5("auto-none-4", [0, 0], counts(2048 + 12, 4), 4)
golden.h5("auto-zstd-4", [0, 3, 3], counts(2048 * 2 + 12, 4), 4)
golden.h5("no-values", [], counts(300, 4), 4, "client values absent: only transposed, automatic block")
golden.h5("block-only", [64], counts(300, 4), 4, "codec absent: only transposed")

# Counts of elements around a group of 8 and a block.
for n in (1, 7, 8, 9, 15, 16, 17, 127, 128, 129, 135, 136, 256, 264):
    golden.h5(f"lz4-n{n}", [128, 2], counts(n, 4, n), 4)
for n in (1, 7, 8, 9, 129):
    golden.h5(f"none-n{n}", [128, 0], counts(n, 2, n), 2)
    golden.h5(f"zstd-n{n}", [128, 3, 3], counts(n, 2, n), 2)

for block in (8, 16, 24, 2048):
    golden.h5(f"block-{block}", [block, 2], counts(200, 2), 2)
golden.h5("noise-lz4", [64, 2], noise(2000), 2, "blocks that grow: no plain copies in this format")
golden.h5("noise-zstd", [64, 3, 1], noise(1000), 2)
golden.h5("zeros", [0, 2], bytes(100_000), 4)
for level in (-5, 1, 19):
    golden.h5(f"zstd-level{level}", [128, 3, level], counts(600, 4), 4)
golden.h5("compound-300", [0, 2], counts(140, 300, 5), 300, "a large compound: bytes 0 to 299 of one element")

data = counts(603, 4)
chunk = golden.h5("header", [64, 2], data, 4)
made = "the chunk header with other cd_values"
golden.add("header-overrides", chunk, [0, 4, 4, 2048, 2], data, HDF5PLUGIN, made, "block size of the header, not of cd_values[3]", 4)
golden.add("header-overrides-auto", chunk, [0, 4, 4, 0, 2], data, HDF5PLUGIN, made, "block size of the header, not the automatic one", 4)
golden.add("level-behind-lz4", chunk, [0, 4, 4, 64, 2, 9], data, HDF5PLUGIN, made, "a level that LZ4 does not look at", 4)
golden.add("version-3", chunk, [0, 3, 4, 64, 2], data, HDF5PLUGIN, made, "stored by an older version", 4)
golden.add("many-values", chunk, [0, 4, 4, 64, 2, *range(28)], data, HDF5PLUGIN, made, "33 values: the rest means nothing", 4)
automatic = golden.h5("auto-for-header-0", [0, 2], data, 4)
golden.add("header-0", automatic[:8] + bytes(4) + automatic[12:], [0, 4, 4, 0, 2], data, HDF5PLUGIN,
           "the chunk auto-for-header-0 with block bytes 0", "0 in the header means automatic, as in cd_values", 4)
squeezed = golden.h5("zstd", [64, 3, 3], data, 4)
golden.add("no-level", squeezed, [0, 4, 4, 64, 3], data, HDF5PLUGIN, "the chunk zstd with 5 cd_values", "cd_values[5] missing", 4)

size, good = len(data), [0, 4, 4, 64, 2]
corrupt, parameter = "H5Z_E_CORRUPT", "H5Z_E_PARAM"


def header(chunk: bytes, decoded: int, block: int) -> bytes:
    return struct.pack(">QI", decoded, block) + chunk[12:]


for n in range(3):
    golden.refuse(f"{n}-values", chunk, good[:n], parameter, size, "the element size is missing")
golden.refuse("element-0", chunk, [0, 4, 0, 64, 2], parameter, size, "elements of 0 bytes")
golden.refuse("block-7", chunk, [0, 4, 4, 7, 2], parameter, size, "a block size that is no multiple of 8")
for codec in (1, 4, 2**32 - 1):
    golden.refuse(f"codec-{codec}", chunk, [0, 4, 4, 64, codec], parameter, size, "no such codec")
golden.refuse("no-bytes", b"", good, corrupt, size, "no header")
golden.refuse("header-cut", chunk[:11], good, corrupt, size, "11 of the header's 12 bytes")
golden.refuse("header-only", chunk[:12], good, corrupt, size, "no block behind the header")
golden.refuse("length-cut", chunk[:15], good, corrupt, size, "3 of a block length's 4 bytes")
golden.refuse("cut", chunk[:-1], good, corrupt, size, "the last byte is missing")
golden.refuse("cut-zstd", squeezed[:-1], [0, 4, 4, 64, 3], corrupt, size, "the last byte is missing")
golden.refuse("behind", chunk + b"\0", good, corrupt, size, "a byte behind the raw tail")
golden.refuse("header-block-12", header(chunk, size, 48), good, corrupt, size, "12 elements a block: no multiple of 8")
golden.refuse("header-block-huge", header(chunk, size, 2**32 - 32), good, corrupt, size, "one block of everything, which the first block is not")
golden.refuse("size-no-multiple", header(chunk, size - 1, 256), good, corrupt, size, "no whole number of elements")
golden.refuse("size-larger", header(chunk, size + 32, 256), good, corrupt, size + 32, "8 elements more than there are")
golden.refuse("size-smaller", header(chunk, size - 32, 256), good, corrupt, size, "8 elements fewer than there are")
golden.refuse("size-lie", header(chunk, 2**63 - 4, 256), good, corrupt, size, "claims 8 EiB")
golden.refuse("length-0", chunk[:12] + bytes(4) + chunk[16:], good, corrupt, size, "a block of 0 stored bytes")
golden.refuse("length-huge", chunk[:12] + b"\xff\xff\xff\xff" + chunk[16:], good, corrupt, size, "a block of 4 GiB")
golden.refuse("lz4-as-zstd", chunk, [0, 4, 4, 64, 3], corrupt, size, "cd_values say zstd, the blocks are LZ4")
golden.refuse("zstd-as-lz4", squeezed, good, corrupt, size, "cd_values say LZ4, the blocks are zstd")
golden.refuse("none-no-multiple", data[:-1], [0, 4, 4, 64, 0], corrupt, size, "no whole number of elements")
golden.refuse("too-small", chunk, good, "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
golden.refuse("too-small-none", data, [0, 4, 4, 64, 0], "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
golden.write()
