"""The Python side of webgpu.test.ts: chunks that a GPU encoded, written to a file as they are and read by h5py with hdf5plugin.

usage: encoded.py JOB.json      the answer is JSON on stdout: the SHA-256 of what was read, for each chunk

A chunk of the job: filter ID, client cd_values, bytes of an element, elements, and the chunk in base64.
"""

import base64
import hashlib
import json
import sys

import h5py
import hdf5plugin  # noqa: F401  its filters are found from here on
import numpy as np


def read(file, number, chunk):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((chunk["elements"],))
    plist.set_filter(chunk["id"], h5py.h5z.FLAG_MANDATORY, tuple(chunk["client"]))
    space = h5py.h5s.create_simple((chunk["elements"],))
    opaque = h5py.h5t.py_create(np.dtype(f"V{chunk['elementSize']}"))
    dataset = h5py.h5d.create(file.id, str(number).encode(), opaque, space, plist)
    dataset.write_direct_chunk((0,), base64.b64decode(chunk["data"]))
    return hashlib.sha256(file[str(number)][()].tobytes()).hexdigest()


with open(sys.argv[1]) as job, h5py.File("encoded.h5", "w", driver="core", backing_store=False) as file:
    print(json.dumps([read(file, number, chunk) for number, chunk in enumerate(json.load(job))]))
