"""The filters as the `hsds.filters` entry points give them: what HSDS would need of anybody's filter to need no hook.

An entry point's object has `id`, `name`, `aliases` and three functions on whole chunks: `derive`, `encode`, `decode`. The
hook in server.py could be replaced by HSDS looking these up; the design note in the README of @h5z/hsds says how.
"""

from .library import dataset_of
from .table import table


class HsdsFilter:
    """One filter for HSDS: HDF5 filter `id`, `aliases` (other IDs of the same bytes), `name`."""

    def __init__(self, entry):
        self._entry = entry
        self.id = entry.id
        self.aliases = entry.aliases
        self.name = entry.name

    def derive(self, client, dtype, chunk_shape, dims=()):
        """Client cd_values to the ones stored with a dataset of numpy `dtype` and `chunk_shape` (elements)."""
        return self._entry.library().derive(client, dataset_of(dtype, chunk_shape, dims))

    def encode(self, cd_values, data):
        """A chunk's bytes, encoded. Releases the interpreter's lock: call it in a thread."""
        return self._entry.library().encode(cd_values, data)

    def decode(self, cd_values, chunk, limit):
        """An encoded chunk to at most `limit` bytes. Releases the interpreter's lock: call it in a thread."""
        return self._entry.library().decode(cd_values, chunk, limit)


def __getattr__(name):
    for entry in () if name.startswith("_") else table().entries:
        if entry.name.replace("-", "_") == name:
            return HsdsFilter(entry)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
