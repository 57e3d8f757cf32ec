"""Makes the golden chunks of filter 32020. Run: python filters/vbz/golden/make.py (h5py, vbz-h5py-plugin 1.0.1 from PyPI,
zstd on PATH). Oxford Nanopore's plugin makes the chunks: it is called through HDF5."""

import os
import pathlib
import re
import struct
import subprocess
import sys

folder = os.environ.get("VBZ_PLUGIN_FOLDER")  # the wheel's folder of libraries, where the package is not installed
if folder:
    os.environ["HDF5_PLUGIN_PATH"] = folder
else:
    import vbz_h5py_plugin  # noqa: F401  registers its plugin

import h5py  # noqa: E402
import numpy as np  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden, counts, h5_chunk, noise  # noqa: E402

golden = Golden(__file__)
ONT = {"tool": "Oxford Nanopore's vbz_hdf_plugin", "version": f"vbz-h5py-plugin 1.0.1 (h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version})"}


def ont(name: str, client: list[int], data: bytes, elem: int, note: str = "") -> bytes:
    chunk, stored = h5_chunk(32020, client, data, elem)
    command = f"create_dataset(dtype='V{elem}', compression=32020, compression_opts={tuple(client)}); read_direct_chunk"
    return golden.add(name, chunk, stored, data, ONT, command, note, elem)


def signal(n: int, elem: int, seed: int = 1) -> bytes:
    """A walk with jumps, as raw signal is: most differences take a byte, some two or more."""
    values, now = [], 400
    for r, s in zip(noise(n, seed), noise(n, seed + 7)):
        now += r % 16 - 8 if s < 220 else (r - 128) * 3 if s < 252 else (r - 128) * 500
        values.append(now)
    return np.array(values, "<i8").astype(f"<i{elem}").tobytes()


for version in (0, 1):
    for elem in (1, 2, 4):
        data = signal(1003, elem)
        for delta in (0, 1):
            for level in (0, 1):
                ont(f"v{version}-int{8 * elem}-delta{delta}-level{level}", [version, elem, delta, level], data, elem)
small = signal(37, 1)
ont("v1-int8-small", [1, 1, 1, 0], bytes(20) + small + bytes(range(0, 256, 3)), 1, "nothing, half bytes, bytes")
ont("no-level", [0, 2, 1], signal(500, 2), 2, "level 1 by default")
content = counts(1500, 2)  # the plugin reads integers of size 0, and divides by that size when it writes
ZSTD = {"tool": "zstd (command line)", "version": re.search(r"v([0-9.]+)", subprocess.run(["zstd", "--version"], capture_output=True, text=True, check=True).stdout)[1]}
piped = subprocess.run(["zstd", "-q", "-3", "-c"], input=content, capture_output=True, check=True).stdout
golden.add("zstd-alone", struct.pack("<I", len(content)) + piped, [0, 0, 0, 3], content, ZSTD, "header by hand + zstd -q -3 -c", "no StreamVByte")
golden.add("copied", struct.pack("<I", 200) + content[:200], [1, 0, 0, 0], content[:200], {"tool": "by hand", "version": "-"}, "header + content", "no StreamVByte and no zstd")
ont("zeros", [1, 2, 1, 1], bytes(50_000), 2)
extremes = np.array([0, 32767, -32768, 32767, -1, 0, -32768, -32768, 1, 0, 255, -256] * 9, "<i2").tobytes()
whole = ont("extremes", [1, 2, 1, 0], extremes, 2, "differences that wrap around")
ont("int32-extremes", [1, 4, 1, 1], np.array([0, 2**31 - 1, -(2**31), -1, 0, 2**24, -(2**16)] * 9, "<i4").tobytes(), 4)
ont("one", [1, 2, 1, 1], b"\x34\x12", 2)


def unwrapped(values: list[int]) -> bytes:
    """As the plugin's code for other processors than x86 writes 16-bit differences: in 32 bits, so up to 3 bytes each."""
    keys, data, last = [0] * ((len(values) + 3) // 4), b"", 0
    for i, value in enumerate(values):
        code, last = (value - last) * 2 if value >= last else (last - value) * 2 - 1, value
        length = max(1, (code.bit_length() + 7) // 8)
        keys[i // 4] |= (length - 1) << 2 * (i % 4)
        data += code.to_bytes(length, "little")
    return struct.pack("<I", 2 * len(values)) + bytes(keys) + data


jumps = ([3, 5, -2, 9, 8, 7, 6, 5] * 3 + [32767, -32768, 100, -32768] + [4, 3, 2, 1] * 5) * 2
golden.add("unwrapped", unwrapped(jumps), [1, 2, 1, 0], np.array(jumps, "<i2").tobytes(), {"tool": "by hand", "version": "-"},
           "StreamVByte of differences in 32 bits", "as the plugin writes on processors other than x86")

corrupt = "H5Z_E_CORRUPT"
packed = golden.files["v0-int16-delta1-level1.bin"]
plain = golden.files["v0-int16-delta1-level0.bin"]
size = 2006
cd = [1, 2, 1, 1]
golden.refuse("empty", b"", cd, corrupt, size, "no header")
golden.refuse("header-cut", packed[:3], cd, corrupt, size, "half a header")
golden.refuse("header-only", packed[:4], cd, corrupt, size, "nothing behind the header")
golden.refuse("cut", packed[:-1], cd, corrupt, size, "the last byte is missing")
golden.refuse("plain-cut", plain[:-1], [1, 2, 1, 0], corrupt, size, "the last byte is missing")
golden.refuse("plain-longer", plain + b"\0", [1, 2, 1, 0], corrupt, size, "one byte too many")
golden.refuse("keys-cut", plain[:100], [1, 2, 1, 0], corrupt, size, "not even all keys")
golden.refuse("odd-size", struct.pack("<I", 2005) + packed[4:], cd, corrupt, size, "half an integer")
golden.refuse("fewer", struct.pack("<I", 2004) + packed[4:], cd, corrupt, size, "one integer more than the header says")
golden.refuse("size-lie", struct.pack("<I", 2**32 - 2) + packed[4:], [1, 2, 1, 0], corrupt, size, "claims 4 GiB")
golden.refuse("copied-longer", struct.pack("<I", 3) + b"abcd", [1, 0, 0, 0], corrupt, 10, "not the length that the header says")
golden.refuse("version-2", packed, [2, 2, 1, 1], "H5Z_E_VERSION", size, "a version that nobody knows")
golden.refuse("width-3", packed, [1, 3, 1, 1], "H5Z_E_PARAM", size, "integers of 3 bytes")
golden.refuse("two-values", packed, [1, 2], "H5Z_E_PARAM", size, "too few cd_values to know what the chunk is")
golden.refuse("too-small", packed, cd, "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
golden.write()
