"""What the tests ask of HSDS through h5pyd, one JSON command a line on stdin, one JSON answer a line on stdout.

{"do": "digest", "domain": ..., "datasets": [...]}     sha256 of little-endian C-order bytes, or the error, of each dataset
{"do": "create", "domain": ..., "datasets": [{"name", "dtype", "shape", "chunks", "filters", "seed"}]}     filters: names
{"do": "check", "domain": ..., "datasets": [as for create]}     largest difference from what `create` wrote
"""

import hashlib
import json
import os
import sys

import h5pyd
import numpy


def little(array):
    """The bytes that corpus.json digests: little-endian, C order, compounds packed."""
    array = numpy.ascontiguousarray(array)
    dtype = array.dtype
    if dtype.names:
        packed = numpy.empty(array.shape, [(name, dtype[name].newbyteorder("<")) for name in dtype.names])
        for name in dtype.names:
            packed[name] = array[name]
        return packed.tobytes()
    return array.astype(dtype.newbyteorder("<")).tobytes()


def made(spec):
    """The values of a dataset to be created: smooth and repeatable."""
    shape = spec["shape"]
    count = int(numpy.prod(shape))
    values = (numpy.sin(numpy.arange(count) / 50.0 + spec.get("seed", 0)) * 50 + 60)
    return values.astype(spec["dtype"]).reshape(shape)


def digest(command):
    answers = []
    with h5pyd.File(command["domain"], "r", retries=1) as file:
        for name in command["datasets"]:
            try:
                data = little(file[name][...])
                answers.append({"name": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data),
                                "id": file[name].id.id})
            except Exception as error:  # the tests compare what is said
                answers.append({"name": name, "error": f"{type(error).__name__}: {error}"})
    return answers


def create(command):
    answers = []
    with h5pyd.File(command["domain"], "a", retries=1) as file:
        for spec in command["datasets"]:
            try:
                data = made(spec)
                dataset = file.create_dataset(
                    spec["name"], shape=data.shape, dtype=data.dtype, chunks=tuple(spec["chunks"]), maxshape=None,
                    h5z_filters=[{"class": "H5Z_FILTER_USER", "name": name} for name in spec["filters"]])
                dataset[...] = data
                answers.append({"name": spec["name"], "sha256": hashlib.sha256(little(data)).hexdigest(),
                                "filters": dataset._filters, "compression": dataset.compression})
            except Exception as error:
                answers.append({"name": spec["name"], "error": f"{type(error).__name__}: {error}"})
    return answers


def check(command):
    answers = []
    with h5pyd.File(command["domain"], "r", retries=1) as file:
        for spec in command["datasets"]:
            try:
                wrong = numpy.abs(file[spec["name"]][...].astype("f8") - made(spec).astype("f8"))
                answers.append({"name": spec["name"], "difference": float(wrong.max())})
            except Exception as error:
                answers.append({"name": spec["name"], "error": f"{type(error).__name__}: {error}"})
    return answers


COMMANDS = {"digest": digest, "create": create, "check": check}
os.environ.setdefault("HS_USERNAME", "admin")
os.environ.setdefault("HS_PASSWORD", "admin")
for line in sys.stdin:
    print(json.dumps(COMMANDS[json.loads(line)["do"]](json.loads(line))), flush=True)
