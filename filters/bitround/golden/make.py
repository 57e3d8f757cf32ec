"""Makes the golden chunks of filter 32032. Run: python filters/bitround/golden/make.py (needs: tests/golden/quantized.py)."""

import pathlib
import sys

import numcodecs.bitround
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden  # noqa: E402
from quantized import NUMCODECS, add, finish, numbers, stored  # noqa: E402

golden = Golden(__file__)
for dtype, most in (("<f4", 22), ("<f8", 51)):
    values = numbers(dtype)
    # Halves, which go to even.
    values[[50, 51]] = 1 + 3 / 1024, 1 + 5 / 1024
    for bits in (1, 9, most, 23 if most == 22 else 52):
        chunk = bytes(np.asarray(numcodecs.bitround.BitRound(keepbits=bits).encode(values.copy())).view(np.uint8))
        add(golden, f"{dtype[1:]}-{bits}", chunk, stored(bits, values), values, 2.0 ** -(bits + 1), NUMCODECS, f"BitRound(keepbits={bits}).encode")
finish(golden, 9)
