"""What h5py and hdf5plugin decode: the independent answer that the stand-alone demo compares ours with.

usage: reference.py [--export FOLDER MINIMUM MAXIMUM] FILE...
Prints a JSON array in corpus.json's shape: [{"file", "datasets": [{"path", "dtype", "shape", "filters": [{"id", "name",
"flags", "cd_values"}], "nbytes", "sha256"} or {..., "why_not"}]}], datasets with filters only. The digest is over the whole
dataset's values as little-endian, C-order bytes, compounds packed. With --export, values of MINIMUM to MAXIMUM bytes also go
to FOLDER as raw arrays with an index.json, for the benchmarks.
"""

import hashlib
import json
import os
import sys

import h5py
import hdf5plugin  # noqa: F401  (registers its filters with h5py's libhdf5)
import numpy as np


def canonical(dtype):
    """The same type, little-endian and without padding."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return np.dtype((canonical(base), shape))
    if dtype.fields is not None:
        return np.dtype([(name, canonical(dtype[name])) for name in dtype.names])
    return dtype.newbyteorder("<")


def pipeline(dataset):
    """The dataset's filters as HDF5 reports them."""
    plist = dataset.id.get_create_plist()
    found = []
    for index in range(plist.get_nfilters()):
        code, flags, values, name = plist.get_filter(index)
        found.append({"id": code, "name": name.decode("latin-1"), "flags": flags, "cd_values": [int(v) for v in values]})
    return found


def describe(dataset, filters):
    entry = {"path": dataset.name.lstrip("/"), "shape": list(dataset.shape), "filters": filters}
    try:
        entry["dtype"] = str(dataset.dtype)
        if dataset.dtype.hasobject:
            return {**entry, "why_not": "variable-length data or references"}, None
        values = np.ascontiguousarray(dataset[()]).astype(canonical(dataset.dtype), copy=False)
        data = np.ascontiguousarray(values).tobytes()
    except Exception as error:  # a filter that hdf5plugin lacks, or a type that h5py does not know
        return {**entry, "why_not": "%s: %s" % (type(error).__name__, error)}, None
    return {**entry, "nbytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}, (values, data)


def main(args):
    folder, minimum, maximum = None, 0, 0
    if args and args[0] == "--export":
        folder, minimum, maximum, args = args[1], int(args[2]), int(args[3]), args[4:]
        os.makedirs(folder, exist_ok=True)
    answer, index = [], []
    for path in args:
        datasets = []

        def visit(_name, item):
            if not isinstance(item, h5py.Dataset) or item.shape is None or item.is_virtual:
                return
            filters = pipeline(item)
            if not filters:
                return
            entry, content = describe(item, filters)
            datasets.append(entry)
            if folder is None or content is None or not minimum <= len(content[1]) <= maximum:
                return
            if content[0].dtype.kind not in "iuf":
                return
            values, data = content
            name = "%s_%s.%s%d.bin" % (
                os.path.splitext(os.path.basename(path))[0],
                entry["path"].replace("/", "_"),
                values.dtype.kind,
                values.dtype.itemsize,
            )
            with open(os.path.join(folder, name), "wb") as out:
                out.write(data)
            index.append(
                {
                    "file": name,
                    "dtype": values.dtype.str.replace("|", "<"),
                    "shape": list(values.shape),
                    "nbytes": len(data),
                    "sha256": entry["sha256"],
                    "kind": "%s of %s" % (entry["path"], os.path.basename(path)),
                }
            )

        try:
            with h5py.File(path, "r") as file:
                file.visititems(visit)
        except OSError as error:
            sys.stderr.write("%s: %s\n" % (path, error))
            continue
        answer.append({"file": path, "datasets": datasets})
    if folder is not None:
        with open(os.path.join(folder, "index.json"), "w") as out:
            json.dump(index, out, indent=1)
    json.dump(answer, sys.stdout)


main(sys.argv[1:])
