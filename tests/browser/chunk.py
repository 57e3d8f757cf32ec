"""Real chunks of filters for the browser tests, from the corpus.

    python chunk.py CORPUS FILTER_ID...

Prints JSON by filter ID: file, dataset, cdValues (stored), chunk (base64, as it lies in the file), size and sha256 of what
hdf5plugin decodes it to, in the file's own byte order. A filter is left out where the corpus has no dataset with it alone
whose first chunk is whole, or hdf5plugin lacks it.
"""
import base64
import hashlib
import json
import pathlib
import sys

import h5py
import hdf5plugin  # noqa: F401  registers the peer's plugins


def main(corpus, filter_ids):
    files = json.loads((corpus / "corpus.json").read_text())["files"]
    found = {filter_id: chunk_of(corpus, files, filter_id) for filter_id in filter_ids if h5py.h5z.filter_avail(filter_id)}
    print(json.dumps({filter_id: chunk for filter_id, chunk in found.items() if chunk}))


def chunk_of(corpus, files, filter_id):
    for file in files:
        for dataset in file["datasets"]:
            if [f["id"] for f in dataset.get("filters", [])] != [filter_id] or "sha256" not in dataset:
                continue
            found = first_chunk(corpus / file["file"], dataset["path"])
            if found:
                return {"file": file["file"], **found}
    return None


def first_chunk(path, name):
    with h5py.File(path, "r") as f:
        d = f[name]
        if d.dtype.kind not in "iuf" or any(c > s for c, s in zip(d.chunks, d.shape)):
            return None
        if d.id.get_num_chunks() == 0:
            return None
        offset = d.id.get_chunk_info(0).chunk_offset
        if any(o + c > s for o, c, s in zip(offset, d.chunks, d.shape)):
            return None
        mask, chunk = d.id.read_direct_chunk(offset)
        if mask or len(chunk) > 4_000_000:
            return None
        values = d[tuple(slice(o, o + c) for o, c in zip(offset, d.chunks))].astype(d.dtype).tobytes()
        cd_values = d.id.get_create_plist().get_filter(0)[2]
        return {
            "dataset": name,
            "cdValues": list(cd_values),
            "chunk": base64.b64encode(chunk).decode(),
            "size": len(values),
            "sha256": hashlib.sha256(values).hexdigest(),
        }


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), [int(filter_id) for filter_id in sys.argv[2:]])
