"""Makes the golden chunks of filter 32022. Run: python filters/bitgroom/golden/make.py (needs: tests/golden/quantized.py)."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden  # noqa: E402
from quantized import NETCDF, add, finish, from_corpus, netcdf, numbers, stored  # noqa: E402

golden = Golden(__file__)
for dtype, most in (("<f4", 6), ("<f8", 15)):
    values = numbers(dtype)
    for digits in (1, 2, 3, 6, most) if most > 6 else (1, 2, 3, 6):
        call = f"createVariable('{dtype}', quantize_mode='BitGroom', significant_digits={digits})"
        chunk = netcdf("BitGroom", digits, values)
        add(golden, f"{dtype[1:]}-{digits}", chunk, stored(digits, values), values, 0.5 * 10.0 ** (1 - digits), NETCDF, call)
    fill = float(values[20])
    chunk = netcdf("BitGroom", 3, values, fill)
    add(golden, f"{dtype[1:]}-fill", chunk, stored(3, values, fill), values, 1, NETCDF, f"the same with digits 3 and fill_value {fill}")
from_corpus(golden, ["32022_bitgroom/hdfgroup__h5ex_d_bitgroom.h5"])
finish(golden, 3)
