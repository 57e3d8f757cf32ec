"""What H5Z_HSDS=1 changes in h5pyd: datasets with any filter can be created, and hsload and hsget carry filters over.

    _hl.filters, _hl.dataset    create_dataset(..., compression=32013, compression_opts=(...)), or hdf5plugin's objects; and
                                compression_opts of such a dataset, which hsls prints
    _apps.utillib               hsload links and copies, hsget writes and hscopy copies the whole pipeline with its parameters
"""

import contextlib
import contextvars
import functools
import logging
import math
import os

from . import plan as plans
from .errors import H5zError
from .pipeline import OPTIONAL
from .table import table

_pipeline = contextvars.ContextVar("h5z_pipeline", default=None)
#: The file's chunks that one of HSDS's may hold: a place takes about 25 characters of a URL of at most 8190.
_MOST_TOGETHER = 256
_CLASSES = {number: name for name, number in plans._IDS.items()}

#: What HSDS calls what it compresses itself (in Blosc1 containers), with HDF5's IDs.
_HSDS_NAMES = {"gzip": 1, "deflate": 1, "zlib": 1, "shuffle": 2, "fletcher32": 3, "blosclz": 32001, "lz4": 32004,
               "lz4hc": 32004, "zstd": 32015}
#: Filters whose data HSDS stores in its own way when it is copied, with its names for them.
_HSDS_OWN = {1: "gzip", 2: "shuffle", 3: "fletcher32", 5: "nbit", 6: "scaleoffset", 32001: "blosclz", 32004: "lz4",
             32015: "zstd"}


def change_filters(m):
    """generate_dcpl of h5pyd._hl.filters."""
    stock = m.generate_dcpl

    @functools.wraps(stock)
    def generate_dcpl(*args, **kwargs):
        properties = stock(*args, **kwargs)
        items = _pipeline.get()
        if items is not None:
            properties["filters"] = [dict(item) for item in items]
        return properties

    m.generate_dcpl = generate_dcpl


def change_dataset(m):
    """h5pyd._hl.dataset: make_new_dset takes one argument more, `h5z_filters`, and any filter ID as `compression`;
    Dataset.compression_opts are the stored cd_values where h5pyd itself knows none, as a tuple."""
    stock, stock_opts = m.make_new_dset, m.Dataset.compression_opts

    @property
    def compression_opts(self):
        options, name = stock_opts.fget(self), self.compression
        if options is None and name is not None:
            for item in self._filters:
                if isinstance(item, dict) and item.get("name") == name and item.get("parameters"):
                    return item["parameters"][0] if item.get("id") == 1 else tuple(item["parameters"])
        return options

    m.Dataset.compression_opts = compression_opts

    @functools.wraps(stock)
    def make_new_dset(parent, *args, compression=None, compression_opts=None, shuffle=None, h5z_filters=None, **kwargs):
        number = getattr(compression, "filter_id", compression)  # hdf5plugin's objects
        if h5z_filters is None and isinstance(number, int) and not isinstance(number, bool) and number > 9:
            options = getattr(compression, "filter_options", compression_opts)
            item = {"class": "H5Z_FILTER_USER", "id": number}
            if isinstance(options, dict):
                item.update(options)
            elif options is not None:
                item["parameters"] = [int(value) for value in (options if isinstance(options, (list, tuple)) else [options])]
            h5z_filters = [*([{"class": "H5Z_FILTER_SHUFFLE", "id": 2}] if shuffle else []), item]
        if h5z_filters is None:
            return stock(parent, *args, compression=compression, compression_opts=compression_opts, shuffle=shuffle,
                         **kwargs)
        token = _pipeline.set(h5z_filters)
        try:
            return stock(parent, *args, **kwargs)
        finally:
            _pipeline.reset(token)

    m.make_new_dset = make_new_dset


def change_utillib(m):
    """create_dataset of h5pyd._apps.utillib, which hsload and hsget work by, and the plugins that h5py finds."""
    import h5py

    try:
        entries = table().entries
    except H5zError as error:
        logging.warning("h5z_hsds: %s", error)
        return
    for entry in entries:
        h5py.h5pl.prepend(os.path.dirname(entry.path).encode())
        for number in (entry.id, *entry.aliases):
            if number >= 256:
                m.H5Z_FILTER_MAP.setdefault(number, entry.name)
    stock = m.create_dataset

    @functools.wraps(stock)
    def create_dataset(dobj, ctx):
        target = None
        if not ctx["ignorefilters"] and dobj.shape and not m.is_vlen(dobj.dtype):
            if not m.is_h5py(dobj) and m.is_h5py(ctx["fout"]):
                target = _to_file(dobj, ctx)
            elif m.is_h5py(dobj) and not m.is_h5py(ctx["fout"]):
                target = _to_server(m, dobj, ctx)
            elif not m.is_h5py(dobj):
                target = _between(dobj, ctx)
        if target is None:
            return stock(dobj, ctx)
        return stock(dobj, {**ctx, "fout": target})

    m.create_dataset = create_dataset


class _Target:
    """The file or domain that a dataset is created in, with the filters of that one dataset put right."""

    def __init__(self, fout, name, create):
        self._fout, self._name, self._create = fout, name, create

    def __getattr__(self, name):
        return getattr(self._fout, name)

    def __getitem__(self, key):
        return self._fout[key]

    def __contains__(self, key):
        return key in self._fout

    def create_dataset(self, name, **kwargs):
        if name != self._name:
            return self._fout.create_dataset(name, **kwargs)
        for key in ("compression", "compression_opts", "shuffle", "fletcher32", "scaleoffset"):
            kwargs.pop(key, None)
        return self._create(name, kwargs)


# ------------------------------------------------------------------------------------------------------ file to server


def _to_server(m, dobj, ctx):
    stages = _stages_of(dobj)
    if not stages:
        return None
    fout = ctx["fout"]
    linked = ctx["dataload"] in ("link", "fastlink") and not m.is_compact(dobj) \
        and dobj.size > m.MIN_DSET_ELEMENTS_FOR_LINKING
    if linked:
        items = [_item(number, {"parameters": values, "flags": flags}) for number, flags, values in stages]
        masks = _masks_of(dobj)
        if masks:
            items[0]["h5zMasks"] = masks
        return _Target(fout, dobj.name, lambda name, kwargs: fout.create_dataset(
            name, h5z_filters=items, **{**kwargs, "chunks": _few_together(kwargs.get("chunks"))}))
    if all(number in _HSDS_OWN for number, _, _ in stages):
        packed = any(number == 1 or number >= 256 for number, _, _ in stages)
        # HSDS takes scaleoffset for a compressor, does nothing for it, and undoes shuffle that it did not do.
        unsafe = 6 if packed else 2
        items = [_own_item(number, flags, values) for number, flags, values in stages if number != unsafe]
        return _Target(fout, dobj.name, lambda name, kwargs: fout.create_dataset(name, h5z_filters=items, **kwargs))
    items = [_item(number, {"parameters": _client(number, values), "flags": flags}) for number, flags, values in stages]

    def create(name, kwargs):
        try:
            return fout.create_dataset(name, h5z_filters=items, **kwargs)
        except OSError as error:
            if "H5Z_E_NOT_APPLICABLE" not in str(error):
                raise
            logging.warning("h5z_hsds: %s is copied without its filters: %s", name, error)
            return fout.create_dataset(name, **kwargs)

    return _Target(fout, dobj.name, create)


def _few_together(chunks):
    """The layout of a linked dataset with fewer of the file's chunks in one of HSDS's: their places travel in a URL."""
    if not isinstance(chunks, dict) or "hyper_dims" not in chunks:
        return chunks
    factors = [dim // hyper for dim, hyper in zip(chunks["dims"], chunks["hyper_dims"])]
    while math.prod(factors) > _MOST_TOGETHER:
        largest = factors.index(max(factors))
        factors[largest] = (factors[largest] + 1) // 2
    return {**chunks, "dims": [hyper * factor for hyper, factor in zip(chunks["hyper_dims"], factors)]}


def _own_item(number, flags, values):
    """A filter under HSDS's own name, by which it stores chunks in its own way; the file's cd_values stay beside it."""
    level = {"level": values[0]} if number == 1 and values else {}
    return _item(number, {"name": _HSDS_OWN[number], "parameters": values, "flags": flags, **level})


def _item(number, more):
    return {"class": _CLASSES.get(number, "H5Z_FILTER_USER"), "id": number, **more}


def _stages_of(dobj):
    """[(filter ID, flags, stored cd_values)] of an h5py dataset."""
    properties = dobj.id.get_create_plist()
    stages = []
    for index in range(properties.get_nfilters()):
        number, flags, values, _name = properties.get_filter(index)
        stages.append((int(number), int(flags), [int(value) & 0xFFFFFFFF for value in values]))
    return stages


def _masks_of(dobj):
    """[[byte offset, filter mask]] of the chunks of an h5py dataset that skipped a filter."""
    masks = []

    def note(info):
        if info.filter_mask:
            masks.append([int(info.byte_offset), int(info.filter_mask)])

    if hasattr(dobj.id, "chunk_iter"):
        with contextlib.suppress(TypeError):  # no chunked storage
            dobj.id.chunk_iter(note)
    else:
        for index in range(dobj.id.get_num_chunks()):
            note(dobj.id.get_chunk_info(index))
    return masks


def _client(number, stored):
    """The client cd_values that mean the same as a file's, where the filter is installed here; else the file's."""
    try:
        library = table().entry(number).library()
        return library.parse(library.print(stored))
    except H5zError:
        return stored


# ---------------------------------------------------------------------------------------------------- server to server


def _between(dobj, ctx):
    if not any("parameters" in item for item in dobj._filters):
        return None
    own = all(item.get("name") in _HSDS_OWN.values() for item in dobj._filters)
    items = []
    for item in dobj._filters:
        more = {key: value for key, value in item.items() if key != "h5zMasks"}
        if "parameters" in more and not own:
            more["parameters"] = _client(item["id"], item["parameters"])
        items.append(more)
    fout = ctx["fout"]
    return _Target(fout, dobj.name, lambda name, kwargs: fout.create_dataset(name, h5z_filters=items, **kwargs))


# ------------------------------------------------------------------------------------------------------ server to file


def _to_file(dobj, ctx):
    stages = []
    for item in dobj._filters:
        name = item.get("name")
        number = _HSDS_NAMES.get(name, item.get("id"))
        if name in ("nbit", "scaleoffset") and "parameters" not in item:
            continue  # HSDS accepts them and does nothing
        stages.append((number, item))
    if all(number in (1, 2) and "parameters" not in item and item.get("name") != "deflate" for number, item in stages):
        return None  # h5pyd knows how
    import h5py

    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    for number, item in stages:
        try:
            values = _client(number, item["parameters"]) if "parameters" in item else _words(number, item)
            properties.set_filter(number, item.get("flags", 0 if number == 3 else OPTIONAL), tuple(values))  # as HDF5 and h5py do
        except (H5zError, ValueError, TypeError) as error:
            logging.warning("h5z_hsds: %s is written without filter %s: %s", dobj.name, number, error)
    fout = ctx["fout"]
    return _Target(fout, dobj.name, lambda name, kwargs: fout.create_dataset(
        name, dcpl=properties, **{**kwargs, "chunks": _chunks_of(dobj)}))


def _chunks_of(dobj):
    """The chunk shape for a dataset of HSDS in a file: that of the linked file, or HSDS's own where that fits."""
    layout = dobj.id.dcpl_json.get("layout") or {}
    dims = layout.get("hyper_dims") or layout.get("dims") or dobj.chunks
    return tuple(min(dim, most or dim) for dim, most in zip(dims, dobj.maxshape)) if dims else True


def _words(number, item):
    """Client cd_values of a filter that HSDS wrote in its own way; a level that the filter does not know is left out."""
    library = table().entry(number).library()
    try:
        return plans.client_values(item, library)
    except H5zError:
        return library.parse("")
