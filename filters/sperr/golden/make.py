"""Makes the golden chunks of filter 32028.

Run: python filters/sperr/golden/make.py FOLDER (h5py, hdf5plugin, numpy), where FOLDER holds sperr_v*.h5 of hdf5plugin's test
folder, as its source distribution has them: written by H5Z-SPERR 0.1 and 0.2.

Chunks of 0.1 are those of 0.2 without their first byte, and with another number in cd_values: hdf5plugin reads both, and so
do we. A slice's stream with a tolerance may end in outliers, and nothing tells that they are cut off as a whole.
"""

import io
import pathlib
import struct
import sys

import h5py
import hdf5plugin
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import HDF5PLUGIN, Golden  # noqa: E402

golden = Golden(__file__)


def wave(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """A smooth field with a little roughness, exact in binary."""
    grid = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
    field = sum(np.round(np.sin(5 * (axis + 1) * g) * 2**20) / 2**20 for axis, g in enumerate(grid))
    return np.ascontiguousarray((field + np.arange(field.size).reshape(shape) * 7919 % 64 / 4096).astype(dtype))


def quality(mode: int, value: float, swap: int = 0) -> int:
    """H5Z_SPERR_make_cd_values: 1 rate, 2 PSNR, 3 tolerance."""
    if mode < 3:
        bits = round(value * 65536)
    else:
        log = np.floor(np.log2(value) * 65536)
        bits = int(abs(log)) | (1 << 27 if log < 0 else 0)
    return bits | mode << 28 | swap << 31


def through(data: np.ndarray, client: tuple[int, ...]) -> tuple[bytes, list[int], np.ndarray]:
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("x", data=data, chunks=data.shape, compression=32028, compression_opts=client)
        file.flush()
        stored = list(map(int, dataset.id.get_create_plist().get_filter(0)[2]))
        mask, chunk = dataset.id.read_direct_chunk((0,) * data.ndim)
        return chunk, stored, dataset[...]


def reread(chunk: bytes, stored: list[int], shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """What hdf5plugin makes of these bytes under these stored values."""
    scratch = pathlib.Path(__file__).with_name("scratch.h5")
    with h5py.File(scratch, "w") as file:
        dataset = file.create_dataset("x", shape, dtype, chunks=shape, compression=32028, compression_opts=(quality(1, 16),))
        before = list(map(int, dataset.id.get_create_plist().get_filter(0)[2]))
        dataset.id.write_direct_chunk((0,) * len(shape), chunk)
    raw = scratch.read_bytes()
    old, new = (struct.pack(f"<{len(words)}I", *words) for words in (before, stored))
    assert raw.count(old) == 1
    scratch.write_bytes(raw.replace(old, new))
    with h5py.File(scratch) as file:
        back = file["x"][...]
    scratch.unlink()
    return back


def h5(name: str, client: tuple[int, ...], data: np.ndarray, error: float | None, note: str = "") -> tuple[bytes, list[int]]:
    """What hdf5plugin's filter makes of `data`, and reads back with at most `error`; None: no number, see the note."""
    chunk, stored, back = through(data, client)
    kind = data.dtype.str[1:]
    if error is not None:
        most = np.max(np.abs(back.astype("f8") - data.astype("f8")))
        assert most <= error, f"{name}: {most} is more than {error}"
    command = f"create_dataset({data.shape}, '{kind}', compression=32028, compression_opts={client}); read_direct_chunk"
    near = None if error is None else {"original": data.tobytes(), "type": kind, "maxError": error}
    golden.add(name, chunk, stored, back.tobytes(), HDF5PLUGIN, command, note, data.itemsize, near)
    return chunk, stored


SLICE, VOLUME = (31, 24), (9, 17, 11)
NAN, LARGE = 1, 2
for kind, word in (("f4", "float"), ("f8", "double")):
    for shape, rank in ((SLICE, "2d"), (VOLUME, "3d")):
        data = wave(kind, shape)
        h5(f"{word}-{rank}-rate", (quality(1, 6),), data, 0.2)
        h5(f"{word}-{rank}-psnr", (quality(2, 70),), data, 0.02)
        h5(f"{word}-{rank}-tolerance", (quality(3, 0.01),), data, 0.01)
floats, volume = wave("f4", SLICE), wave("f8", VOLUME)
h5("swap-2d", (quality(1, 10.5, 1),), floats, 0.02)
h5("swap-3d", (quality(1, 10.5, 1),), volume, 0.02)
h5("tolerance-large", (quality(3, 3.0),), floats, 3.0)
h5("rate-64", (quality(1, 64),), volume, 1e-9, "more bits than there are: whole streams")
h5("constant", (quality(2, 50),), np.full(SLICE, 4.25, "f4"), 0)
h5("constant-3d", (quality(1, 1),), np.full(VOLUME, -1e300), 0)
h5("unity-dims", (quality(2, 55),), floats.reshape(1, 31, 1, 24), 0.05)
h5("nothing-missing", (quality(2, 55), NAN), floats, 0.05, "missing values asked for, but none there")
holes = floats.copy()
holes[3:20, 5:9] = np.nan
holes[0, 0] = np.nan
h5("nan-float", (quality(2, 60), NAN), holes, None, "NaN has no distance")
holes = volume.copy()
holes[2:, 3:15] = np.nan
h5("nan-double", (quality(1, 9), NAN), holes, None, "NaN has no distance; most words of the mask are ones")
holes = floats.copy()
holes[holes > 0.5] = 1e36
h5("large-float", (quality(2, 60), LARGE), holes, 0.1)
holes = volume.copy()
holes[4] = -3e35
holes[5, 5] = 7e40
h5("large-double", (quality(2, 60), LARGE), holes, None, "the first large value stands for all")

for name, data, q in (("old-2d", floats, quality(1, 5)), ("old-3d", volume, quality(3, 0.02))):
    chunk, stored, back = through(data, (q,))
    stored[0] &= 0x3FF
    assert chunk[0] == 0
    assert np.array_equal(reread(chunk[1:], stored, data.shape, data.dtype), back)
    golden.add(name, chunk[1:], stored, back.tobytes(), HDF5PLUGIN, f"{name}: a chunk of format 1 without its first byte",
               "format 0, H5Z-SPERR 0.1; hdf5plugin reads it", data.itemsize,
               {"original": data.tobytes(), "type": data.dtype.str[1:], "maxError": 0.5})

for name, version in (("sperr_v0.1", "H5Z-SPERR 0.1"), ("sperr_v0.2_missing_val", "H5Z-SPERR 0.2, missing values")):
    with h5py.File(pathlib.Path(sys.argv[1]) / f"{name}.h5") as file:
        dataset = file["f64_sperr"]
        stored = list(map(int, dataset.id.get_create_plist().get_filter(0)[2]))
        golden.add(f"file-{name}", dataset.id.read_direct_chunk((0, 0))[1], stored, dataset[...].tobytes(),
                   {"tool": "H5Z-SPERR", "version": version}, f"silx-kit/hdf5plugin test/{name}.h5, dataset f64_sperr",
                   f"hdf5plugin {hdf5plugin.version} read it", 8)

flat, cd, _ = through(floats, (quality(2, 70),))
solid, cd3, _ = through(volume, (quality(1, 8),))
masked, cdm, _ = through(np.where(floats > 0.5, np.nan, floats).astype("f4"), (quality(2, 60), NAN))
size, size3 = floats.nbytes, volume.nbytes
corrupt, parameter, version = "H5Z_E_CORRUPT", "H5Z_E_PARAM", "H5Z_E_VERSION"


def with_bytes(chunk: bytes, at: int, new: bytes) -> bytes:
    return chunk[:at] + new + chunk[at + len(new) :]


thrown = "; an exception of C++ inside"
golden.refuse("empty", b"", cd, corrupt, size, "no first byte")
golden.refuse("mode-only", flat[:1], cd, corrupt, size, "no stream" + thrown)
golden.refuse("cut", flat[:-1], cd, corrupt, size, "the last byte is missing" + thrown)
golden.refuse("cut-3d", solid[:-1], cd3, corrupt, size3, "the last byte is missing" + thrown)
golden.refuse("longer", flat + b"\0", cd, corrupt, size, "a byte behind the stream" + thrown)
golden.refuse("missing-9", b"\x09" + flat[1:], cd, corrupt, size, "an unknown kind of missing values")
golden.refuse("step-0", with_bytes(flat, 10, bytes(8)), cd, corrupt, size, "a step of zero" + thrown)
golden.refuse("planes-65", with_bytes(flat, 18, b"\x41"), cd, corrupt, size, "more bitplanes than an integer has" + thrown)
golden.refuse("bits-lie", with_bytes(flat, 19, b"\xff" * 8), cd, corrupt, size, "2^64 bits of stream" + thrown)
golden.refuse("constant-lie", b"\0\x01" + (2**40).to_bytes(8, "little") + bytes(8), cd, corrupt, size, "a constant for 2^40 values" + thrown)
golden.refuse("mask-cut", masked[:10], cdm, corrupt, size, "half a mask")
golden.refuse("mask-lie", with_bytes(masked, 1, b"\xff" * 4), cdm, corrupt, size, "a mask of 2^32 bits")
golden.refuse("dims-differ", with_bytes(solid, 3, b"\x0a"), cd3, corrupt, size3, "the stream's own dimensions are others" + thrown)
golden.refuse("stream-version", with_bytes(solid, 1, b"\x01"), cd3, version, size3, "a stream of SPERR 1" + thrown)
golden.refuse("blocks-lie", with_bytes(with_bytes(solid, 2, bytes([solid[2] | 0x10])), 15, b"\1\0" * 3), cd3, corrupt, size3, "a block for each value" + thrown)
golden.refuse("too-small", flat, cd, "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
golden.refuse("no-values", flat, [], parameter, size, "no cd_values")
golden.refuse("format-2", flat, [cd[0] + (1 << 10), *cd[1:]], version, size, "a format of the future")
golden.refuse("rank-1", flat, [cd[0] & ~2 | 1, *cd[1:]], parameter, size, "one dimension")
golden.refuse("no-mode", flat, [cd[0], cd[1] & 0xFFFFFFF, *cd[2:]], parameter, size, "neither rate nor PSNR nor tolerance")
golden.refuse("dims-huge", flat, [*cd[:2], 0xFFFFFFFF, 0xFFFFFFFF], parameter, size, "2^64 values")
golden.write()
