"""Makes the golden chunks of filter 32013.

Run: python filters/zfp/golden/make.py FOLDER (h5py, hdf5plugin, numpy), where FOLDER holds test_zfp_*.h5 of H5Z-ZFP's test
folder, as the source distribution of hdf5plugin has them in lib/H5Z-ZFP/test. Those files tell how old filters, and one
on a big-endian machine, wrote.
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
SHAPES = {1: (229,), 2: (13, 18), 3: (5, 9, 6), 4: (3, 5, 4, 6)}


def wave(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """A smooth field with a little roughness, in the range of sensible numbers; integers of 20 and 50 bits."""
    grid = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
    field = sum(np.round(np.sin(5 * (axis + 1) * g) * 2**20) / 2**20 for axis, g in enumerate(grid))
    field = field + np.arange(field.size).reshape(shape) * 7919 % 64 / 4096
    return np.ascontiguousarray((field * ({"i4": 2e5, "i8": 3e14}.get(dtype, 3.5))).astype(dtype))


def double(value: float) -> list[int]:
    return list(struct.unpack("<II", struct.pack("<d", value)))


def h5(name: str, client: list[int], data: np.ndarray, error: float | None, note: str = "") -> tuple[bytes, list[int]]:
    """What hdf5plugin's filter makes of `data`, and reads back with at most `error`: None, whatever it is; NaN, no number."""
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("x", data=data, chunks=data.shape, compression=32013, compression_opts=tuple(client))
        file.flush()
        stored = list(dataset.id.get_create_plist().get_filter(0)[2])
        mask, chunk = dataset.id.read_direct_chunk((0,) * data.ndim)
        back = dataset[...]
    assert mask == 0, "the filter was skipped"
    most = np.max(np.abs(np.where(np.isfinite(data), back.astype("f8") - data.astype("f8"), 0)), initial=0)
    error = float(most) if error is None else error
    assert np.isnan(error) or most <= error, f"{name}: {most} is more than {error}"
    kind = data.dtype.str[1:]
    command = f"create_dataset({data.shape}, '{kind}', compression=32013, compression_opts={tuple(client)}); read_direct_chunk"
    near = None if np.isnan(error) else {"original": data.tobytes(), "type": kind, "maxError": error}
    golden.add(name, chunk, stored, back.tobytes(), HDF5PLUGIN, command, note, data.itemsize, near)
    return chunk, stored


RATE, PRECISION, ACCURACY, EXPERT, REVERSIBLE = 1, 2, 3, 4, 5
NAMES = {"i4": "int32", "i8": "int64", "f4": "float", "f8": "double"}
for kind, word in NAMES.items():
    for rank, shape in SHAPES.items():
        data = wave(kind, shape)
        tag = f"{word}-{rank}d"
        integer = kind[0] == "i"
        h5(f"{tag}-reversible", [REVERSIBLE], data, 0)
        h5(f"{tag}-rate", [RATE, 0, *double(12)], data, None)
        if rank % 2 == integer:
            h5(f"{tag}-default", [], data, None if integer else 1e-5)
            h5(f"{tag}-precision", [PRECISION, 0, 19], data, None if integer else 0.01)
        else:
            h5(f"{tag}-expert", [EXPERT, 0, 30, 900, 40, 2**32 - 9], data, None)
            if not integer:
                h5(f"{tag}-accuracy", [ACCURACY, 0, *double(1e-3)], data, 1e-3)

floats = wave("f4", (96,))
h5("unity-dims", [ACCURACY, 0, *double(0.01)], floats.reshape(1, 12, 1, 8, 1), 0.01, "dimensions of one are not in the header")
h5("unsigned", [REVERSIBLE], wave("i4", (50,)).astype("u4"), 0, "H5Z-ZFP takes unsigned numbers for signed ones")
h5("two-values", [RATE, 0, *double(8)], floats[:2], 0.2, "less than a block")
h5("zeros", [], np.zeros((9, 9)), 0)
h5("rate-1", [RATE, 0, *double(1)], floats, 8, "fewer bits than the exponent takes: the filter makes it nine a block")
h5("rate-64", [RATE, 0, *double(64)], wave("f8", (4, 4, 4, 4)), 1e-12, "the long form of the mode")
h5("tolerance-2^900", [ACCURACY, 0, *double(2.0**900)], wave("f8", (40,)) * 1e300, 2.0**900, "an exponent that only the long form holds")
h5("tolerance-0", [ACCURACY, 0, *double(0)], floats, 1e-5)
special = floats.copy()
special[[3, 17, 40]] = np.nan, np.inf, -np.inf
h5("reversible-special", [REVERSIBLE], special, float("nan"), "NaN and infinities: reversible keeps them")
h5("lossy-special", [RATE, 0, *double(16)], special, float("nan"), "NaN and infinities: lossy modes make garbage of their blocks")
h5("tiny", [PRECISION, 0, 24], (floats * 1e-42).astype("f4"), float("nan"), "subnormal numbers overflow zfp's integers")

folder = pathlib.Path(sys.argv[1])
for name, note in {
    "030040": "H5Z-ZFP 0.3.0 with zfp 0.4.0", "030235": "H5Z-ZFP 0.3.0 with zfp 0.2.3.5", "050": "zfp 0.5.0",
    "052": "zfp 0.5.2", "054": "zfp 0.5.4", "110050": "H5Z-ZFP 1.1.0 with zfp 0.5.0", "le": "zfp 0.5.0, little-endian",
    "be": "zfp 0.5.0, big-endian: header words and decoded numbers are swapped",
}.items():
    with h5py.File(folder / f"test_zfp_{name}.h5") as file:
        dataset = file["compressed"]
        rank = len(dataset.chunks)
        stored = list(dataset.id.get_create_plist().get_filter(0)[2])
        chunk = dataset.id.read_direct_chunk((0,) * rank)[1]
        try:
            back = dataset[tuple(slice(0, n) for n in dataset.chunks)]
        except OSError as error:
            print(f"test_zfp_{name}.h5: hdf5plugin says {str(error)[:100]}")
            continue
        made = {"tool": "H5Z-ZFP", "version": note, "note": f"hdf5plugin {hdf5plugin.version} read it"}
        golden.add(f"file-{name}", chunk, stored, back.tobytes(), {"tool": made["tool"], "version": made["version"]},
                   f"LLNL/H5Z-ZFP test/test_zfp_{name}.h5, dataset compressed, first chunk", made["note"], dataset.dtype.itemsize)

data = wave("f4", (12, 10))
with h5py.File(io.BytesIO(), "w") as file:
    dataset = file.create_dataset("x", data=data, chunks=data.shape, compression=32013, compression_opts=(EXPERT, 0, 8, 700, 30, 2**32 - 20))
    file.flush()
    cd = list(map(int, dataset.id.get_create_plist().get_filter(0)[2]))
    chunk = dataset.id.read_direct_chunk((0, 0))[1]
size = data.nbytes


def swapped(words: list[int]) -> list[int]:
    return [words[0], *struct.unpack(f">{len(words) - 1}I", struct.pack(f"<{len(words) - 1}I", *words[1:]))]


def with_word(at: int, value: int) -> list[int]:
    return [*cd[:at], value, *cd[at + 1 :]]


corrupt, parameter, version = "H5Z_E_CORRUPT", "H5Z_E_PARAM", "H5Z_E_VERSION"
golden.refuse("empty", b"", cd, corrupt, size, "no bits at all")
golden.refuse("cut", chunk[:-1], cd, corrupt, size, "the last byte is missing")
golden.refuse("half", chunk[: len(chunk) // 2], cd, corrupt, size, "half of the bits")
golden.refuse("too-small", chunk, cd, "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
golden.refuse("no-values", chunk, [], parameter, size, "no cd_values")
golden.refuse("version-only", chunk, cd[:1], parameter, size, "no header")
golden.refuse("header-cut", chunk, cd[:4], parameter, size, "the long form of the mode is cut")
golden.refuse("magic", chunk, with_word(1, 0x05706679), parameter, size, "not zfp's magic")
golden.refuse("codec-6", chunk, with_word(1, 0x0670667A), version, size, "a header of codec 6")
golden.refuse("codec-6-swapped", chunk, swapped(with_word(1, 0x0670667A)), version, size, "the same, big-endian")
golden.refuse("codec-6-in-version", chunk, with_word(0, 0x20006120), version, size, "H5Z-ZFP 1.2.0 with codec 6")
golden.refuse("library-0.6", chunk, with_word(0, 0x00600080), version, size, "before H5Z-ZFP 1.1.0 the library's version told the codec")
golden.refuse("dims-lie", chunk, with_word(2, cd[2] + (1 << 4)), "H5Z_E_OUTPUT", size, "a header of one column more")
golden.refuse("dims-huge", chunk, [*cd[:2], 0xFFFFFFF6, cd[3] | 0xFFFFF, *cd[4:]], corrupt, size, "2^48 values in a few bytes")
golden.refuse("limits", chunk, with_word(4, cd[4] | 0x7FFF), parameter, size, "the least size of a block is larger than the largest")
golden.write()
