"""The filters as the `hsds.filters` entry points give them: what HSDS would need of anybody's filter to need no hook.

An entry point's object has `id`, `aliases`, `name` and four functions on whole chunks: `derive`, `bound`, `encode`, `decode`.
The hook in server.py falls away the day HSDS looks these up: docs/decisions/hsds.md says where, and has the code that would.
"""

from .library import dataset_of
from .pipeline import bound_of
from .table import table


class HsdsFilter:
    """One filter for HSDS: HDF5 filter `id`, `aliases` (other IDs of the same bytes), `name`.

    Its functions hold no state, may be called from many threads, and raise H5zError, whose str() is one sentence for people.
    """

    def __init__(self, entry):
        self._entry = entry
        self.id = entry.id
        self.aliases = entry.aliases
        self.name = entry.name

    def derive(self, client, dtype, chunk_shape, dims=()):
        """Client cd_values (None: the defaults) to the ones stored with a dataset of numpy `dtype`, chunks of `chunk_shape`."""
        library = self._entry.library()
        return library.derive(library.parse("") if client is None else client, dataset_of(dtype, chunk_shape, dims))

    def bound(self, cd_values, size):
        """Most bytes that anybody's encoder of this filter makes of `size` bytes: the limit for the stage after it."""
        return bound_of(self._entry.library(), cd_values, size)

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
