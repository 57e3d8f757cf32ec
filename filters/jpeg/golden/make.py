"""Makes the golden chunks of filter 32019. Run: python filters/jpeg/golden/make.py (Pillow, whose libjpeg-turbo writes and
reads them, with its assembler; h5py and hdf5plugin for golden.py)."""

import io
import pathlib
import sys

import numpy as np
import PIL
from PIL import Image, features

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden, noise  # noqa: E402

golden = Golden(__file__)
PILLOW = {"tool": "Pillow", "version": f"{PIL.__version__} (libjpeg-turbo {features.version_feature('libjpeg_turbo')})"}


def picture(rows: int, columns: int, channels: int) -> np.ndarray:
    """Slopes, an edge, and a little roughness."""
    y, x = np.mgrid[0:rows, 0:columns]
    rough = np.frombuffer(noise(rows * columns), "u1").reshape(rows, columns) % 9
    planes = [(x * (c + 2) + y * 3 // (c + 1) + (x > columns // 2) * 60 + rough) % 256 for c in range(channels)]
    return np.stack(planes, -1).astype("u1") if channels > 1 else planes[0].astype("u1")


def jpeg(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", **options)
    return file.getvalue()


def add(name: str, array: np.ndarray, note: str = "", **options) -> bytes:
    """Held to what Pillow decodes, and to be no farther from the original than that and two levels, by which decoders differ."""
    chunk = jpeg(array, **options)
    decoded = np.asarray(Image.open(io.BytesIO(chunk)))
    most = int(np.abs(decoded.astype(int) - array).max()) + 2
    rows, columns = array.shape[:2]
    words = [options.get("quality", 75), columns, rows, int(array.ndim == 3)]
    command = f"Image.save('JPEG', {', '.join(f'{key}={value}' for key, value in options.items())}); Image.open"
    return golden.add(name, chunk, words, decoded.tobytes(), PILLOW, command, note,
                      near={"original": array.tobytes(), "type": "u1", "maxError": most})


grey, rgb = picture(61, 83, 1), picture(45, 70, 3)
whole = add("grey-90", grey, quality=90)
add("grey-1", grey, quality=1)
add("grey-100", grey, quality=100)
colour = add("rgb-75", rgb, quality=75)
add("rgb-100", rgb, "a sample of colour for each pixel", quality=100, subsampling=0)
add("rgb-wide", rgb, "a sample of colour for two pixels side by side", quality=80, subsampling=1)
add("progressive", rgb, quality=85, progressive=True)
add("restarts", grey, "restart markers", quality=75, restart_marker_blocks=4)
add("optimised", grey, "Huffman tables of its own", quality=75, optimize=True)
add("pixel", grey[:1, :1], quality=75)
add("row", picture(1, 300, 1), quality=75)
add("column", picture(300, 1, 3), quality=75)
golden.add("no-cd-values", whole, [], np.asarray(Image.open(io.BytesIO(whole))).tobytes(), PILLOW, "as grey-90", "the chunk says all", read_only=True)

corrupt, unsupported = "H5Z_E_CORRUPT", "H5Z_E_UNSUPPORTED"
size, words = grey.size, [90, 83, 61, 0]
frame = whole.index(b"\xff\xc0")
scan = whole.index(b"\xff\xda")
golden.refuse("empty", b"", words, corrupt, size, "no file at all")
golden.refuse("no-jpeg", b"\x89PNG\r\n\x1a\n" + whole, words, corrupt, size, "another format's first bytes")
golden.refuse("start-only", whole[:2], words, corrupt, size, "two bytes")
golden.refuse("no-frame", whole[:frame] + whole[scan:], words, corrupt, size, "a scan without a frame")
golden.refuse("cut-in-header", whole[:frame + 6], words, corrupt, size, "half a frame header")
golden.refuse("cut-in-scan", whole[: (scan + len(whole)) // 2], words, corrupt, size, "half a scan: others fill in grey")
golden.refuse("cut", whole[:-1], words, corrupt, size, "the last byte is missing; refused out of libjpeg by longjmp")
golden.refuse("no-end", whole[:-2], words, corrupt, size, "the end marker is missing")
golden.refuse("twelve-bits", whole[:frame + 4] + b"\x0c" + whole[frame + 5:], words, unsupported, size, "12-bit samples")
golden.refuse("arithmetic", whole[:frame + 1] + b"\xc9" + whole[frame + 2:], words, unsupported, size, "arithmetic coding")
golden.refuse("lossless", whole[:frame + 1] + b"\xc3" + whole[frame + 2:], words, unsupported, size, "lossless JPEG, another codec")
golden.refuse("size-lie", whole[:frame + 5] + b"\xff\xdc\xff\xdc" + whole[frame + 9:], words, corrupt, size, "claims 4 GB")
golden.refuse("no-rows", whole[:frame + 5] + b"\0\0" + whole[frame + 7:], words, corrupt, size, "no rows")
golden.refuse("more-rows", whole[:frame + 5] + b"\0\x48" + whole[frame + 7:], words, corrupt, 72 * 83, "more rows than the scan holds")
golden.refuse("too-small", whole, words, "H5Z_E_OUTPUT", size - 1, "a good file, one byte less room")
golden.refuse("too-small-rgb", colour, [75, 70, 45, 1], "H5Z_E_OUTPUT", rgb.size - 1, "a good file, one byte less room")
golden.write()
