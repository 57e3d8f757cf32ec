"""Makes the golden chunks of filter 32015. Run: python filters/zstd/golden/make.py (h5py, hdf5plugin, zstandard; zstd on PATH)."""

import pathlib
import re
import subprocess
import sys

import zstandard

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden, counts, noise  # noqa: E402

golden = Golden(__file__)
data = counts(3000, 2)

for level in (1, 3, 9, 22, -1, -7):
    golden.h5(f"level-{level}", [level], data, 2)
golden.h5("no-level", [], data, 2)
golden.h5("zeros", [3], bytes(100_000), 4)
golden.h5("noise", [3], noise(2000), 1)
golden.h5("one-byte", [3], b"\x2a", 1)
golden.h5("doubles", [5], counts(4000, 8, 3), 8)

PYTHON = {"tool": "python-zstandard", "version": f"{zstandard.__version__} (zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))})"}


def frame(content: bytes, **options) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(content)


def stream(content: bytes, **options) -> bytes:
    """As writers with a streaming API do: the size is not known when the frame header is written."""
    stream = zstandard.ZstdCompressor(**options).compressobj()
    return b"".join(stream.compress(content[i : i + 1000]) for i in range(0, len(content), 1000)) + stream.flush()


def skippable(content: bytes, magic: int = 0x184D2A50) -> bytes:
    return magic.to_bytes(4, "little") + len(content).to_bytes(4, "little") + content


half = len(data) // 2
a, b = data[:half], data[half:]
golden.add("streamed", stream(data), [3], data, PYTHON, "ZstdCompressor().compressobj(), 1000 bytes at a time", "no content size")
golden.add("no-size", frame(data, write_content_size=False), [3], data, PYTHON, "ZstdCompressor(write_content_size=False).compress")
golden.add("checksum", frame(data, write_checksum=True), [3], data, PYTHON, "ZstdCompressor(write_checksum=True).compress")
golden.add("two-frames", frame(a) + frame(b), [3], data, PYTHON, "compress(first half) + compress(second half)")
golden.add("three-streams", stream(a) + stream(b"") + stream(b), [3], data, PYTHON, "compressobj three times", "no sizes, the second frame empty")
golden.add("size-and-none", frame(a) + stream(b), [3], data, PYTHON, "compress(first half) + compressobj(second half)", "one size known, one not")
golden.add("skippable-first", skippable(b"h5z") + frame(data), [3], data, PYTHON, "skippable frame by hand + compress")
golden.add("skippable-between", frame(a) + skippable(b"", 0x184D2A5F) + frame(b), [3], data, PYTHON, "compress + skippable frame by hand + compress")
golden.add("skippable-last", frame(data) + skippable(noise(40)), [3], data, PYTHON, "compress + skippable frame by hand")
wide = zstandard.ZstdCompressionParameters.from_level(3, window_log=27, enable_ldm=True, write_content_size=0)
golden.add("wide-window", stream(data, compression_params=wide), [3], data, PYTHON, "ZstdCompressionParameters(window_log=27, enable_ldm=True, write_content_size=0)", "asks for 128 MiB of window, needs none")

version = re.search(r"v([0-9.]+)", subprocess.run(["zstd", "--version"], capture_output=True, text=True, check=True).stdout)[1]
CLI = {"tool": "zstd (command line)", "version": version}
piped = subprocess.run(["zstd", "-q", "-7", "-c"], input=data, capture_output=True, check=True).stdout
golden.add("cli-pipe", piped, [7], data, CLI, "zstd -q -7 -c < data", "no content size, with checksum")

plain, summed = frame(data), frame(data, write_checksum=True)
corrupt = "H5Z_E_CORRUPT"
golden.refuse("empty", b"", [3], corrupt, len(data), "no frame at all")
golden.refuse("garbage-behind", plain + b"garbage", [3], corrupt, len(data), "bytes behind the last frame that are no frame")
golden.refuse("few-bytes-behind", plain + b"\0", [3], corrupt, len(data), "one byte behind the last frame")
golden.refuse("magic", b"\x29" + plain[1:], [3], corrupt, len(data), "not zstd's magic number")
golden.refuse("header-only", plain[:6], [3], corrupt, len(data), "a frame header without blocks")
golden.refuse("cut", plain[:-1], [3], corrupt, len(data), "the last byte is missing")
golden.refuse("checksum-wrong", summed[:-1] + bytes([summed[-1] ^ 1]), [3], corrupt, len(data), "the content does not match the frame's checksum")
golden.refuse("reserved-bit", plain[:4] + bytes([plain[4] | 0x08]) + plain[5:], [3], "H5Z_E_UNSUPPORTED", len(data), "a bit the format reserves is set")
# Single segment, 8-byte content size, then one empty last block.
liar = bytes.fromhex("28b52ffd e0") + (2**62).to_bytes(8, "little") + bytes.fromhex("010000")
golden.refuse("size-lie", liar, [3], corrupt, len(data), "claims 4 EiB in an empty block")
golden.refuse("size-wrong", frame(data)[:5] + (len(data) - 257).to_bytes(2, "little") + frame(data)[7:], [3], corrupt, len(data), "content size one byte too small")
golden.refuse("skippable-cut", skippable(b"h5z")[:-1], [3], corrupt, len(data), "a skippable frame that is not all there")
full = zstandard.train_dictionary(2000, [counts(300, 2, seed) for seed in range(1, 60)], dict_id=77)
golden.refuse("dictionary", frame(data, dict_data=full), [3], "H5Z_E_UNSUPPORTED", len(data), "made with a dictionary, which an HDF5 file has no place for")
golden.refuse("too-small", plain, [3], "H5Z_E_OUTPUT", len(data) - 1, "a good frame, one byte less room")
golden.refuse("too-small-streamed", stream(data), [3], "H5Z_E_OUTPUT", len(data) - 1, "a good frame without size, one byte less room")
golden.write()
