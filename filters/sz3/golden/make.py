"""Makes the golden chunks of filter 32024. Run: python filters/sz3/golden/make.py (h5py, hdf5plugin, numpy; pip, which gets
pysz 1.0.2 and 1.0.3, Python's door to SZ3 3.3.0's and 3.3.2's streams, into a temporary folder)."""

import io
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import h5py
import hdf5plugin
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import HDF5PLUGIN, Golden  # noqa: E402

golden = Golden(__file__)
MODES = {"absolute": 0, "relative": 1, "psnr": 2, "norm": 3, "both": 4, "either": 5}


def wave(shape: tuple[int, ...], dtype: str, rough: float = 0.02) -> np.ndarray:
    """A smooth surface with a little roughness; for integers, as steep as their type allows."""
    grid = np.meshgrid(*[np.linspace(0, 3, n) for n in shape], indexing="ij")
    surface = sum(np.sin(x * (2 + i)) * (3 + i) for i, x in enumerate(grid))
    surface = surface + np.random.default_rng(7).normal(size=shape) * rough
    if np.dtype(dtype).kind in "iu":
        surface = (surface - surface.min()) / (surface.max() - surface.min()) * min(np.iinfo(dtype).max // 2, 20000)
    return surface.astype(dtype)


def words(*bounds: float) -> list[int]:
    return [word for bound in bounds for word in struct.unpack(">II", struct.pack(">d", bound))]


def about(array: np.ndarray, most: float, note: str) -> str:
    """Chunks without an original to compare with say why."""
    why = "" if near(array, most) else "no original: too large to keep" if most else "no absolute bound"
    return "; ".join(text for text in (note, why) if text)


def near(array: np.ndarray, most: float) -> dict | None:
    """Beside the digest, the originals of small arrays: the folder stays small."""
    return {"original": array.tobytes(), "type": array.dtype.str[1:], "maxError": most} if most and array.nbytes < 6000 else None


def plugin(name: str, array: np.ndarray, mode: str, bound: float, most: float, note: str = "") -> None:
    at = {"absolute": 0, "relative": 1, "norm": 2, "psnr": 3}[mode]
    client = (MODES[mode], *words(*[bound if i == at else 0.0 for i in range(4)]))
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("x", data=array, chunks=array.shape, compression=32024, compression_opts=client)
        file.flush()
        mask, chunk = dataset.id.read_direct_chunk((0,) * array.ndim)
        back = dataset[...]
        stored = dataset.id.get_create_plist().get_filter(0)[2]
    assert mask == 0
    command = f"create_dataset({array.dtype.str}, {list(array.shape)}, compression=32024, compression_opts={client}); read_direct_chunk"
    golden.add(name, chunk, list(stored), back.tobytes(), HDF5PLUGIN, command, about(array, most, note), array.itemsize, near(array, most))


for kind in ("f4", "f8", "i4"):
    bound = 0.05 if kind[0] == "f" else 40
    for shape in ((700,), (31, 37), (9, 10, 11), (4, 5, 6, 7)):
        plugin(f"{kind}-{'x'.join(map(str, shape))}", wave(shape, "<" + kind), "absolute", bound, bound)
# Looser bounds and longer lines: hdf5plugin writes past its buffer when small integers need many codes.
for kind, n, bound in (("u1", 3000, 8), ("i1", 3000, 8), ("u2", 2000, 40), ("i2", 2000, 40), ("u4", 700, 40), ("i8", 700, 40), ("u8", 700, 40)):
    plugin(f"{kind}-{n}", wave((n,), kind if kind[1] == "1" else "<" + kind), "absolute", bound, bound)
image = wave((31, 37), "<f4")
spread = float(image.max() - image.min())
plugin("relative", image, "relative", 1e-3, 1e-3 * spread * 1.0001)
plugin("psnr", image, "psnr", 50, spread * 10 ** (-45.3 / 20))
plugin("norm", image, "norm", 1.0, (3 / image.size) ** 0.5 * 1.0001)
rough = wave((40, 50), "<f4", 1.0)
plugin("lorenzo", np.cumsum(rough.ravel()[:1500]).astype("<f4"), "absolute", 0.01, 0.01, "coded by Lorenzo prediction")
plugin("lorenzo-3d", np.cumsum(np.cumsum(wave((9, 20, 12), "<f4", 3.0), 1), 2).astype("<f4"), "absolute", 0.5, 0.5, "coded by Lorenzo prediction")
plugin("without-loss", image, "absolute", 0.0, 0, "bound 0: nothing is lost")
holes = image.copy()
holes[3:5] = np.nan
holes[9, 9] = np.inf
plugin("not-numbers", holes, "absolute", 0.05, 0, "NaN and infinity are kept as they are")
holes[0, 0] = np.nan
plugin("no-bound", holes, "relative", 1e-3, 0, "a share of a range that begins with NaN: all is lost")
plugin("few", np.arange(19, dtype="<f8"), "absolute", 0.5, 0, "fewer than 20 elements: stored as they are")
plugin("one-plane", wave((1, 20, 30), "<f4"), "absolute", 0.05, 0.05, "a dimension of one is left out")

SCRIPT = """
import sys, numpy, pysz
kind, shape, algorithm, mode, bound, out, settings = sys.argv[1:]
data = numpy.frombuffer(sys.stdin.buffer.read(), kind).reshape([int(n) for n in shape.split("x")])
later = hasattr(pysz, "szConfig")
config = (pysz.szConfig if later else pysz.pyConfig)(*data.shape)
if settings:
    config.loadcfg(settings)
algorithm, mode = int(algorithm), int(mode)
config.cmprAlgo = algorithm if later else config.ALGO(algorithm)
config.errorBoundMode = mode if later else config.EB(mode)
config.absErrorBound = config.relErrorBound = config.psnrErrorBound = config.l2normErrorBound = float(bound)
chunk, _ = pysz.sz.compress(data.copy(), config)
chunk.tofile(out + ".chunk")
if later:
    back, _ = pysz.sz.decompress(chunk, data.dtype, data.shape)
else:
    back = pysz.sz.decompress(chunk, data.dtype, data.shape, config)
back.tofile(out + ".back")
"""
ALGORITHMS = {"LORENZO_REG": 0, "INTERP_LORENZO": 1, "INTERP": 2, "NOPRED": 3, "LOSSLESS": 4}
folder = tempfile.TemporaryDirectory()


def pysz(version: str, name: str, array: np.ndarray, algorithm: str, bound: float, mode: str = "absolute", ini: str = "") -> bytes:
    place = f"{os.environ.get('H5Z_PYSZ', folder.name)}/pysz-{version}"
    if not os.path.exists(place):
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", place, f"pysz=={version}"], check=True)
    out, settings = f"{folder.name}/{name}", ""
    if ini:
        settings = f"{folder.name}/{name}.ini"
        pathlib.Path(settings).write_text("[AlgoSettings]\n" + ini)
    arguments = [array.dtype.str, "x".join(map(str, array.shape)), str(ALGORITHMS[algorithm]), str(MODES[mode]), str(bound), out, settings]
    environment = {**os.environ, "PYTHONPATH": place, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", SCRIPT, *arguments], input=array.tobytes(), env=environment, check=True, stdout=subprocess.DEVNULL)
    chunk = pathlib.Path(out + ".chunk").read_bytes()
    back = pathlib.Path(out + ".back").read_bytes()
    # The cd_values of SZ3's own plugin are the bytes of the chunk's config, and in it the element type, which pysz leaves out.
    later = version != "1.0.2"
    at = 16 + struct.unpack_from("<Q", chunk, 8)[0] if later else 0
    length = chunk[at] if later else chunk.find(b"\x28\xb5\x2f\xfd") - 8  # before zstd's magic and a length
    config = bytearray(chunk[at : at + length])
    config[-10] = {"f4": 0, "f8": 1, "i4": 7}[array.dtype.str[1:]]
    config += bytes(-len(config) % 4)
    most = bound if mode == "absolute" and algorithm != "LOSSLESS" else 0
    text = ini.strip().replace("\n", ", ")
    command = f"sz.compress({array.dtype.str}, {list(array.shape)}; {algorithm}, {mode} {bound}{', ' + text if text else ''})"
    golden.add(f"{name}-{version}", chunk, list(struct.unpack(f"<{len(config) // 4}I", config)), back,
               {"tool": "pysz", "version": f"{version} (SZ3's stream {'3.3.2' if later else '3.3.0'})"}, command, about(array, most, ""),
               array.itemsize, near(array, most))
    return chunk


large = wave((45, 60), "<f4", 0.01)
cube = wave((14, 15, 16), "<f4", 0.01)
for version in ("1.0.3", "1.0.2"):
    for algorithm in ("LORENZO_REG", "INTERP_LORENZO", "INTERP", "NOPRED", "LOSSLESS"):
        if version == "1.0.3" or algorithm in ("INTERP", "LORENZO_REG"):
            pysz(version, f"{algorithm.lower()}-2d", large, algorithm, 0.1)
    pysz(version, "interp-3d", cube, "INTERP", 0.1)
pysz("1.0.3", "line", wave((5000,), "<f4", 0.01), "INTERP_LORENZO", 0.1)
pysz("1.0.3", "blocks-3d", cube, "LORENZO_REG", 0.1)
pysz("1.0.3", "blocks-4d", wave((6, 7, 8, 9), "<f8", 0.01), "LORENZO_REG", 0.1)
pysz("1.0.3", "interp-4d", wave((6, 7, 8, 9), "<i4"), "INTERP", 4, ini="InterpolationDirection = 17\nInterpolationAlgo = INTERP_ALGO_LINEAR\n")
pysz("1.0.3", "anchors", cube, "INTERP", 0.1, ini="InterpolationAnchorStride = 8\nInterpolationAlpha = 1.7\nInterpolationBeta = 3.5\n")
pysz("1.0.3", "both-orders", large, "LORENZO_REG", 0.1, ini="Lorenzo2ndOrder = true\nBlockSize = 7\n")
pysz("1.0.3", "psnr-2d", large, "INTERP", 40, "psnr")
good = pysz("1.0.3", "interp-2d-tight", large, "INTERP", 0.05)

case = golden.cases[1]
old = (golden.folder / case["file"], golden.files[case["file"]], case["cdValues"], case["size"])[1:]
chunk, stored, size = old
new = next(entry for entry in golden.cases if entry["name"] == "interp-2d-tight-1.0.3")
stored3, size3 = new["cdValues"], new["size"]
corrupt, version = "H5Z_E_CORRUPT", "H5Z_E_VERSION"
golden.refuse("empty", b"", stored, corrupt, size, "nothing")
golden.refuse("cut", chunk[:-1], stored, corrupt, size, "the last byte is missing")
golden.refuse("config-length", chunk[:-4] + b"\xff\xff\xff\x7f", stored, corrupt, size, "a config longer than the chunk")
golden.refuse("raw-length", b"\xff" * 8 + chunk[8:], stored, corrupt, size, "claims 2^64 - 1 bytes before zstd")
golden.refuse("other-shape", chunk, [2, 0, 37, 32, *stored[4:]], corrupt, 37 * 32 * 4, "cd_values of another shape")
golden.refuse("too-small", chunk, stored, "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
golden.refuse("five-dimensions", chunk, [5, 0, 2, 2, 2, 2, 2, *stored[4:]], "H5Z_E_UNSUPPORTED", 128, "more dimensions than SZ3 has")
golden.refuse("type-10", chunk, [2, 10, *stored[2:]], "H5Z_E_PARAM", size, "no such element type")
golden.refuse("version-4", good[:4] + struct.pack("<I", 4 << 24) + good[8:], stored3, version, size3, "data version 4.0.0, which SZ3 3.4 writes")
golden.refuse("version-3.2", good[:4] + struct.pack("<I", 0x03020000) + good[8:], stored3, version, size3, "data version 3.2.0 in 3.3.2's place")
golden.refuse("payload-length", good[:8] + b"\xff" * 8 + good[16:], stored3, corrupt, size3, "a payload longer than the chunk")
golden.refuse("size-byte-3.3.2", b"\x20" + good, stored3, version, size3, "magic where 3.3.1 has it, version 3.3.2")
golden.refuse("new-cut", good[:-1], stored3, corrupt, size3, "the last byte is missing")
golden.write()
