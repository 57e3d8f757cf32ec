"""numcodecs codecs for every installed filter: `h5z_zstd`, `h5z_bitshuffle` ... for zarr, kerchunk and VirtualiZarr.

    codec_class(32013)(mode='accuracy', tolerance=1e-3, dtype='<f4', shape=(64, 64))     the filter's words
    codec_class('bitshuffle')(cd_values=[0, 5, 4, 0, 2], size=65536)                     what an HDF5 file has stored

numcodecs finds them by the entry points of this package; nothing of HSDS is needed.
"""

import numpy
from numcodecs.abc import Codec
from numcodecs.compat import ensure_contiguous_ndarray, ndarray_copy

from .errors import H5zError
from .library import SIZE_UNKNOWN, dataset_of, view_of, words_of
from .plan import words_text
from .table import table

#: Most bytes that a chunk may claim to decode to where neither `size` nor `out` says how many.
CLAIM_MAX = 1 << 31


def codec_id(name):
    """The numcodecs ID of a filter's name."""
    return "h5z_" + name.replace("-", "_")


class FilterCodec(Codec):
    """A filter as a numcodecs codec; subclasses are made by `codec_class`.

    `cd_values`: stored cd_values of a file, used as they are. Otherwise the filter's words (`level=9`), from which they
    are derived for chunks of `dtype` and `shape` (elements), or, where those are not given, of the first array that is
    encoded. `size`: bytes of a decoded chunk, needed by filters whose chunks do not say. Raises H5zError.
    """

    filter_id = None

    def __init__(self, cd_values=None, dtype=None, shape=None, size=None, **words):
        self.cd_values = None if cd_values is None else [int(value) for value in cd_values]
        self.dtype = None if dtype is None else numpy.dtype(dtype).str
        self.shape = None if shape is None else [int(extent) for extent in shape]
        self.size = None if size is None else int(size)
        self.words = words
        words_of(self.cd_values or ())
        self._client = self._library().parse(words_text(words)) if words or cd_values is None else None

    def _library(self):
        return table().entry(self.filter_id).library()

    def _stored(self, array=None):
        if self.cd_values is not None:
            return self.cd_values
        if self.dtype is not None and self.shape is not None:
            dtype, shape = numpy.dtype(self.dtype), self.shape
        elif array is not None:
            dtype, shape = array.dtype, array.shape or (1,)
        else:
            dtype, shape = numpy.dtype(self.dtype or "u1"), self.shape or (1,)
        return self._library().derive(self._client, dataset_of(dtype, shape, shape))

    def encode(self, buf):
        """A chunk (array or buffer) to its encoded bytes."""
        array = buf if isinstance(buf, numpy.ndarray) else numpy.asarray(ensure_contiguous_ndarray(buf))
        return self._library().encode(self._stored(array), array).tobytes()

    def decode(self, buf, out=None):
        """Encoded bytes to a uint8 array, or into `out`."""
        library, stored, data = self._library(), self._stored(), view_of(ensure_contiguous_ndarray(buf))
        limit = self.size if out is None else ensure_contiguous_ndarray(out).nbytes
        if limit is None and self.dtype is not None and self.shape is not None:
            limit = int(numpy.prod(self.shape)) * numpy.dtype(self.dtype).itemsize
        if limit is None:
            limit = library.decoded_size(stored, data)
            if limit == SIZE_UNKNOWN or limit > CLAIM_MAX:
                raise H5zError("H5Z_E_PARAM", f"a chunk of filter {library.name} ({library.id}) does not say how large it is",
                               "give the codec `size`, or `dtype` and `shape`")
        return ndarray_copy(library.decode(stored, data, limit), out)

    def get_config(self):
        """What `numcodecs.get_codec` makes the codec of again."""
        given = {"cd_values": self.cd_values, "dtype": self.dtype, "shape": self.shape, "size": self.size}
        return {"id": self.codec_id, **self.words, **{key: value for key, value in given.items() if value is not None}}

    def describe(self):
        """The parameters as a parameter string, whichever way they were given."""
        return self._library().print(self._stored())


_classes = {}


def codec_class(key):
    """The codec class of an installed filter by HDF5 ID (aliases too) or name. Raises H5zError H5Z_MISSING_FILTER."""
    entry = table().entry(key)
    if entry.id not in _classes:
        name = codec_id(entry.name)
        _classes[entry.id] = type(name, (FilterCodec,), {"codec_id": name, "filter_id": entry.id, "__module__": __name__})
    return _classes[entry.id]


def __getattr__(name):
    """`h5z_zstd`, `h5z_32015` and the others, as the entry points name them."""
    if name.startswith("h5z_") and name[4:].isdigit():
        return codec_class(int(name[4:]))
    for entry in table().entries if name.startswith("h5z_") else ():
        if codec_id(entry.name) == name:
            return codec_class(entry.id)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
