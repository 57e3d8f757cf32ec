"""Writes the files that the h5wasm comparison reads: raw arrays through hdf5plugin's filters, one dataset "data" each.

stdin:  [{"out", "data", "dtype", "shape", "chunk", "id", "cd"}] with cd = client cd_values
stdout: {"refused": out} for each that the filter does not take
"""

import json
import sys

import h5py
import hdf5plugin  # noqa: F401  (registers its filters)
import numpy as np

for job in json.load(sys.stdin):
    array = np.fromfile(job["data"], dtype=job["dtype"]).reshape(job["shape"])
    try:
        with h5py.File(job["out"], "w") as file:
            file.create_dataset(
                "data", data=array, chunks=tuple(job["chunk"]), compression=job["id"], compression_opts=tuple(job["cd"])
            )
    except (OSError, ValueError):
        print(json.dumps({"refused": job["out"]}), flush=True)
