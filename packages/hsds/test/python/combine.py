"""Copies datasets of several HDF5 files, chunks as they are stored, into one file: argv[1], list on stdin as JSON
[{"file", "path", "name"}]. Prints {"failed": [...], "chunks": {name: [byte offset, bytes] of its first chunk}}."""

import json
import sys

import h5py

failed = []
chunks = {}
with h5py.File(sys.argv[1], "w", libver="latest") as out:
    for item in json.load(sys.stdin):
        try:
            with h5py.File(item["file"], "r") as file:
                h5py.h5o.copy(file.id, item["path"].encode(), out.id, item["name"].encode())
        except Exception as error:
            failed.append({**item, "error": repr(error)})
with h5py.File(sys.argv[1], "r") as file:
    for name in file:
        info = file[name].id.get_chunk_info(0)
        chunks[name] = [info.byte_offset, info.size]
print(json.dumps({"failed": failed, "chunks": chunks}))
