"""One filter library by ctypes: the functions of h5z_filter_v1() (packages/abi/include/h5z/filter.h) on buffers.

Every call releases the interpreter's lock while the filter works, so threads decode side by side. Nothing here knows of
files, pipelines or HSDS: `table.py` finds libraries and checks them, `pipeline.py` puts them in order.
"""

import ctypes

import numpy

from .errors import FILTER_ERRORS, H5zError

ABI_VERSION = 1
CD_MAX = 4096
MAX_RANK = 32
SIZE_UNKNOWN = (1 << 63) - 1
PARAMETERS_MAX = 4096
WHY_MAX = 512
EXPLAIN_MAX = 200

CAN_ENCODE, CAN_DECODE, LOSSY, ONLY_OPTIONAL = 1, 2, 4, 8
INTEGER, FLOAT, TIME, STRING, BITFIELD, OPAQUE, COMPOUND, REFERENCE, ENUM, VLEN, ARRAY = range(11)

_words = ctypes.POINTER(ctypes.c_uint32)
_size = ctypes.c_size_t
_bytes = ctypes.c_void_p
_count = ctypes.c_int64


class Dataset(ctypes.Structure):
    """h5z_dataset: what `derive` may know of the dataset being created. Build one by `dataset_of`."""

    _fields_ = [
        (name, ctypes.c_uint32)
        for name in ("struct_size", "type_class", "type_size", "base_class", "base_size", "is_signed", "big_endian",
                     "precision", "bit_offset", "rank")
    ] + [
        ("chunk_dims", ctypes.c_uint64 * MAX_RANK),
        ("dims", ctypes.c_uint64 * MAX_RANK),
        ("fill_defined", ctypes.c_uint32),
        ("fill_size", ctypes.c_uint32),
        ("fill", ctypes.c_uint8 * 64),
    ]


_derive = ctypes.CFUNCTYPE(_count, _words, _size, ctypes.POINTER(Dataset), _words, _size)
_bound = ctypes.CFUNCTYPE(_count, _words, _size, _size)
_decoded_size = ctypes.CFUNCTYPE(_count, _words, _size, _bytes, _size)
_code = ctypes.CFUNCTYPE(_count, _words, _size, _bytes, _size, _bytes, _size)
_restore = ctypes.CFUNCTYPE(_count, _words, _size, _words, _size)
_explain = ctypes.CFUNCTYPE(_count, _words, _size, _bytes, _size, ctypes.c_char_p, _size)
_parse = ctypes.CFUNCTYPE(_count, ctypes.c_char_p, _size, _words, _size, ctypes.c_char_p, _size)
_print = ctypes.CFUNCTYPE(_count, _words, _size, ctypes.c_int, ctypes.c_char_p, _size)


class _Table(ctypes.Structure):
    """h5z_filter of ABI 1; later members that an older library lacks are told by struct_size."""

    _fields_ = [
        ("abi_version", ctypes.c_uint32),
        ("struct_size", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("title", ctypes.c_char_p),
        ("version", ctypes.c_char_p),
        ("derive", _derive),
        ("encode_bound", _bound),
        ("decoded_size", _decoded_size),
        ("encode", _code),
        ("decode", _code),
        ("restore", _restore),
        ("explain", _explain),
        ("parse_parameters", _parse),
        ("print_parameters", _print),
    ]


def words_of(values):
    """cd_values as a ctypes array (None for none). Raises H5Z_E_PARAM where they are no uint32s or more than 4096."""
    values = list(values)
    if len(values) > CD_MAX or not all(isinstance(v, (int, numpy.integer)) and 0 <= v <= 0xFFFFFFFF for v in values):
        raise H5zError("H5Z_E_PARAM", f"filter parameters {str(values)[:80]} are no list of at most {CD_MAX} uint32s",
                       "pass the cd_values as unsigned integers")
    return (ctypes.c_uint32 * len(values))(*values) if values else None


def view_of(data):
    """Any contiguous buffer as a flat array of bytes, without a copy where that can be."""
    if isinstance(data, numpy.ndarray):
        return numpy.ascontiguousarray(data).reshape(-1).view(numpy.uint8)
    return numpy.frombuffer(data, dtype=numpy.uint8)


def dataset_of(dtype, chunk_dims, dims=(), fill=None, type_class=None):
    """The Dataset of a numpy dtype (item size in bytes, either byte order) and a chunk shape in elements.

    `dims`: current shape, 0 or nothing where unknown. `fill`: the fill value's bytes in stored order, or None.
    `type_class` overrides what the dtype says (enumerations have the dtype of their integers).
    """
    if len(chunk_dims) > MAX_RANK:
        raise H5zError("H5Z_E_PARAM", f"chunks of rank {len(chunk_dims)}", f"HDF5 has at most {MAX_RANK} dimensions")
    base = dtype.base
    cls = _class_of(base)
    info = Dataset(struct_size=ctypes.sizeof(Dataset), type_size=dtype.itemsize, base_class=cls, base_size=base.itemsize)
    info.type_class = ARRAY if dtype.subdtype is not None else cls if type_class is None else type_class
    info.is_signed = 1 if base.kind == "i" else 0
    info.big_endian = 1 if base.byteorder == ">" or (base.byteorder == "=" and not _LITTLE) else 0
    info.precision = base.itemsize * 8 if base.kind in "iufb" else 0
    info.rank = len(chunk_dims)
    for i, extent in enumerate(chunk_dims):
        info.chunk_dims[i] = int(extent)
    for i, extent in enumerate(list(dims)[: len(chunk_dims)]):
        info.dims[i] = int(extent)
    if fill is not None and len(fill) <= 64:
        info.fill_defined, info.fill_size = 1, len(fill)
        info.fill[: len(fill)] = list(fill)
    return info


_LITTLE = numpy.little_endian if hasattr(numpy, "little_endian") else numpy.dtype("<i2").isnative


def _class_of(base):
    if base.metadata and "enum" in base.metadata:
        return ENUM
    if base.kind == "V":
        return COMPOUND if base.names else OPAQUE
    return {"i": INTEGER, "u": INTEGER, "f": FLOAT, "b": ENUM, "S": STRING, "O": VLEN}.get(base.kind, OPAQUE)


class Library:
    """A filter: `id`, `name`, `title`, `version`, `flags`, and its functions. Stays loaded as long as the process.

    `path`: the shared library. Raises H5zError H5Z_NATIVE_LOAD (the loader's own words inside: another architecture, a
    missing symbol) or H5Z_ABI. Safe to use from many threads.
    """

    def __init__(self, path):
        try:
            handle = ctypes.CDLL(path)
            entry = handle.h5z_filter_v1
        except (OSError, AttributeError) as error:
            raise H5zError("H5Z_NATIVE_LOAD", f"{path} does not load on this machine: {error}",
                           "install the filters again on the machine that runs HSDS") from error
        entry.restype = ctypes.POINTER(_Table)
        entry.argtypes = []
        table = entry().contents
        if table.abi_version != ABI_VERSION:
            raise H5zError("H5Z_ABI", f"{path} has ABI version {table.abi_version}, this h5z_hsds reads {ABI_VERSION}",
                           "install h5z_hsds and the filters of one release")
        self.path = path
        self._handle = handle
        self._table = table
        self.id = table.id
        self.flags = table.flags
        self.name = table.name.decode()
        self.title = table.title.decode()
        self.version = table.version.decode()

    def __repr__(self):
        return f"<h5z filter {self.name} ({self.id}) {self.version}>"

    def _member(self, name):
        """A function of the table, or None where this library has none."""
        if getattr(_Table, name).offset + ctypes.sizeof(ctypes.c_void_p) > self._table.struct_size:
            return None
        function = getattr(self._table, name)
        return function if ctypes.cast(function, ctypes.c_void_p).value else None

    def _fail(self, number, doing, cd=None, data=None):
        explanation = ""
        explain = self._member("explain") if number in (-4, -5) and data is not None else None
        if explain is not None:
            text = ctypes.create_string_buffer(EXPLAIN_MAX)
            length = explain(cd, 0 if cd is None else len(cd), data.ctypes.data, data.size, text, EXPLAIN_MAX)
            explanation = text.raw[: max(0, length)].decode("ascii", "replace")
        raise H5zError.of_filter(number, f"filter {self.name} ({self.id}), {doing}", explanation)

    def encode_bound(self, cd_values, size):
        """Most bytes that `encode` makes of `size` bytes. Raises H5zError where the filter cannot say."""
        cd = words_of(cd_values)
        bound = self._table.encode_bound(cd, 0 if cd is None else len(cd), size)
        if bound < 0:
            self._fail(bound, "bound")
        return bound

    def decoded_size(self, cd_values, chunk):
        """Bytes that the chunk claims to decode to, or SIZE_UNKNOWN. Raises H5zError."""
        cd = words_of(cd_values)
        data = view_of(chunk)
        size = self._table.decoded_size(cd, 0 if cd is None else len(cd), data.ctypes.data, data.size)
        if size < 0:
            self._fail(size, "decoding", cd, data)
        return size

    def decode(self, cd_values, chunk, limit):
        """Decodes `chunk` (any buffer) by stored cd_values into a new uint8 array of at most `limit` bytes."""
        data = view_of(chunk)
        size = self.decoded_size(cd_values, data)
        if size != SIZE_UNKNOWN and size > limit:
            raise H5zError("H5Z_E_CORRUPT", f"filter {self.name} ({self.id}), decoding: the chunk claims {size} bytes, but "
                           f"its dataset has room for {limit}", FILTER_ERRORS[-2][2])
        out = numpy.empty(limit if size == SIZE_UNKNOWN else size, dtype=numpy.uint8)
        return self._run(self._table.decode, "decoding", words_of(cd_values), data, out)

    def encode(self, cd_values, data):
        """Encodes `data` (any buffer) by stored cd_values into a new uint8 array."""
        if not self.flags & CAN_ENCODE:
            raise H5zError("H5Z_READ_ONLY", f"filter {self.name} ({self.id}) only decodes", "choose another filter to write")
        out = numpy.empty(max(1, self.encode_bound(cd_values, view_of(data).size)), dtype=numpy.uint8)
        return self._run(self._table.encode, "encoding", words_of(cd_values), view_of(data), out)

    def _run(self, function, doing, cd, data, out):
        written = function(cd, 0 if cd is None else len(cd), data.ctypes.data, data.size, out.ctypes.data, out.size)
        if written < 0:
            self._fail(written, doing, cd, data)
        return out[:written]

    def derive(self, client, dataset):
        """Client cd_values and a Dataset to the stored cd_values, as a list. Raises H5zError for what cannot be encoded."""
        derive = self._member("derive")
        if derive is None:
            return list(client)
        cd = words_of(client)
        stored = (ctypes.c_uint32 * CD_MAX)()
        count = derive(cd, 0 if cd is None else len(cd), ctypes.byref(dataset), stored, CD_MAX)
        if count < 0:
            self._fail(count, f"creating a dataset with parameters {list(client)}")
        return list(stored[:count])

    def parse(self, text):
        """A parameter string (`level = 9, codec = "zstd"`) to client cd_values. Raises H5Z_E_PARAM with what is wrong."""
        parse = self._member("parse_parameters")
        if parse is None:
            raise H5zError("H5Z_E_PARAM", f"this build of {self.name} reads no parameter strings", "pass cd_values")
        raw = text.encode()
        client = (ctypes.c_uint32 * CD_MAX)()
        why = ctypes.create_string_buffer(WHY_MAX)
        count = parse(raw, len(raw), client, CD_MAX, why, WHY_MAX)
        if count < 0:
            reason = why.value.decode(errors="replace") or f"error {count}"
            raise H5zError("H5Z_E_PARAM", f"filter {self.name} ({self.id}): {reason}", "correct the parameter")
        return list(client[:count])

    def print(self, cd_values, stored=True):
        """cd_values (of a file, or client values) as a parameter string with every parameter that applies."""
        write = self._member("print_parameters")
        if write is None:
            return ""
        cd = words_of(cd_values)
        text = ctypes.create_string_buffer(PARAMETERS_MAX)
        count = write(cd, 0 if cd is None else len(cd), 1 if stored else 0, text, PARAMETERS_MAX)
        if count < 0:
            self._fail(count, f"reading the parameters {list(cd_values)[:40]}")
        return text.raw[:count].decode()

    def adapt(self, stored, dataset):
        """Stored cd_values of a file to those of a dataset with other chunks: the same words, derived anew."""
        return self.derive(self.parse(self.print(stored)), dataset)

