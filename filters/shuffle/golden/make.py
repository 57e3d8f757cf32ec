"""Makes the golden chunks of filter 2. Run: python filters/shuffle/golden/make.py (h5py)."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
import numpy as np  # noqa: E402
from golden import LIBHDF5, Golden, counts, library_chunk, noise  # noqa: E402

golden = Golden(__file__)


def made(name: str, data: bytes, dtype: str, note: str = "") -> bytes:
    return golden.library(name, np.frombuffer(data, dtype), lambda dcpl: dcpl.set_shuffle(), "H5Pset_shuffle()", note)


# Every size of element that has a kernel of its own, and neighbours; 75 elements: two or four vectors and a rest.
for elem in [*range(1, 20), 24, 31, 32, 33, 48, 100]:
    made(f"{elem}", noise(75 * elem, elem), f"V{elem}")
# Counts of elements around the vectors' widths.
for elem in (2, 3, 4, 8, 16):
    for n in (1, 2, 7, 15, 16, 17, 31, 32, 33, 64):
        made(f"{elem}-n{n}", counts(n, elem, n), f"V{elem}")
made("big-endian", counts(200, 4), ">i4")
made("doubles", counts(500, 8), "<f8")
made("large", noise(3000), "V1000", "a large compound: 3 elements of 1000 bytes")


# A filter before this one leaves chunks that are no whole number of elements: here four bytes of checksum.
def checked(dcpl):
    dcpl.set_fletcher32()


def both(dcpl):
    dcpl.set_fletcher32()
    dcpl.set_shuffle()


for elem in (2, 3, 5, 8, 16, 33):
    data = counts(75, elem, elem)
    array = np.frombuffer(data, f"V{elem}")
    before, _, _ = library_chunk(array, checked)
    chunk, _, _ = library_chunk(array, both)
    golden.add(f"left-over-{elem}", chunk, [elem], before, LIBHDF5,
               f"H5Dcreate(V{elem}, [75]), H5Pset_fletcher32(), H5Pset_shuffle(); read_direct_chunk",
               "the data and 4 bytes of checksum", elem)

data = counts(75, 4)
chunk = made("4-again", data, "V4")
golden.add("element-larger", chunk, [1000], chunk, LIBHDF5, "any bytes", "an element larger than the chunk: all is left over")
parameter = "H5Z_E_PARAM"
golden.refuse("no-values", chunk, [], parameter, len(chunk), "the element size is missing")
golden.refuse("two-values", chunk, [4, 4], parameter, len(chunk), "exactly one value")
golden.refuse("element-0", chunk, [0], parameter, len(chunk), "elements of 0 bytes")
golden.refuse("too-small", chunk, [4], "H5Z_E_OUTPUT", len(chunk) - 1, "one byte less room")
golden.write()
