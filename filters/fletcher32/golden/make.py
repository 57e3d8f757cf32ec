"""Makes the golden chunks of filter 3. Run: python filters/fletcher32/golden/make.py (h5py)."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
import numpy as np  # noqa: E402
from golden import LIBHDF5, Golden, counts, noise  # noqa: E402

golden = Golden(__file__)


def checked(dcpl):
    dcpl.set_fletcher32()


def made(name: str, data: bytes, dtype: str = "V1", note: str = "") -> bytes:
    return golden.library(name, np.frombuffer(data, dtype), checked, "H5Pset_fletcher32()", note)


# Lengths around words, vectors and the 720 bytes after which libhdf5 folds its sums.
for n in (1, 2, 3, 4, 15, 16, 17, 31, 32, 33, 63, 64, 65, 719, 720, 721, 1440):
    made(f"{n}", noise(n, n))
# ... and around the 5760 and 11520 bytes after which the vector kernels do.
for n in (5759, 5761, 11519, 11520, 11521, 11551):
    made(f"{n}", counts(n, 1, n))
made("shorts", counts(3000, 2), "<u2")
made("doubles", counts(400, 8), ">f8")
made("zeros", bytes(100), note="both sums 0")
made("ones", b"\xff" * 24000, note="the largest words: the sums must not overflow, and are 65535, one's complement's other 0")
made("ones-odd", b"\xff" * 12001)
made("zeros-then-one", bytes(6000) + b"\x01")
made("one-then-zeros", b"\x01" + bytes(6000))
made("sum1-zero", b"\x80\x00\x7f\xff" * 9, note="sum1 is 65535")

data = counts(75, 4)
chunk = made("good", data, "V4")
for name, content in (("old", chunk), ("old-odd", made("odd", noise(777)))):
    body, checksum = content[:-4], content[-4:]
    swapped = bytes([checksum[1], checksum[0], checksum[3], checksum[2]])
    golden.add(name, body + swapped, [], body, LIBHDF5, "H5Pset_fletcher32(); the bytes of both halves of the checksum exchanged",
               "as HDF5 1.6.2 and older wrote it on little-endian machines")
golden.add("values", chunk, [1, 2, 3], data, LIBHDF5, "H5Pset_fletcher32(); cd_values added", "values mean nothing here", 4)

corrupt, size = "H5Z_E_CORRUPT", len(data)
for n in range(4):
    golden.refuse(f"{n}-bytes", chunk[-n:] if n else b"", [], corrupt, size, "no room for a checksum")
golden.refuse("cut", chunk[:-1], [], corrupt, size, "the last byte is missing")
golden.refuse("behind", chunk + b"\0", [], corrupt, size + 1, "a byte too many")
golden.refuse("bit", bytes([chunk[0] ^ 1]) + chunk[1:], [], corrupt, size, "one bit of the data flipped")
golden.refuse("last-bit", chunk[:-5] + bytes([chunk[-5] ^ 0x80]) + chunk[-4:], [], corrupt, size, "one bit of the last byte flipped")
golden.refuse("swapped", chunk[2:4] + chunk[:2] + chunk[4:], [], corrupt, size, "two words exchanged: only sum2 notices")
golden.refuse("checksum", chunk[:-1] + bytes([chunk[-1] ^ 1]), [], corrupt, size, "one bit of the checksum flipped")
golden.refuse("big-endian", chunk[:-4] + chunk[-1:-5:-1], [], corrupt, size, "a big-endian checksum, which nobody wrote")
golden.refuse("too-small", chunk, [], "H5Z_E_OUTPUT", size - 1, "a good chunk, one byte less room")
golden.write()
