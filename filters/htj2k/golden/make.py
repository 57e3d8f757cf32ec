"""Makes the golden chunks of filter 32033. Run: python filters/htj2k/golden/make.py (h5py, hdf5plugin, imagecodecs, numpy)."""

import io
import pathlib
import sys

import h5py
import imagecodecs
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import HDF5PLUGIN, Golden, noise  # noqa: E402

golden = Golden(__file__)
ID = 32033
CODECS = {"tool": "imagecodecs", "version": f"{imagecodecs.__version__} ({imagecodecs.htj2k_version()})"}


def picture(shape, dtype: str, seed: int = 1) -> np.ndarray:
    """Waves, an edge and some noise, over the range of the type."""
    info = np.iinfo(dtype)
    shape = tuple(shape)
    grid = np.indices(shape)
    spread = (int(info.max) - int(info.min)) // 4
    wave = sum((3 + axis) * np.minimum(plane, 40) % 61 for axis, plane in enumerate(grid)) * (spread // 120 + 1)
    grain = np.frombuffer(noise(wave.size, seed), "u1").reshape(shape) % 5
    values = info.min + spread + wave + grain
    values[tuple(slice(n // 2, n) for n in shape)] = info.max
    return values.astype(dtype)


def h5(name: str, data: np.ndarray, note: str = "") -> bytes:
    """A chunk made by hdf5plugin's filter."""
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("x", data.shape, data.dtype, chunks=data.shape, compression=ID)
        dataset[...] = data
        file.flush()
        stored = dataset.id.get_create_plist().get_filter(0)[2]
        mask, chunk = dataset.id.read_direct_chunk((0,) * data.ndim)
    assert mask == 0
    command = f"create_dataset({data.shape}, '{data.dtype.str[1:]}', compression={ID}); read_direct_chunk"
    return golden.add(name, chunk, list(stored), data.tobytes(), HDF5PLUGIN, command, note, data.itemsize)


for dtype in ("u1", "i1", "u2", "i2"):
    h5(f"{dtype}-30x41", picture((30, 41), dtype))
tall = h5("u2-130x70", picture((130, 70), "u2", 2), "code blocks of 64 x 64 in two lines and columns")
h5("u1-rgb", picture((20, 25, 3), "u1"), "three components, without colour transform")
h5("i2-rgb", picture((9, 70, 3), "i2"))
h5("u1-line", picture((1000,), "u1"), "one line")
h5("u2-column", picture((300, 1), "u2"), "one column")
h5("u2-4d", picture((1, 12, 1, 17), "u2"), "dimensions of 1 do not count")
h5("u1-one", np.array([[[200]]], "u1"), "one sample")
h5("u2-zeros", np.zeros((64, 64), "u2"))
h5("u1-noise", np.frombuffer(noise(48 * 48), "u1").reshape(48, 48), "longer than the samples")

small = picture((33, 20), "u2")
chunk = h5("u2-33x20", small)
BY_HAND = {"tool": "hdf5plugin", "version": HDF5PLUGIN["version"]}
golden.add("no-values", chunk, [], small.tobytes(), BY_HAND, "the chunk u2-33x20", "without cd_values the codestream says how wide samples are", 2, read_only=True)
golden.add("type-0", chunk, [0, 0], small.tobytes(), BY_HAND, "the chunk u2-33x20", "revision 0 and no datatype", 2, read_only=True)
golden.add("big-endian", chunk, [1, 0x102, 20, 33, 1], small.astype(">u2").tobytes(), BY_HAND, "the chunk u2-33x20",
           "the datatype says big-endian: samples are swapped on the way out", 2)
golden.add("wider", h5("u1-8x9", picture((8, 9), "u1")), [1, 2, 9, 8, 1], picture((8, 9), "u1").astype("u2").tobytes(), BY_HAND,
           "the chunk u1-8x9", "8-bit samples in a 16-bit datatype", 2)


def codec(name: str, data: np.ndarray, cd_values: list[int], error: int = 0, note: str = "", **options) -> bytes:
    """A codestream by OpenJPH's encoder, as people write them with direct chunk writes. Lossy where `error` > 0."""
    made = imagecodecs.htj2k_encode(data, **options)
    command = f"htj2k_encode(data, {', '.join(f'{key}={value!r}' for key, value in options.items())})"
    back = imagecodecs.htj2k_decode(made)
    info = np.iinfo(data.dtype)
    wrong = np.abs(back.astype(int) - data.astype(int))
    # OpenJPH rounds a sample up beyond its range at times, which then reads as the least value; a decoder must not.
    wrong[(data == info.max) & (back == info.min)] = 0
    assert wrong.max() <= error, wrong.max()
    near = {"original": data.tobytes(), "type": data.dtype.str[1:], "maxError": error} if error else None
    return golden.add(name, made, cd_values, data.tobytes(), CODECS, command, note, data.itemsize, near, exact=not error)


image = picture((70, 90), "u1", 3)
codec("tiles", image, [1, 1, 90, 70, 1], tile=(32, 32), reversible=True, note="twelve tiles")
codec("colours", picture((31, 33, 3), "u1"), [1, 1, 33, 31, 3], rgb=True, reversible=True, note="reversible colour transform")
codec("levels-1", image, [1, 1, 90, 70, 1], resolutions=1, reversible=True)
codec("tlm", image, [1, 1, 90, 70, 1], tlm=True, tile=(64, 64), reversible=True, note="tile-part lengths in the main header")
codec("lossy-u1", image, [1, 1, 90, 70, 1], 2, level=2**-8, reversible=False, note="irreversible wavelet")
codec("lossy-i1", picture((40, 50), "i1"), [1, 0x81, 50, 40, 1], 2, level=2**-8, reversible=False)
codec("lossy-u2", picture((60, 50), "u2", 4), [1, 2, 50, 60, 1], 300, level=0.003, reversible=False)
codec("lossy-i2", picture((40, 70), "i2", 5), [1, 0x82, 70, 40, 1], 300, level=0.003, reversible=False)
codec("lossy-rgb", picture((40, 30, 3), "u1", 6), [1, 1, 30, 40, 3], 4, level=2**-8, reversible=False, rgb=True, note="irreversible colour transform")

good, size, words = chunk, small.nbytes, [1, 2, 20, 33, 1]
corrupt, unsupported = "H5Z_E_CORRUPT", "H5Z_E_UNSUPPORTED"
golden.refuse("empty", b"", words, corrupt, size, "no bytes")
golden.refuse("magic", b"\x00" + good[1:], words, corrupt, size, "no SOC marker")
golden.refuse("header-cut", good[:40], words, corrupt, size, "ends inside SIZ")
golden.refuse("cut", good[:-1], words, corrupt, size, "the last byte is missing")
golden.refuse("half", good[: len(good) // 2], words, corrupt, size, "half a codestream")
golden.refuse("no-tile", good[: good.index(b"\xff\x90")] + b"\xff\xd9", words, corrupt, size, "headers without the tile")
golden.refuse("revision", good, [2] + words[1:], "H5Z_E_VERSION", size, "revision 2 of the filter")
golden.refuse("type", good, [1, 4], "H5Z_E_PARAM", size, "no such datatype")
golden.refuse("narrower", good, [1, 1], corrupt, size, "16-bit samples in an 8-bit datatype")
golden.refuse("too-small", good, words, "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
golden.refuse("part-1", imagecodecs.jpeg2k_encode(small, codecformat="j2k", level=0), words, unsupported, size, "code blocks of JPEG 2000 part 1")


def field(codestream: bytes, marker: bytes, offset: int, value: bytes) -> bytes:
    at = codestream.index(marker) + offset
    return codestream[:at] + value + codestream[at + len(value):]


golden.refuse("size-lie", field(good, b"\xff\x51", 6, bytes.fromhex("7fffffff7fffffff")), words, corrupt, size, "claims 2^31 x 2^31 samples, and tiles by the million")
# Four gigabytes' worth of tiles, levels and code blocks in an image of 33 x 20 samples.
tiny = field(good, b"\xff\x51", 22, bytes.fromhex("0000000100000001"))
golden.refuse("tiles-lie", field(tiny, b"\xff\x52", 9, b"\x20"), words, unsupported, size, "660 tiles of 32 levels")
# Inside the only code block of noise: OpenJPH finds the damage while it decodes, and throws.
loud = h5("u1-noise-8x8", np.frombuffer(noise(64), "u1").reshape(8, 8))
at = loud.index(b"\xff\x93") + 2
golden.refuse("packet", loud[:at] + b"\xff" * 12 + loud[at + 12 :], [1, 1, 8, 8, 1], corrupt, 64, "a damaged packet header: refused by way of an exception")
# A POC segment between SOT and SOD: the tile part is six bytes longer.
sot = good.index(b"\xff\x90")
length = int.from_bytes(good[sot + 6 : sot + 10], "big") + 6 if good[sot + 6 : sot + 10] != b"\0\0\0\0" else 0
poc = good[: sot + 6] + length.to_bytes(4, "big") + good[sot + 10 : sot + 12] + b"\xff\x5f\x00\x04\x00\x00" + good[sot + 12 :]
golden.refuse("order", poc, words, unsupported, size, "a tile with a change of order, which OpenJPH skips with a warning: refused by way of an exception")
golden.write()
