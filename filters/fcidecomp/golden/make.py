"""Makes the golden chunks of filter 32018. Run: python filters/fcidecomp/golden/make.py (h5py, hdf5plugin, imagecodecs, numpy)."""

import io
import pathlib
import sys

import h5py
import imagecodecs
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import HDF5PLUGIN, Golden, noise  # noqa: E402

golden = Golden(__file__)
ID = 32018
CODECS = {"tool": "imagecodecs", "version": f"{imagecodecs.__version__} ({imagecodecs.jpegls_version()})"}


def picture(shape, dtype: str, bits: int = 0, seed: int = 1) -> np.ndarray:
    """Waves, an edge and some noise, over the range of the type or of fewer bits."""
    info = np.iinfo(dtype)
    most = 2**bits - 1 if bits else int(info.max)
    least = 0 if bits else int(info.min)
    spread = (most - least) // 4
    wave = sum((3 + axis) * np.minimum(plane, 40) % 61 for axis, plane in enumerate(np.indices(shape))) * (spread // 120 + 1)
    grain = np.frombuffer(noise(wave.size, seed), "u1").reshape(shape) % 5
    values = np.clip(least + spread + wave + grain, least, most)
    values[tuple(slice(n // 2, n) for n in shape)] = most
    return values.astype(dtype)


def h5(name: str, data: np.ndarray, client: list[int], note: str = "") -> tuple[bytes, list[int]]:
    """A chunk made by hdf5plugin's filter; where it is lossy, what that filter decodes it to."""
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("x", data.shape, data.dtype, chunks=data.shape, compression=ID, compression_opts=tuple(client))
        dataset[...] = data
        file.flush()
        stored = list(dataset.id.get_create_plist().get_filter(0)[2])
        mask, chunk = dataset.id.read_direct_chunk((0,) * data.ndim)
        assert mask == 0, name
        dataset.id.write_direct_chunk((0,) * data.ndim, chunk)
        file.flush()
        back = dataset[...]
    error = int(np.max(np.abs(back.astype(int) - data.astype(int))))
    assert error <= (client + [0] * 9)[3], (name, error)
    near = {"original": data.tobytes(), "type": data.dtype.str[1:], "maxError": client[3]} if error else None
    command = f"create_dataset({data.shape}, '{data.dtype.str}', compression={ID}, compression_opts={tuple(client)}); read_direct_chunk"
    note = note if near else "lossless; " + note if note else "lossless"
    golden.add(name, chunk, stored, back.tobytes(), HDF5PLUGIN, command, note, data.itemsize, near)
    return chunk, stored


for dtype in ("u1", "i1", "<u2", "<i2", ">u2"):
    h5(f"{dtype.replace('<', '').replace('>', 'be-')}-30x41", picture((30, 41), dtype), [])
h5("u1-planes", picture((3, 20, 25), "u1"), [], "three components, one after the other")
h5("u2-planes-4", picture((4, 12, 15), "<u2"), [])
h5("u1-lines", picture((3, 20, 25), "u1"), [0, 0, 1], "interleaved by line")
h5("u1-samples", picture((3, 20, 25), "u1"), [0, 0, 2], "interleaved by sample")
h5("u2-lines-4", picture((4, 12, 15), "<u2"), [0, 0, 1])
h5("u2-12-bits", picture((25, 30), "<u2", 12), [12])
h5("u2-9-bits", picture((25, 30), "<u2", 9), [9])
h5("u1-5-bits", picture((25, 30), "u1", 5), [5])
h5("u1-maxval", picture((25, 30), "u1", 7), [0, 0, 0, 0, 200], "MAXVAL 200")
h5("u1-presets", picture((25, 30), "u1"), [0, 0, 0, 0, 255, 5, 9, 30, 32], "thresholds and RESET of its own")
h5("u2-zeros", np.zeros((64, 64), "<u2"), [])
h5("u1-thin", picture((64, 1), "u1"), [], "one sample a line")
h5("u1-wide", picture((1, 3000), "u1"), [], "one line")
h5("u1-near-1", picture((40, 50), "u1"), [0, 0, 0, 1])
h5("u1-near-10", picture((40, 50), "u1"), [0, 0, 0, 10])
h5("u2-near-3", picture((40, 50), "<u2"), [0, 0, 0, 3])
h5("u1-near-samples", picture((3, 20, 25), "u1"), [0, 0, 2, 2])

small = picture((16, 20), "<u2")
good, words = h5("u2-16x20", small, [])
codecs = imagecodecs.jpegls_encode(small)
golden.add("charls", codecs, words, small.tobytes(), CODECS, "jpegls_encode(data)", "lossless, by a newer CharLS", 2)
golden.add("no-values", good, [], small.tobytes(), HDF5PLUGIN, "the chunk u2-16x20", "lossless; without cd_values the codestream says the shape", 2, read_only=True)

size, corrupt = small.nbytes, "H5Z_E_CORRUPT"
golden.refuse("empty", b"", words, corrupt, size, "no bytes")
golden.refuse("magic", b"\0" + good[1:], words, corrupt, size, "no SOI marker: refused by way of an exception")
golden.refuse("header-cut", good[:10], words, corrupt, size, "ends inside SOF55")
golden.refuse("cut", good[:-1], words, corrupt, size, "the last byte is missing")
golden.refuse("half", good[: len(good) // 2], words, corrupt, size, "half a codestream")
golden.refuse("no-end", good[:-2], words, corrupt, size, "no EOI marker")
golden.refuse("shape", good, words[:2] + [20, 16] + words[4:], corrupt, size, "the stored shape is another")
golden.refuse("bytes", good, [1] + words[1:], corrupt, size, "stored as bytes, coded as words")
golden.refuse("too-small", good, words, "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
at = good.index(b"\xff\xf7")
golden.refuse("size-lie", good[: at + 5] + b"\xff\xff\xff\xff" + good[at + 9 :], [], "H5Z_E_OUTPUT", size, "claims 65535 x 65535 samples")
golden.refuse("bits", good[: at + 4] + b"\x20" + good[at + 5 :], words, corrupt, size, "32 bits a sample")
golden.refuse("jpeg", imagecodecs.jpeg8_encode(picture((16, 20), "u1")), words, corrupt, size, "JPEG, not JPEG-LS")
damaged = bytearray(good)
damaged[len(good) // 2 : len(good) // 2 + 6] = b"\xff\x7f" * 3
golden.refuse("damaged", bytes(damaged), words, corrupt, size, "bits that no code begins with: refused by way of an exception from the entropy decoder")
golden.write()
