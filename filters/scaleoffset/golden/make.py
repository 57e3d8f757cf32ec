"""Makes the golden chunks of filter 6. Run: python filters/scaleoffset/golden/make.py (h5py, hdf5plugin, numpy; H5Z_SHARED
names the folder with the corpus)."""

import os
import pathlib
import sys

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden, noise  # noqa: E402

golden = Golden(__file__)
DECIMAL, INTEGER = 0, 2


def pack(name: str, array: np.ndarray, kind: int, factor: int, fill=None, note: str = "") -> bytes:
    def set_filter(plist):
        plist.set_filter(h5py.h5z.FILTER_SCALEOFFSET, h5py.h5z.FLAG_OPTIONAL, (kind, factor % 2**32))

    fill = None if fill is None else np.array([fill], array.dtype)
    # Half a digit; twice that where a value near the fill value becomes it. Numbers that lose bits have a note instead.
    error = 0 if kind == INTEGER else 1.01 * 10.0**-factor
    what = f"H5Pset_filter(scaleoffset, [{kind}, {factor}])" + ("" if fill is None else f", fill value {fill[0]}")
    return golden.library(name, array, set_filter, what, note, None if "lost" in note else error, fill=fill)


def some(dtype: str, low: int, count: int = 61) -> np.ndarray:
    values = np.frombuffer(noise(count, 7), np.uint8).astype(np.int64) % 100
    return (values + low).astype(dtype)


for dtype, low in (("|u1", 9), ("|i1", -50), ("<u2", 40000), (">u2", 300), ("<i2", -20000), ("<u4", 4 * 10**9), (">i4", -5), ("<i4", -10**9),
                   ("<i8", -10**15), (">i8", 7), ("<u8", 10**16)):
    short = dtype[1:] + ("be" if dtype[0] == ">" else "")
    pack(f"int-{short}", some(dtype, low), INTEGER, 0)
    pack(f"fill-{short}", some(dtype, low), INTEGER, 0, low + 42)
pack("same", np.full(20, 77, "<i4"), INTEGER, 0, 1, "all alike; the fill value needs a number of its own")
pack("all-fill", np.full(20, 77, "<i4"), INTEGER, 0, 77)
pack("bits-9", some("<i4", 100), INTEGER, 9, note="9 bits, as the caller wished")
pack("bits-4", some("<i4", 0), INTEGER, 4, note="too few: the high bits are lost")
pack("bits-32", some("<i4", 100), INTEGER, 32, note="all bits: the chunk as it is")
whole = np.frombuffer(noise(244, 3), "<i4").copy()
whole[:2] = -(2**31), 2**31 - 1
pack("whole-i4", whole, INTEGER, 0, note="numbers of the whole range: a header and the numbers")
pack("whole-i4be", whole.astype(">i4"), INTEGER, 0)
pack("whole-i1", np.arange(-128, 128).astype("i1"), INTEGER, 0)
pack("eights", (np.arange(64) % 16).astype("<u2"), INTEGER, 0, 0, "the bits end with a byte: the last one is spare")
for dtype in ("<f4", ">f4", "<f8", ">f8"):
    short = dtype[1:] + ("be" if dtype[0] == ">" else "")
    values = (some("<i8", 0).astype("f8") / 7 - 3).astype(dtype)
    for decimals in (-1, 0, 3, 6):
        pack(f"decimals-{decimals}-{short}", values, DECIMAL, decimals)
    with_fill = values.copy()
    with_fill[::5] = -999
    pack(f"float-fill-{short}", with_fill, DECIMAL, 2, -999)
    wide = values.copy()
    wide[3] = 1e30
    pack(f"float-wide-{short}", wide, DECIMAL, 3, note="too far apart: the numbers as they are")
pack("float-same", np.full(20, 1.25, "<f8"), DECIMAL, 2, 5.0)

corpus = pathlib.Path(os.environ["H5Z_SHARED"]) / "corpus"
old = {"tool": "libhdf5's test generators", "version": "1.8"}
for file, path in (("builtin_szip/brtnfld__le_data.h5", "Scale_offset_float_data_be"), ("builtin_szip/brtnfld__le_data.h5", "Scale_offset_long_long_data_le"),
                   ("unknown_filter_ids/brtnfld__tfilters.h5", "scaleoffset")):
    with h5py.File(corpus / file) as h5:
        dataset = h5[path]
        chunk = dataset.id.read_direct_chunk((0,) * dataset.ndim)[1]
        data = dataset[tuple(slice(0, n) for n in dataset.chunks)].tobytes()
        stored = list(dataset.id.get_create_plist().get_filter(0)[2])
        golden.add(f"old-{path.replace('_', '-').lower()}", chunk, stored, data, old, f"{file}: {path}, first chunk", "the numbers before are not known", dataset.dtype.itemsize)

plain = pack("plain", some("<i4", 100), INTEGER, 0)
values = [2, 0, 61, 0, 4, 1, 0, 1] + [0] * 12
size = 4 * 61


def change(index: int, value: int) -> list[int]:
    return [*values[:index], value, *values[index + 1 :]]


golden.add("no-fill", plain, change(7, 0), np.array(some("<i4", 100)).tobytes(), {"tool": "libhdf5", "version": "2.0.0 (h5py 3.16.0)"},
           "plain, with cd_values of a dataset without fill value", "integers, lossless", 4)
zero_bits = bytes(4) + b"\x08" + (-5 % 2**64).to_bytes(8, "little") + bytes(9)
golden.add("zero-bits", zero_bits, change(7, 0), np.full(61, -5, "<i4").tobytes(), {"tool": "by hand", "version": "1"},
           "the layout in src/filter.c, written out", "no fill value, all alike: no bits", 4)
golden.add("short-minimum", bytes(4) + b"\x02\x34\x12" + bytes(15), change(7, 0), np.full(61, 0x1234, "<i4").tobytes(), {"tool": "by hand", "version": "1"},
           "the layout in src/filter.c, written out", "a smallest value of two bytes", 4)
corrupt, param = "H5Z_E_CORRUPT", "H5Z_E_PARAM"
golden.refuse("empty", b"", values, corrupt, size, "no bytes")
golden.refuse("header-cut", plain[:20], values, corrupt, size, "a header that is not all there")
golden.refuse("header-only", plain[:21], values, corrupt, size, "no numbers")
golden.refuse("cut", plain[:-1], values, corrupt, size, "the last byte is missing")
golden.refuse("bits-33", b"\x21" + plain[1:], values, corrupt, size, "33 bits of a number of 32")
golden.refuse("bits-huge", b"\xff\xff\xff\xff" + plain[4:], values, corrupt, size, "4294967295 bits")
golden.refuse("too-small", plain, values, "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
golden.refuse("elements-lie", plain, change(2, 2**32 - 1), corrupt, size, "claims 16 GiB")
golden.refuse("no-values", plain, [], param, size, "cd_values are missing")
golden.refuse("client-values", plain, values[:2], param, size, "client values, not stored ones")
golden.refuse("size-3", plain, change(4, 3), param, size, "integers of 3 bytes")
golden.refuse("size-huge", plain, change(4, 2**29 + 4), param, size, "a size whose bits overflow")
golden.refuse("class", plain, change(3, 2), param, size, "neither integer nor floating-point")
golden.refuse("mode", plain, change(0, 0), param, size, "decimal scaling of integers")
golden.refuse("bits-too-many", plain, change(1, 33), param, size, "a wish for 33 bits of 32")
binary = [1, 0, 61, 1, 4, 0, 0, 0] + [0] * 12
golden.refuse("binary", plain, binary, "H5Z_E_UNSUPPORTED", size, "scaling by a power of two, which HDF5 has not implemented")
golden.refuse("decimals-39", plain, [0, 39, *binary[2:]], param, size, "a power of ten beyond single precision")
golden.write()
