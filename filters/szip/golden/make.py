"""Makes the golden chunks of filter 4. Run: python filters/szip/golden/make.py (h5py, hdf5plugin, numpy; H5Z_SHARED names the
folder with the corpus, for chunks by the old SZIP library)."""

import os
import pathlib
import sys

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden, counts, noise  # noqa: E402

golden = Golden(__file__)
ENTROPY, NEIGHBOUR = 4, 32
WORD = {ENTROPY: "entropy", NEIGHBOUR: "neighbour"}


def szip(name: str, array: np.ndarray, options: int, block: int, note: str = "", **more) -> bytes:
    call = f"H5Pset_szip({WORD[options]}, {block})"
    return golden.library(name, array, lambda plist: plist.set_szip(options, block), call, note, **more)


def walk(n: int, step: int = 3) -> np.ndarray:
    return np.cumsum(np.frombuffer(noise(n), np.uint8) % (2 * step + 1) - np.int64(step)) + 5000


for options in (ENTROPY, NEIGHBOUR):
    for block in (2, 8, 10, 32):
        array = walk(1000) % (64 if options == ENTROPY else 65536)
        szip(f"{WORD[options]}-{block}", array.astype("<u2"), options, block)
for kind in ("|u1", "|i1", ">u2", "<i4", ">i4", "<f4", ">f4", "<i8", "<f8", ">f8"):
    array = (walk(640) / (1 if kind[1] in "ui" else 8)).astype(np.dtype(kind))
    szip(f"type-{kind[1:]}{'be' if kind[0] == '>' else ''}", array.reshape(10, 64), NEIGHBOUR, 16)
for shape in ((7, 6), (3, 5, 7), (2, 5000), (41,), (5, 33)):
    name = "x".join(map(str, shape))
    array = np.frombuffer(counts(int(np.prod(shape)), 2), "<u2").reshape(shape) % 512
    szip(f"shape-{name}", array, NEIGHBOUR, 8, "lines that are no whole blocks are filled up" if shape[-1] % 8 else "")
szip("zeros", np.zeros((20, 4000), "<u2"), NEIGHBOUR, 16, "runs of zero blocks to the end of a segment")
sparse = (np.frombuffer(noise(8000), np.uint8) == 7) * np.frombuffer(noise(8000, 2), np.uint8) % 3
szip("sparse", sparse.astype("u1").reshape(2, 4000), ENTROPY, 8, "runs of zero blocks of all lengths, second extension")
part = np.concatenate([walk(512), np.frombuffer(noise(256), "<u2")]).astype("<u2")
szip("noise-in-part", part, NEIGHBOUR, 16, "some blocks as they are")

narrow = h5py.h5t.STD_U16LE.copy()
narrow.set_precision(12)
szip("precision-12", (walk(500) % 4096).astype("<u2"), NEIGHBOUR, 16, "12 bits of 16", dtype=narrow)
medium = h5py.h5t.STD_U32BE.copy()
medium.set_precision(20)
medium_data = (walk(500) * 100 % 2**20).astype(">u4")
szip("precision-20", medium_data, ENTROPY, 16, "20 bits of 32: pixels of 4 bytes, not taken apart", dtype=medium)

corpus = pathlib.Path(os.environ["H5Z_SHARED"]) / "corpus"
old = {"tool": "libhdf5's test generators with the SZIP library", "version": "before 2010"}
for file, path in (("builtin_szip/brtnfld__le_data.h5", "Szip_float_data_le"),
                   ("builtin_szip/brtnfld__le_data.h5", "Szip_float_data_be"),
                   ("unknown_filter_ids/brtnfld__tfilters.h5", "szip")):
    with h5py.File(corpus / file) as h5:
        dataset = h5[path]
        mask, chunk = dataset.id.read_direct_chunk((0,) * dataset.ndim)
        data = dataset[tuple(slice(0, n) for n in dataset.chunks)].tobytes()
        values = list(dataset.id.get_create_plist().get_filter(0)[2])
        golden.add(f"old-{path.replace('_', '-').lower()}", chunk, values, data, old, f"{file}: {path}, first chunk",
                   "not written by libaec", dataset.dtype.itemsize)

stored = [169, 16, 16, 1000]
plain = szip("plain", walk(1000).astype("<u2"), NEIGHBOUR, 16)
corrupt, lines = "H5Z_E_CORRUPT", [141, 16, 16, 1000]
size = (2000).to_bytes(4, "little")
golden.refuse("empty", b"", stored, corrupt, 2000, "not even the length")
golden.refuse("header-only", plain[:4], stored, corrupt, 2000, "a length and no lines")
golden.refuse("cut", plain[:-1], stored, corrupt, 2000, "the last byte is missing")
golden.refuse("size-odd", b"\xcf" + plain[1:], stored, corrupt, 2000, "1999 bytes are no whole pixels")
golden.refuse("size-lie", b"\xfe\xff\xff\xff" + plain[4:], stored, corrupt, 2000, "claims 4 GiB")
golden.refuse("size-larger", (2002).to_bytes(4, "little") + plain[4:], stored, corrupt, 2002, "the length is a pixel too large")
golden.refuse("run-too-long", size + bytes(9) + b"\x10\0", lines, corrupt, 2000, "more zero blocks than the line has")
golden.refuse("pair-too-large", size + b"\x08" + bytes(20) + b"\1" + bytes(300), lines, corrupt, 2000,
              "a second extension number above 90")
golden.refuse("too-small", plain, stored, "H5Z_E_OUTPUT", 1999, "a good chunk, one byte less room")
param = "H5Z_E_PARAM"
golden.refuse("no-values", plain, [], param, 2000, "cd_values are missing")
golden.refuse("client-values", plain, stored[:2], param, 2000, "client values, not stored ones")
golden.refuse("block-odd", plain, [169, 15, 16, 1000], param, 2000, "blocks have an even number of pixels")
golden.refuse("block-34", plain, [169, 34, 16, 1000], param, 2000, "more than 32 pixels of a block")
golden.refuse("bits-33", plain, [169, 16, 33, 1000], param, 2000, "33 bits of a pixel")
golden.refuse("line-4097", plain, [169, 16, 16, 4097], param, 2000, "more than 4096 pixels of a line")
golden.write()
