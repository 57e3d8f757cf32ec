"""Golden chunks of the filters that change the last bits of floating-point numbers (BitGroom, Granular BitRound, BitRound),
shared by their golden/make.py: what netCDF's quantisation or numcodecs make of the same numbers, and the corpus.

Needs netCDF4 and numcodecs beside what golden.py needs; H5Z_SHARED names the folder with the corpus.
"""

import os
import pathlib
import tempfile

import h5py
import netCDF4
import numcodecs
import numpy as np
from golden import Golden, noise

NETCDF = {"tool": "netCDF-C", "version": f"{netCDF4.__netcdf4libversion__} (netCDF4-python {netCDF4.__version__})"}
NUMCODECS = {"tool": "numcodecs", "version": numcodecs.__version__}


def numbers(dtype: str, count: int = 400) -> np.ndarray:
    """Numbers of many magnitudes and both signs, and zeros. No infinities, of which netCDF makes NaN or zero."""
    mantissas = np.frombuffer(noise(4 * count, 9), "<u4").astype("f8") / 2**32 + 1
    powers = np.frombuffer(noise(count, 5), np.uint8).astype(int) % 60 - 30
    values = (mantissas * 2.0**powers * np.where(np.arange(count) % 3 == 0, -1, 1)).astype(dtype)
    values[[7, 8]] = 0, -0.0
    values[60:64] = 1, 0.5, 1024, -2
    return values


def stored(keep: int, values: np.ndarray, fill=None) -> list[int]:
    words = [0, 0] if fill is None else list(np.frombuffer(np.array([fill], values.dtype).tobytes().ljust(8, b"\0"), "<u4"))
    return [keep, values.itemsize, int(fill is not None), *map(int, words)]


def netcdf(mode: str, keep: int, values: np.ndarray, fill=None) -> bytes:
    """What netCDF writes of `values`, which it has quantised."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "x.nc"
        with netCDF4.Dataset(path, "w") as file:
            file.createDimension("n", len(values))
            fill_value = netCDF4.default_fillvals[values.dtype.str[1:]] if fill is None else fill
            variable = file.createVariable("x", values.dtype, ("n",), quantize_mode=mode, significant_digits=keep, fill_value=fill_value)
            variable.set_auto_mask(False)
            variable[:] = values
        with h5py.File(path) as file:
            return file["x"][()].tobytes()


def add(golden: Golden, name: str, chunk: bytes, cd_values: list[int], values: np.ndarray, relative: float, made: dict, command: str) -> None:
    original, changed = values.astype("f8"), np.frombuffer(chunk, values.dtype).astype("f8")
    errors = np.abs(changed - original)
    assert np.all(errors <= np.abs(original) * relative), name
    near = {"original": values.tobytes(), "type": values.dtype.str[1:], "maxError": float(np.max(errors))}
    golden.add(name, chunk, cd_values, chunk, made, command, "", values.itemsize, near)


def from_corpus(golden: Golden, files: list[str]) -> None:
    for i, file in enumerate(files):
        with h5py.File(pathlib.Path(os.environ["H5Z_SHARED"]) / "corpus" / file) as h5:
            dataset = h5["DS1"]
            chunk = dataset.id.read_direct_chunk((0, 0))[1]
            values = list(dataset.id.get_create_plist().get_filter(0)[2])
            made = {"tool": "HDFGroup's h5ex_d example with HDFGroup's filter", "version": "as of 2026-06"}
            golden.add(f"example-{i}", chunk, values, chunk, made, f"{file}: DS1, first chunk", "decoding changes nothing", 4)


def finish(golden: Golden, keep: int) -> None:
    values = numbers("<f4", 100)
    raw = values.tobytes()
    golden.refuse("too-small", raw, stored(keep, values), "H5Z_E_OUTPUT", len(raw) - 1, "a good chunk, one byte less room")
    golden.write()
