"""From the filters in a dataset's creation properties (hdf5-json) to pipelines: what the hooks of server and client share.

A filter is an object of hdf5-json: `class`, `id`, `name`, and beside them `parameters` (cd_values), hdf5-json's own options
of HDF5's filters (`level`, `scaleType`, `coding` ...) or the filter's words (`"mode": "accuracy", "tolerance": 0.01`).
"""

import struct

from .errors import H5zError
from .library import LOSSY, words_of
from .pipeline import Pipeline, Stage

#: Keys of a filter object that are no words of the filter.
_OURS = ("class", "id", "name", "parameters", "flags", "h5zMasks")
_IDS = {"H5Z_FILTER_DEFLATE": 1, "H5Z_FILTER_SHUFFLE": 2, "H5Z_FILTER_FLETCHER32": 3, "H5Z_FILTER_SZIP": 4,
        "H5Z_FILTER_NBIT": 5, "H5Z_FILTER_SCALEOFFSET": 6}
_SCALE_TYPES = {"H5Z_SO_FLOAT_DSCALE": 0, "H5Z_SO_FLOAT_ESCALE": 1, "H5Z_SO_INT": 2}
_SZIP_CODING = {"H5_SZIP_EC_OPTION_MASK": 4, "H5_SZIP_NN_OPTION_MASK": 32}

# A chunk that HSDS stores is what HDF5 would store, unless a stage was skipped: then this comes first, with the mask.
_MAGIC = b"\x89h5z-mask\r\n\x01"
_HEADER = struct.Struct("<12sI")


def id_of(item):
    """HDF5's filter ID of a filter object. Raises H5zError H5Z_E_PARAM where it names none."""
    found = item.get("id", _IDS.get(item.get("class")))
    if isinstance(found, bool) or not isinstance(found, int):
        raise H5zError("H5Z_E_PARAM", f"the filter {str(item)[:200]} has no id", "name its HDF5 filter ID")
    return found


def has_parameters(item):
    """Whether a filter object says how it was set: by cd_values, options or words."""
    return "parameters" in item or any(key not in _OURS for key in item)


def client_values(item, library):
    """The client cd_values that a filter object stands for; [] where it says nothing. Raises H5zError H5Z_E_PARAM."""
    if "parameters" in item:
        values = item["parameters"]
        values = values if isinstance(values, list) else [values]
        words_of(values)
        return values
    words = {key: value for key, value in item.items() if key not in _OURS}
    if item.get("class") == "H5Z_FILTER_SCALEOFFSET" and ("scaleType" in words or "scaleOffset" in words):
        kind = words.get("scaleType", "H5Z_SO_INT")
        if kind not in _SCALE_TYPES:
            raise H5zError("H5Z_E_PARAM", f"scaleType {kind!r} is unknown", "use one of " + ", ".join(_SCALE_TYPES))
        return [_SCALE_TYPES[kind], int(words.get("scaleOffset", 0)) & 0xFFFFFFFF]
    if item.get("class") == "H5Z_FILTER_SZIP" and "coding" in words:
        return [_SZIP_CODING.get(words["coding"], 4), int(words.get("pixelsPerBlock", words.get("bitsPerPixel", 16)))]
    return library.parse(words_text(words)) if words else []


def words_text(words):
    """{ 'level': 9, 'codec': 'zstd' } as a parameter string. Raises H5zError H5Z_E_PARAM for a value that has no place."""
    return ", ".join(f"{key} = {_word(key, value)}" for key, value in words.items())


def _word(key, value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    raise H5zError("H5Z_E_PARAM", f"parameter {key} is {str(value)[:80]}", "pass a number, a string or true or false")


def derived(items, table, dataset):
    """Filter objects of a dataset to be created, each with the stored cd_values as `parameters`. Raises H5zError."""
    out = []
    for item in items:
        entry = table.entry(id_of(item))
        library = entry.library()
        client = client_values(item, library) if has_parameters(item) else library.parse("")
        stored = library.derive(client, dataset)
        kept = {key: item[key] for key in ("class", "name", "flags") if key in item}
        out.append({**kept, "id": id_of(item), "name": item.get("name", entry.name), "parameters": stored})
    return out


def written_pipeline(items, table):
    """The Pipeline of filter objects that `derived` made. Raises H5zError for a filter that is not installed."""
    return Pipeline([Stage(table.entry(id_of(item)), item.get("parameters", []), item.get("flags", 0)) for item in items])


def linked_pipeline(items, table, dataset):
    """The Pipeline of a file's chunks. `dataset()` makes the Dataset for filters whose parameters nobody carried over.

    Raises H5zError for a filter that is not installed, and for a lossy one without parameters: guessing would give numbers
    that look right.
    """
    stages = []
    for item in items:
        entry = table.entry(id_of(item))
        library = entry.library()
        if "parameters" in item:
            stored = client_values(item, library)
        elif not has_parameters(item) and library.flags & LOSSY:
            raise H5zError("H5Z_E_PARAM", f"the dataset says nothing of the parameters of filter {entry.name} ({entry.id})",
                           "link the file again by hsload with H5Z_HSDS=1, which carries them")
        else:
            stored = library.derive(client_values(item, library), dataset())
        stages.append(Stage(entry, stored, item.get("flags", 0)))
    return Pipeline(stages)


def masks_of(items):
    """{ byte offset in the linked file: filter mask } of the chunks that skipped a stage, as the loader wrote them."""
    masks = {}
    for item in items:
        for offset, mask in item.get("h5zMasks", ()):
            masks[int(offset)] = int(mask)
    return masks


def pack(data, mask):
    """Encoded bytes and filter mask as HSDS stores them."""
    if mask == 0 and bytes(data[: len(_MAGIC)]) != _MAGIC:
        return bytes(data)
    return _HEADER.pack(_MAGIC, mask) + bytes(data)


def unpack(data):
    """What HSDS stored, as (encoded bytes, filter mask)."""
    if len(data) >= _HEADER.size and bytes(data[: len(_MAGIC)]) == _MAGIC:
        return memoryview(data)[_HEADER.size:], _HEADER.unpack_from(data)[1]
    return data, 0
