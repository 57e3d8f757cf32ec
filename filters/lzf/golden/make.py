"""Makes the golden chunks of filter 32000. Run: python filters/lzf/golden/make.py (h5py, which has the filter built in)."""

import pathlib
import sys

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden, counts, h5_chunk, noise  # noqa: E402

golden = Golden(__file__)
H5PY = {"tool": "h5py", "version": f"{h5py.__version__} (HDF5 {h5py.version.hdf5_version})"}


def h5(name: str, data: bytes, elem: int, note: str = "") -> bytes:
    chunk, stored = h5_chunk(32000, [], data, elem)
    command = f"create_dataset(dtype='V{elem}', compression='lzf'); read_direct_chunk"
    return golden.add(name, chunk, stored, data, H5PY, command, note, elem)


data = counts(3000, 2)
whole = h5("counts", data, 2)
h5("zeros", bytes(100_000), 4, "264 bytes a token")
h5("doubles", counts(4000, 8, 3), 8)
h5("threes", counts(2000, 3, 5), 3)
h5("long-distances", noise(8192) * 2 + noise(8190, 2) * 2, 1, "repeats as far back as a token reaches")
h5("distances", b"".join((noise(d, d) * 300)[: 40 + 7 * d] for d in range(1, 40)), 1, "repeats from 1 to 39 bytes before")
h5("text", b"the filter, the chunk, the pipeline; " * 4, 1)

HAND = {"tool": "by hand", "version": "-"}
one = bytes([0, 42])
golden.add("one-byte", one, [4, 0x0105, 1], b"*", HAND, "one token", "h5py would store it unfiltered")
golden.add("literals", bytes([31]) + bytes(range(32)) + bytes([0, 99]), [4, 0x0105, 33], bytes(range(32)) + b"c", HAND, "two tokens", "grown by two bytes, as a writer without h5py's limit may do")
golden.add("longest", bytes([0, 7, 7 << 5, 255, 0, 1 << 5, 0]), [4, 0x0105, 268], b"\7" * 268, HAND, "three tokens", "264 and 3 bytes from 1 byte before")
golden.add("no-cd-values", whole, [], data, H5PY, "create_dataset(dtype='V2', compression='lzf'); read_direct_chunk", "the chunk alone says enough", 2)

corrupt = "H5Z_E_CORRUPT"
stored = [4, 0x0105, len(data)]
golden.refuse("empty", b"", stored, corrupt, len(data), "no token at all")
golden.refuse("literal-cut", bytes([31]) + bytes(31), stored, corrupt, len(data), "a literal of 32 bytes, of which 31 are there")
golden.refuse("distance-cut", one + bytes([1 << 5]), stored, corrupt, len(data), "a repeat without its distance")
golden.refuse("length-cut", one + bytes([7 << 5]), stored, corrupt, len(data), "a long repeat without its length")
golden.refuse("long-distance-cut", one + bytes([7 << 5, 255]), stored, corrupt, len(data), "a long repeat without its distance")
golden.refuse("before-the-beginning", one + bytes([1 << 5, 1]), stored, corrupt, len(data), "a repeat from before the first byte")
golden.refuse("repeat-first", bytes([1 << 5, 0]), stored, corrupt, len(data), "a repeat when there is nothing yet")
golden.refuse("too-small", whole, stored, "H5Z_E_OUTPUT", len(data) - 1, "a good chunk, one byte less room")
golden.write()
