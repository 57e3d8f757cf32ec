"""h5py + hdf5plugin, the other side of the h5wasm tests.

    python peer.py write FILE  < plan.json   datasets [{name, dtype, shape, chunks, filters: [{id, client}]}]; prints
                                             {name: {sha256} | {refused}}, of the values as the peer reads them back
    python peer.py read FILE                 prints {name: {sha256, filters} | {error}} for every dataset
    python peer.py types FILE                one dataset for each kind of datatype; prints {name: {sha256}}
    python peer.py knows -       < [ids]      prints the IDs whose filters h5py + hdf5plugin have
    python peer.py host FILE                 one dataset for each of libhdf5's own filters; prints {name: {sha256}}

sha256 is over the values as little-endian, C-order bytes with compounds packed.
"""
import hashlib
import json
import os
import sys

import h5py
import hdf5plugin  # noqa: F401  registers the peer's plugins
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from apart import apart  # noqa: E402


def little(dtype):
    if dtype.subdtype:
        return np.dtype((little(dtype.subdtype[0]), dtype.subdtype[1]))
    if dtype.names:
        return np.dtype([(n, little(dtype.fields[n][0])) for n in dtype.names])
    return dtype.newbyteorder("<")


def assign(to, values):
    if not values.dtype.names:
        to[...] = values
        return
    for name in values.dtype.names:
        if values.dtype[name].base.names:
            assign(to[name], values[name])
        else:
            to[name] = values[name]


def digest(values):
    values = np.asarray(values)
    out = np.empty(values.shape, little(values.dtype))
    assign(out, values) if values.dtype.names else np.copyto(out, values)
    return hashlib.sha256(out.tobytes()).hexdigest()


def sample(dtype, shape):
    """Values that compress: a slow ramp with a little noise, the same every time."""
    n = int(np.prod(shape))
    rng = np.random.default_rng(n)
    ramp = np.arange(n) // 3 % 97 + rng.integers(0, 3, n)
    return ramp.astype(dtype).reshape(shape)


def write_one(path, d):
    # No chunk waits in a cache: what a filter refuses to encode fails here, and not again when the file is closed.
    dapl = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    dapl.set_chunk_cache(1, 0, 1.0)
    with h5py.File(path, "w") as f:
        dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        dcpl.set_chunk(tuple(d["chunks"]))
        for one in d["filters"]:
            dcpl.set_filter(one["id"], h5py.h5z.FLAG_MANDATORY, tuple(one["client"]))
        space = h5py.h5s.create_simple(tuple(d["shape"]))
        kind = h5py.h5t.py_create(np.dtype(d["dtype"]))
        dataset = h5py.Dataset(h5py.h5d.create(f.id, d["name"].encode(), kind, space, dcpl, None, dapl))
        dataset[...] = sample(d["dtype"], d["shape"])
        if "damage" in d:
            dataset.id.write_direct_chunk((0,) * len(d["shape"]), bytes.fromhex(d["damage"]))
    if "damage" in d:
        return {}
    with h5py.File(path, "r") as f:  # opened anew: a chunk in HDF5's cache has not been through the filter
        return {"sha256": digest(f[d["name"]][()])}


def write(path, plan):
    answers = {}
    own = path + ".one"
    with h5py.File(path, "w") as f:
        for d in plan:
            answer = apart(lambda: write_one(own, d))
            if "error" in answer:  # the peer has limits of its own: reported, and counted by the test
                answer = {"refused": answer["error"]}
            else:
                with h5py.File(own, "r") as single:  # chunks are copied as they are
                    h5py.h5o.copy(single.id, d["name"].encode(), f.id, d["name"].encode())
            answers[d["name"]] = answer
    return answers


def read(path):
    answers = {}
    with h5py.File(path, "r") as f:
        for name in f:
            dcpl = f[name].id.get_create_plist()
            filters = [dcpl.get_filter(i) for i in range(dcpl.get_nfilters())]
            entry = {"filters": [{"id": one[0], "cdValues": list(one[2])} for one in filters]}
            try:
                entry["sha256"] = digest(f[name][()])
            except Exception as error:
                entry["error"] = str(error)
            answers[name] = entry
    return answers


def types(path):
    enum = h5py.enum_dtype({"a": 1, "b": 2}, basetype=">i2")
    kinds = {
        "i2be": ">i2", "f8be": ">f8", "f4": "<f4", "u1": "u1", "f2be": ">f2", "string": "S5", "bool": "?",
        "complex": "<c16", "complexbe": ">c8", "enumbe": enum,
        "padded": np.dtype([("a", "<i4"), ("b", "<f8")], align=True),
        "packed": [("a", "<i4"), ("b", "<f8")],
        "allbe": [("a", ">i4"), ("b", ">f8"), ("s", "S3")],
        "mixed": [("a", ">i4"), ("b", "<f8")],
        "nested": [("a", ">i4"), ("n", [("x", ">u2"), ("y", "u1")]), ("array", ">i2", (2, 3))],
        "gaps": np.dtype({"names": ["a", "b"], "formats": [">i4", ">f4"], "offsets": [4, 12], "itemsize": 20}),
        "enumbetween": [("a", ">i4"), ("e", enum), ("b", ">i4")],
    }
    answers = {}
    rng = np.random.default_rng(7)
    with h5py.File(path, "w") as f:
        for name, kind in kinds.items():
            dtype = np.dtype(kind)
            values = np.frombuffer(rng.integers(1, 100, 7 * dtype.itemsize, dtype="u1").tobytes(), dtype)
            if name == "bool":
                values = np.array([True, False, True])
            f.create_dataset(name, data=values)
            answers[name] = {"sha256": digest(f[name][()])}
        array = h5py.h5t.array_create(h5py.h5t.STD_I16BE, (2, 3))
        values = np.arange(24, dtype=">i2").reshape(4, 2, 3)
        dataset = h5py.h5d.create(f.id, b"array", array, h5py.h5s.create_simple((4,)))
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, values, mtype=array)
        answers["array"] = {"sha256": digest(values)}
        for name, values in {"scalar": np.float64(3), "empty": np.zeros((0, 3), "<i4")}.items():
            f.create_dataset(name, data=values)
            answers[name] = {"sha256": digest(values)}
        f.create_dataset("variable", data=["a", "bb"], dtype=h5py.string_dtype())
        f.create_dataset("null", data=h5py.Empty("i4"))
    return answers


def host(path):
    values = sample("<i4", (100, 30))
    makers = {
        "deflate": {"compression": "gzip"}, "shuffle": {"shuffle": True}, "fletcher32": {"fletcher32": True},
        "szip": {"compression": "szip"}, "scaleoffset": {"scaleoffset": 0},
    }
    answers = {}
    with h5py.File(path, "w") as f:
        for name, options in makers.items():
            f.create_dataset(name, data=values, chunks=(10, 30), **options)
            answers[name] = {"sha256": digest(values)}
        narrow = h5py.h5t.STD_I32LE.copy()
        narrow.set_precision(24)
        dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        dcpl.set_chunk((10, 30))
        dcpl.set_filter(h5py.h5z.FILTER_NBIT, h5py.h5z.FLAG_MANDATORY, ())
        dataset = h5py.h5d.create(f.id, b"nbit", narrow, h5py.h5s.create_simple(values.shape), dcpl)
        h5py.Dataset(dataset)[...] = values
        answers["nbit"] = {"sha256": digest(values)}
    return answers


if __name__ == "__main__":
    command, path = sys.argv[1:3]
    if command == "write":
        answer = write(path, json.load(sys.stdin))
    elif command == "knows":
        answer = [one for one in json.load(sys.stdin) if h5py.h5z.filter_avail(one)]
    else:
        answer = {"read": read, "types": types, "host": host}[command](path)
    json.dump(answer, sys.stdout)
