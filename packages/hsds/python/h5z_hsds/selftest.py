"""Whether the installed filters work here: hash, load, ABI, and a round trip of a small chunk. HSDS does it at every start."""

import numpy

from .errors import H5zError
from .library import CAN_ENCODE, LOSSY, dataset_of

#: Chunks tried until one is what a filter encodes: bytes, integers, floats; one to three dimensions.
_SAMPLES = (("<i4", (32, 32)), ("<f4", (32, 32)), ("<u2", (64, 64)), ("<i2", (1024,)), ("|u1", (64, 64)), ("|u1", (3, 32, 32)),
            ("<f4", (16, 16, 16)), ("<f8", (16, 16, 16)))


def check(entry):
    """`executed` after a round trip, `loaded` where no sample suits the filter. Raises H5zError."""
    library = entry.library()
    if not library.flags & CAN_ENCODE:
        return "loaded"
    for code, shape in _SAMPLES:
        dtype = numpy.dtype(code)
        data = (numpy.arange(int(numpy.prod(shape))) // 5 % 97).astype(dtype).reshape(shape)
        try:
            stored = library.derive(library.parse(""), dataset_of(dtype, shape, shape))
            encoded = library.encode(stored, data)
        except H5zError as error:
            if error.code in ("H5Z_E_NOT_APPLICABLE", "H5Z_E_PARAM"):
                continue
            raise
        decoded = library.decode(stored, encoded, data.nbytes)
        exact = decoded.size == data.nbytes and (library.flags & LOSSY or decoded.tobytes() == data.tobytes())
        if not exact:
            raise H5zError("H5Z_SELF_TEST", f"filter {library.name} ({library.id}) does not give back what it encoded",
                           "install the filters again, and report it if that does not help")
        return "executed"
    return "loaded"


def check_all(table):
    """[(Entry, `executed` or `loaded` or the H5zError)] of every installed filter."""
    results = []
    for entry in table.entries:
        try:
            results.append((entry, check(entry)))
        except H5zError as error:
            results.append((entry, error))
    return results
