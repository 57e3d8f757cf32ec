"""Writes the files that the h5wasm comparison reads: raw arrays through hdf5plugin's filters, one dataset "data" each. What
hdf5plugin does not have is written by our plugin in the job's folder.

stdin:  [{"out", "data", "offsets", "chunkBytes", "dtype", "shape", "chunk", "id", "cd", "plugins"}] with cd = client cd_values;
        the chunks at these offsets, one after another, are the dataset
stdout: {"refused": out} for each that the filter does not take
"""

import json
import sys

import h5py
import hdf5plugin  # noqa: F401  (registers its filters)
import numpy as np

for job in json.load(sys.stdin):
    values = bytearray()
    with open(job["data"], "rb") as data:
        for offset in job["offsets"]:
            data.seek(offset)
            values += data.read(job["chunkBytes"])
    array = np.frombuffer(values, dtype=job["dtype"]).reshape(job["shape"])
    if not h5py.h5z.filter_avail(job["id"]):
        h5py.h5pl.append(job["plugins"].encode())
    try:
        with h5py.File(job["out"], "w") as file:
            file.create_dataset(
                "data", data=array, chunks=tuple(job["chunk"]), compression=job["id"], compression_opts=tuple(job["cd"])
            )
    except (OSError, ValueError):
        print(json.dumps({"refused": job["out"]}), flush=True)
