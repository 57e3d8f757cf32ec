"""Makes the golden chunks of filter 32017. Run: python filters/sz/golden/make.py (h5py, hdf5plugin, numpy).

SZ's whole configuration is read from a file sz.config in the working directory when a dataset is made without cd_values,
once in a process; so the forms of stream that only a configuration asks for are made in processes of their own.
"""

import base64
import io
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import h5py
import hdf5plugin  # noqa: F401
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))


def double(value: float) -> list[int]:
    return list(struct.unpack(">II", struct.pack(">d", value)))


def bound(mode: int, absolute: float = 0, relative: float = 0, pointwise: float = 0, psnr: float = 0) -> list[int]:
    return [mode, *double(absolute), *double(relative), *double(pointwise), *double(psnr)]


ABSOLUTE, RANGE, BOTH, EITHER, PSNR, POINTWISE = 0, 1, 2, 3, 4, 10
SHAPES = {1: (230,), 2: (13, 18), 3: (7, 9, 6), 4: (3, 5, 4, 6)}


def field(dtype: str, shape: tuple[int, ...], rough: float = 0.02) -> np.ndarray:
    """A smooth field with some roughness, both signs and a few zeros; integers of small numbers."""
    count = int(np.prod(shape))
    i = np.arange(count)
    noise = (i * 2654435761 % 2**32) / 2**31 - 1
    values = np.sin(i / 17) * 3 + np.cos(i / 5) + rough * noise
    if dtype[0] != "f":
        info = np.iinfo(dtype)
        values = np.round(values * 9) + (40 if info.min == 0 else 0)
    else:
        values = np.where(i % 41 == 7, 0, values)
    return values.reshape(shape).astype(dtype)


def make(client: list[int], data: np.ndarray) -> tuple[list[int], bytes, bytes]:
    """Stored cd_values, chunk, and what hdf5plugin reads of it."""
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("x", data=data, chunks=data.shape, compression=32017, compression_opts=tuple(client))
        file.flush()
        stored = list(dataset.id.get_create_plist().get_filter(0)[2])
        mask, chunk = dataset.id.read_direct_chunk((0,) * data.ndim)
        assert mask == 0, "the filter was skipped"
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("x", data.shape, data.dtype, chunks=data.shape, compression=32017, compression_opts=tuple(client))
        dataset.id.write_direct_chunk((0,) * data.ndim, chunk)
        file.flush()
        return stored, chunk, dataset[...].tobytes()


CONFIGURED = {
    "no-regression": {"withLinearRegression": "NO", "errorBoundMode": "ABS", "absErrBound": "1e-2"},
    "gzip": {"losslessCompressor": "GZIP_COMPRESSOR", "errorBoundMode": "ABS", "absErrBound": "1e-2"},
    "bare": {"szMode": "SZ_BEST_SPEED", "errorBoundMode": "REL", "relBoundRatio": "1e-2"},
    "protected": {"protectValueRange": "YES", "errorBoundMode": "REL", "relBoundRatio": "5e-2"},
    "logarithms": {"accelerate_pw_rel_compression": "0", "errorBoundMode": "PW_REL", "pw_relBoundRatio": "1e-2"},
}
DEFAULTS = {
    "snapshotCmprStep": "5", "withLinearRegression": "YES", "protectValueRange": "NO", "sampleDistance": "100",
    "quantization_intervals": "0", "max_quant_intervals": "65536", "predThreshold": "0.99", "szMode": "SZ_BEST_COMPRESSION",
    "losslessCompressor": "ZSTD_COMPRESSOR", "gzipMode": "Gzip_BEST_SPEED", "zstdMode": "Zstd_HIGH_SPEED",
    "randomAccess": "0", "psnr": "80", "normErr": "0.05", "absErrBound": "1e-4", "relBoundRatio": "1e-3",
    "pw_relBoundRatio": "1e-2", "accelerate_pw_rel_compression": "1", "segment_size": "32", "pwr_type": "MIN",
}


def configured(name: str, dtype: str, rank: int) -> tuple[list[int], bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        settings = {**DEFAULTS, **CONFIGURED[name]}
        text = "[ENV]\ndataEndianType = LITTLE_ENDIAN_DATA\nsol_name = SZ\n[PARAMETER]\n"
        pathlib.Path(folder, "sz.config").write_text(text + "".join(f"{key} = {value}\n" for key, value in settings.items()))
        command = [sys.executable, str(pathlib.Path(__file__).resolve()), "--one", dtype, str(rank)]
        lines = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines()
        stored, chunk, back = json.loads(lines[-1])
        return stored, base64.b64decode(chunk), base64.b64decode(back)


if sys.argv[1:2] == ["--one"]:
    made = make([], field(sys.argv[2], SHAPES[int(sys.argv[3])]))
    print(json.dumps([made[0], base64.b64encode(made[1]).decode(), base64.b64encode(made[2]).decode()]))
    sys.exit()

from golden import HDF5PLUGIN, Golden  # noqa: E402

golden = Golden(__file__)


def add(name: str, made: tuple[list[int], bytes, bytes], data: np.ndarray, command: str, exact: bool, note: str,
        read_only: bool = False) -> None:
    stored, chunk, back = made
    kind = data.dtype.str[1:]
    worst = float(np.max(np.abs(np.frombuffer(back, data.dtype).astype("f8") - data.ravel().astype("f8"))))
    near = {"original": data.tobytes(), "type": kind, "maxError": worst + 1e-9}
    golden.add(name, chunk, stored, back, HDF5PLUGIN, command, note, data.itemsize, near, exact, read_only)


def h5(name: str, client: list[int], data: np.ndarray, exact: bool = True, note: str = "") -> bytes:
    command = f"create_dataset({data.shape}, '{data.dtype.str[1:]}', compression=32017, compression_opts={tuple(client)}); read_direct_chunk"
    made = make(client, data)
    add(name, made, data, command, exact, note)
    return made[1]


# powers and logarithms are libm's in SZ: of float64 the last bit may differ, and does from processor to processor
for dtype in ("f4", "f8"):
    for rank, shape in SHAPES.items():
        data = field(dtype, shape)
        h5(f"{dtype}-{rank}d-absolute", bound(ABSOLUTE, 0.01), data)
        h5(f"{dtype}-{rank}d-pointwise", bound(POINTWISE, pointwise=0.01), data, dtype == "f4")
    h5(f"{dtype}-range", bound(RANGE, relative=0.05), field(dtype, SHAPES[3]))
    h5(f"{dtype}-psnr", bound(PSNR, psnr=40), field(dtype, SHAPES[2]))
    h5(f"{dtype}-tight", bound(RANGE, relative=1e-9), field(dtype, SHAPES[2], 2), note="lossless: nothing else is smaller")
    h5(f"{dtype}-logarithms", bound(POINTWISE, pointwise=1e-6), field(dtype, SHAPES[2]), dtype == "f4")
    h5(f"{dtype}-same", bound(ABSOLUTE, 10), field(dtype, SHAPES[2]), note="one value for all")
    h5(f"{dtype}-few", bound(ABSOLUTE, 0.1), field(dtype, (19,)), note="19 elements are stored as they are")
h5("f4-both", bound(BOTH, 0.01, 1e-2), field("f4", SHAPES[2]))
h5("f4-either", bound(EITHER, 0.01, 1e-2), field("f4", SHAPES[2]))
h5("f4-mean", bound(ABSOLUTE, 0.05), np.where(np.arange(600) % 29 == 3, field("f4", (600,)), 1.5).astype("f4").reshape(24, 25), note="a mean for most elements")
h5("f4-row", bound(ABSOLUTE, 0.01), field("f4", (1, 60)), note="SZ counts one element here, and stores the chunk as it is")
for size in (1, 2, 4, 8):
    for sign in "ui":
        for rank, shape in SHAPES.items():
            if rank in (1, 3) or size == 2:
                h5(f"{sign}{size}-{rank}d", bound(ABSOLUTE, 2), field(f"{sign}{size}", shape))
h5("u2-range", bound(RANGE, relative=0.02), field("u2", SHAPES[2]))
h5("i4-same", bound(ABSOLUTE, 1000), field("i4", SHAPES[2]))
for name in CONFIGURED:
    for dtype, rank in (("f4", 1), ("f4", 3), ("f8", 2)):
        command = f"sz.config: {CONFIGURED[name]}; create_dataset({SHAPES[rank]}, '{dtype}', compression=32017, compression_opts=()); read_direct_chunk"
        add(f"{name}-{dtype}-{rank}d", configured(name, dtype, rank), field(dtype, SHAPES[rank]), command, name != "logarithms" or dtype == "f4", "",
            read_only=True)

stored, chunk, back = configured("bare", "f4", 3)
size = len(back)
golden.refuse("empty", b"", stored, "H5Z_E_CORRUPT", size, "no stream at all")
golden.refuse("header-only", chunk[:32], stored, "H5Z_E_CORRUPT", size, "a header without anything behind it")
golden.refuse("cut", chunk[: len(chunk) // 2], stored, "H5Z_E_CORRUPT", size, "half a stream")
golden.refuse("old", b"\x02\x01\x05" + chunk[3:], stored, "H5Z_E_VERSION", size, "says that SZ 2.1.5 wrote it")
golden.refuse("sz1", b"\x01\x04\x0d" + chunk[3:], stored, "H5Z_E_VERSION", size, "says that SZ 1.4.13 wrote it")
golden.refuse("new", b"\x02\x01\x0d" + chunk[3:], stored, "H5Z_E_VERSION", size, "a version that does not exist")
golden.refuse("count", chunk[:39] + b"\x01" + chunk[40:], stored, "H5Z_E_CORRUPT", size, "another number of elements")
golden.refuse("too-small", chunk, stored, "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
golden.refuse("words", chunk, stored[:3], "H5Z_E_PARAM", size, "cd_values without dimensions")
zstd = make(bound(ABSOLUTE, 0.01), field("f4", SHAPES[3]))
golden.refuse("cut-zstd", zstd[1][:-1], zstd[0], "H5Z_E_CORRUPT", size, "the last byte of the zstd frame is missing")
golden.write()
