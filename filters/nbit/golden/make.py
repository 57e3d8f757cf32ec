"""Makes the golden chunks of filter 5. Run: python filters/nbit/golden/make.py (h5py, hdf5plugin, numpy; H5Z_SHARED names the
folder with the corpus)."""

import os
import pathlib
import sys

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden, noise  # noqa: E402

golden = Golden(__file__)
T = h5py.h5t


def number(base, size: int, precision: int, offset: int = 0):
    """An integer type; `base` gives order and sign."""
    kind = base.copy()
    if size >= kind.get_size():
        kind.set_size(size)
    kind.set_precision(precision)
    kind.set_size(size)
    kind.set_offset(offset)
    return kind


def compound(size: int, *members):
    kind = T.create(T.COMPOUND, size)
    for i, (offset, member) in enumerate(members):
        kind.insert(b"m%d" % i, offset, member)
    return kind


def text(size: int):
    kind = T.C_S1.copy()
    kind.set_size(size)
    return kind


def nbit(name: str, kind, count: int, note: str = "") -> bytes:
    """`count` elements of noise; HDF5 zeroes the bits that the type leaves out when it reads them back."""
    raw = np.frombuffer(noise(count * kind.get_size(), len(name)), f"V{kind.get_size()}")
    return golden.library(name, raw, lambda plist: plist.set_filter(h5py.h5z.FILTER_NBIT), "H5Pset_nbit", note, dtype=kind)


LE, BE = T.STD_I32LE, T.STD_U32BE
for size, precision, offset in ((1, 5, 2), (2, 12, 0), (2, 9, 4), (3, 17, 3), (4, 20, 7), (4, 31, 0), (4, 17, 15), (5, 33, 1),
                                (8, 57, 0), (8, 58, 3), (8, 63, 1), (8, 64, 0), (16, 80, 0), (16, 100, 13)):
    nbit(f"le-{size}-{precision}-{offset}", number(LE, size, precision, offset), 37)
    nbit(f"be-{size}-{precision}-{offset}", number(BE, size, precision, offset), 37)
nbit("eights", number(LE, 4, 23), 64, "the bits end with a byte: the last byte is spare")
nbit("one", number(LE, 2, 10), 1)
short = T.IEEE_F32BE.copy()
short.set_fields(26, 20, 6, 7, 13)
short.set_offset(7)
short.set_precision(20)
short.set_ebias(31)
nbit("float-20", short, 40, "a floating-point type of 20 bits")
nbit("full", T.STD_I16LE, 40, "nothing to leave out")
nbit("opaque", T.create(T.OPAQUE, 5), 9, "a class that n-bit leaves alone")
nbit("array", T.array_create(number(LE, 4, 21, 5), (3, 5)), 7)
nbit("array-of-array", T.array_create(T.array_create(number(BE, 2, 11, 3), (3,)), (2,)), 7)
nbit("array-full", T.array_create(T.STD_I32LE, (3,)), 7)
nbit("array-text", T.array_create(text(5), (3,)), 7)
inner = compound(9, (0, number(LE, 4, 17, 3)), (4, text(3)), (7, number(BE, 2, 15)))
nbit("compound", compound(24, (0, number(BE, 8, 40, 9)), (9, T.STD_U16LE), (12, text(4)), (17, number(LE, 2, 5, 1))), 21, "gaps between members")
nbit("compound-order", compound(12, (8, number(LE, 4, 30)), (0, number(BE, 4, 3, 3)), (4, number(LE, 4, 12, 12))), 21, "members out of order")
nbit("nested", compound(30, (1, inner), (10, T.array_create(number(LE, 4, 9, 9), (2, 2))), (28, number(LE, 1, 3))), 21)
nbit("array-of-compound", T.array_create(inner, (4,)), 9)
nbit("compound-of-arrays", compound(40, (0, number(LE, 4, 9)), (4, T.array_create(inner, (4,)))), 9)
members = compound(2 * 40, *((2 * i, number(LE, 2, 1 + i % 15)) for i in range(40)))
nbit("many-words", members, 3, "40 members: 246 cd_values")

with h5py.File(pathlib.Path(os.environ["H5Z_SHARED"]) / "corpus/builtin_nbit/brtnfld__h5repack_filters.h5") as h5:
    dataset = h5["dset_nbit"]
    chunk = dataset.id.read_direct_chunk((0, 0))[1]
    stored = list(dataset.id.get_create_plist().get_filter(0)[2])
    data = dataset[tuple(slice(0, n) for n in dataset.chunks)].tobytes()
    made = {"tool": "libhdf5's test generators", "version": "1.8"}
    golden.add("old", chunk, stored, data, made, "builtin_nbit/brtnfld__h5repack_filters.h5: dset_nbit, first chunk", "", 4)

plain = nbit("plain", number(LE, 4, 20), 50)
values = [8, 0, 50, 1, 4, 0, 20, 0]
corrupt, param = "H5Z_E_CORRUPT", "H5Z_E_PARAM"
golden.refuse("empty", b"", values, corrupt, 200, "no bytes")
golden.refuse("cut", plain[:-1], values, corrupt, 200, "the last, spare byte is missing")
golden.refuse("too-small", plain, values, "H5Z_E_OUTPUT", 199, "a good chunk, one byte less room")
golden.refuse("no-values", plain, [], param, 200, "cd_values are missing")
golden.refuse("count", plain, [9, *values[1:]], param, 200, "the count is not that of the values")
golden.refuse("elements-lie", plain, [8, 0, 2**32 - 1, 1, 4, 0, 20, 0], corrupt, 200, "claims 16 GiB")
golden.refuse("precision-0", plain, [8, 0, 50, 1, 4, 0, 0, 0], param, 200, "no significant bits")
golden.refuse("precision-33", plain, [8, 0, 50, 1, 4, 0, 20, 13], param, 200, "precision and offset exceed the size")
golden.refuse("precision-huge", plain, [8, 0, 50, 1, 4, 0, 2**32 - 1, 2], param, 200, "the sum overflows 32 bits")
golden.refuse("order", plain, [8, 0, 50, 1, 4, 2, 20, 0], param, 200, "neither little- nor big-endian")
golden.refuse("class", plain, [8, 0, 50, 5, 4, 0, 20, 0], param, 200, "no such class")
golden.refuse("type-cut", plain, [7, 0, 50, 1, 4, 0, 20], param, 200, "the type is not all there")
golden.refuse("array-uneven", plain, [10, 0, 50, 2, 7, 1, 4, 0, 20, 0], param, 400, "7 bytes are no whole items of 4")
golden.refuse("members-overflow", plain, [16, 0, 10, 3, 6, 2, 0, 1, 4, 0, 20, 0, 4, 4, 4, 0], param, 200, "members are larger than the compound")
golden.refuse("member-outside", plain, [12, 0, 10, 3, 6, 1, 2**32 - 1, 1, 4, 0, 20, 0], param, 200, "a member's offset beyond the compound")
golden.refuse("members-none", plain, [6, 0, 10, 3, 6, 0], param, 200, "a compound without members")
golden.refuse("members-many", plain, [12, 0, 10, 3, 2**32 - 1, 2**32 - 1, 0, 1, 4, 0, 20, 0], param, 200, "four thousand million members")
deep = [0, 0, 1] + [2, 4] * 80 + [1, 4, 0, 20, 0]
golden.refuse("deep", plain, [len(deep), *deep[1:]], "H5Z_E_UNSUPPORTED", 200, "arrays nested 80 deep")
golden.write()
