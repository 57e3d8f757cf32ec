"""Files for loading.test.ts, and what h5py and h5pyd see in them, by libraries of h5z_hsds: one command as argv[1].

make FILE        datasets of lossy filters with parameters that nobody would guess, of a pipeline of three, one of one
                 dimension with more chunks than hsload names one by one, and one of every other filter with its defaults
describe FILE    { dataset: { filters: [[id, parameters in words]], wrong: largest distance from the values, shown: compression,
                 compression_opts and chunks, sha256 } } of a file; of a domain: hdf5://PATH
"""

import contextlib
import hashlib
import json
import os
import sys

import h5py
import h5pyd
import h5z_hsds
import numpy

for entry in h5z_hsds.filter_table().entries:
    h5py.h5pl.prepend(os.path.dirname(entry.path).encode())

SHAPE, CHUNK = (64, 96), (32, 48)
LINE, PIECE = (64 * 96,), (256,)
#: Element types that a filter is tried with until it takes one.
TYPES = ("<u2", "<i4", "<f4", "|u1", "<i2")
MADE = {
    "zfp": ("<f4", [("zfp", 'mode = "accuracy", tolerance = 0.0625')]),
    "sz3": ("<f4", [("sz3", 'mode = "absolute", absolute = 0.03')]),
    "sperr": ("<f8", [("sperr", 'mode = "tolerance", tolerance = 0.05')]),
    "three": ("<i4", [("shuffle", ""), ("bzip2", "blockSize = 3"), ("fletcher32", "")]),
    "line": ("<i4", [("shuffle", ""), ("zstd", "level = 3")]),
}


def values(name, dtype):
    """Smooth numbers between 10 and 110."""
    smooth = numpy.sin(numpy.arange(LINE[0]) / 50.0) * 50 + 60
    return smooth.astype(dtype).reshape(LINE if name == "line" else SHAPE)


def make(path):
    with h5py.File(path, "w") as file:
        for name, (dtype, stages) in MADE.items():
            create(file, name, dtype, stages)
        for entry in h5z_hsds.filter_table().entries:
            for dtype in TYPES if entry.name not in MADE else ():
                with contextlib.suppress(ValueError, OSError):  # no filter for such elements
                    create(file, entry.name, dtype, [(entry.name, "")])
                    break


def create(file, name, dtype, stages):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    for filter_name, words in stages:
        entry = h5z_hsds.filter_table().entry(filter_name)
        properties.set_filter(entry.id, 0, tuple(entry.library().parse(words)))
    file.create_dataset(name, data=values(name, dtype), chunks=PIECE if name == "line" else CHUNK, dcpl=properties)


def words_of(number, stored):
    return h5z_hsds.filter_table().entry(int(number)).library().print([int(v) & 0xFFFFFFFF for v in stored])


def stages_of(dataset):
    if isinstance(dataset, h5py.Dataset):
        properties = dataset.id.get_create_plist()
        found = [properties.get_filter(index) for index in range(properties.get_nfilters())]
        return [[int(number), words_of(number, cd)] for number, _flags, cd, _name in found]
    return [[item["id"], words_of(item["id"], item.get("parameters", []))] for item in dataset._filters]


def describe(path):
    answer = {}
    opened = h5pyd.File(path) if path.startswith("hdf5://") else h5py.File(path)
    with opened as file:
        for name in file:
            data = file[name][...]
            wrong = float(numpy.abs(data.astype("f8") - values(name, data.dtype).astype("f8")).max())
            answer[name] = {"filters": stages_of(file[name]), "wrong": wrong,
                            "shown": [file[name].compression, file[name].compression_opts, file[name].chunks],
                            "sha256": hashlib.sha256(numpy.ascontiguousarray(data).tobytes()).hexdigest()}
    return answer


command, argument = sys.argv[1:]
print(json.dumps({"make": make, "describe": describe}[command](argument)))
