"""What the filters' golden/make.py share: inputs that never change, writing chunks with other people's software, and
golden/index.json. Nothing here may use h5z: golden bytes come from others, or are laid out by hand.

Needs h5py, hdf5plugin and numpy, versions as in the index files.
"""

import hashlib
import io
import json
import pathlib

import h5py
import hdf5plugin
import numpy as np

HDF5PLUGIN = {
    "tool": "hdf5plugin",
    "version": f"{hdf5plugin.version} (h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version})",
}

LIBHDF5 = {"tool": "libhdf5", "version": f"{h5py.version.hdf5_version} (h5py {h5py.__version__})"}


def noise(n: int, seed: int = 1) -> bytes:
    """n bytes that no codec makes smaller: a 64-bit multiplicative generator's high bytes."""
    out, x = bytearray(n), seed
    for i in range(n):
        x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
        out[i] = x >> 56
    return bytes(out)


def counts(n: int, elem: int, seed: int = 1) -> bytes:
    """n elements of `elem` bytes, little-endian, as a detector counts: small numbers, some large, a few saturated."""
    out = bytearray()
    for i, r in enumerate(noise(n, seed)):
        value = r % 7 if r < 240 else r * 37 if r < 252 else 2 ** (8 * elem) - 1
        out += ((value + i // 64) % 2 ** (8 * elem)).to_bytes(elem, "little")
    return bytes(out)


def h5_chunk(filter_id: int, client: list[int], data: bytes, elem: int) -> tuple[bytes, list[int]]:
    """The chunk and the stored cd_values that h5py with hdf5plugin's filter makes of `data`."""
    n = len(data) // elem
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset(
            "x", (n,), dtype=f"V{elem}", chunks=(n,), compression=filter_id,
            compression_opts=tuple(word % 2**32 for word in client),
        )
        dataset[...] = np.frombuffer(data, dtype=f"V{elem}")
        file.flush()
        stored = dataset.id.get_create_plist().get_filter(0)[2]
        mask, chunk = dataset.id.read_direct_chunk((0,))
    assert mask == 0, "the filter was skipped"
    return chunk, list(stored)


def library_chunk(array: np.ndarray, set_filter, dtype=None, fill=None) -> tuple[bytes, list[int], bytes]:
    """The chunk, the stored cd_values and the bytes read back of a one-chunk dataset, for filters that need to know what the
    elements are. `set_filter` gets the creation property list (h5py.h5p.PropDCID); `dtype`, when NumPy has no such type, is
    HDF5's type (h5py.h5t.TypeID); `fill` an array of one element."""
    stored_type = dtype or h5py.h5t.py_create(array.dtype)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(array.shape)
    if fill is not None:
        plist.set_fill_value(fill)
    set_filter(plist)
    with h5py.File(io.BytesIO(), "w") as file:
        space = h5py.h5s.create_simple(array.shape)
        dataset = h5py.h5d.create(file.id, b"x", stored_type, space, plist)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(array), mtype=stored_type)
        file.flush()
        mask, chunk = dataset.read_direct_chunk((0,) * array.ndim)
        assert mask == 0, "the filter was skipped"
        raw = np.empty(array.size * stored_type.get_size(), np.uint8)  # in the stored type: no conversion
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, raw, mtype=stored_type)
        return chunk, list(dataset.get_create_plist().get_filter(0)[2]), raw.tobytes()


class Golden:
    """Collects cases and writes them beside the calling make.py."""

    def __init__(self, make_py: str):
        self.folder = pathlib.Path(make_py).resolve().parent
        self.filter = json.loads((self.folder.parent / "filter.json").read_text())
        self.cases: list[dict] = []
        self.bad: list[dict] = []
        self.files: dict[str, bytes] = {}

    def add(self, name: str, chunk: bytes, cd_values: list[int], data: bytes, made: dict, command: str, note: str = "",
            elem: int = 1, near: dict | None = None, exact: bool = True, read_only: bool = False) -> bytes:
        """A chunk that decodes to `data`. `made`: tool and version; `command`: what was called.

        Of a lossy filter `data` is what the tool itself decodes the chunk to, and `near` is {"original": bytes, "type": "f4",
        "maxError": 1e-3}: values, little-endian, from which no decoded one is farther. exact=False: decoders differ, so
        only `near` holds. read_only=True: the cd_values are too few or too old to encode with."""
        entry = {"name": name, "file": self._file(name, chunk), "cdValues": [word % 2**32 for word in cd_values],
                 "elementSize": elem, "size": len(data)}
        if exact:
            entry["sha256"] = hashlib.sha256(data).hexdigest()
        if near:
            file = self._file(f"original-{name}", near["original"])
            entry["near"] = {"file": file, "type": near["type"], "maxError": near["maxError"]}
        if read_only:
            entry["readOnly"] = True
        entry.update(**made, command=command)
        if note:
            entry["note"] = note
        self.cases.append(entry)
        return chunk

    def h5(self, name: str, client: list[int], data: bytes, elem: int = 1, note: str = "") -> bytes:
        """A chunk made by hdf5plugin's filter of the same ID."""
        chunk, stored = h5_chunk(self.filter["id"], client, data, elem)
        command = f"create_dataset(dtype='V{elem}', compression={self.filter['id']}, compression_opts={tuple(client)}); read_direct_chunk"
        return self.add(name, chunk, stored, data, HDF5PLUGIN, command, note, elem)

    def library(self, name: str, array: np.ndarray, set_filter, command: str, note: str = "", max_error=None, **options) -> bytes:
        """A chunk made by one of libhdf5's own filters; `command` says what `set_filter` calls. `max_error`: see add's near."""
        chunk, stored, data = library_chunk(array, set_filter, **options)
        elem = len(data) // array.size
        what = options.get("dtype") and f"{elem}-byte type" or array.dtype.str
        near = None
        if max_error is not None:
            big = ">" if array.dtype.newbyteorder("=") != array.dtype else ""  # the numbers come out as they went in
            near = {"original": array.tobytes(), "type": f"{big}{array.dtype.kind}{elem}", "maxError": max_error}
        return self.add(name, chunk, stored, data, LIBHDF5, f"H5Dcreate({what}, {list(array.shape)}), {command}; read_direct_chunk",
                        note, elem, near)

    def refuse(self, name: str, chunk: bytes, cd_values: list[int], error: str, size: int, note: str) -> None:
        """A chunk that must fail with `error` when decoded into `size` bytes."""
        self.bad.append({"name": name, "file": self._file(f"bad-{name}", chunk), "error": error, "size": size,
                         "cdValues": [word % 2**32 for word in cd_values], "note": note})

    def _file(self, name: str, chunk: bytes) -> str:
        for file, known in self.files.items():
            if known == chunk:
                return file
        self.files[f"{name}.bin"] = chunk
        return f"{name}.bin"

    def write(self) -> None:
        for old in self.folder.glob("*.bin"):
            old.unlink()
        for file, chunk in self.files.items():
            (self.folder / file).write_bytes(chunk)
        index = {"filter": self.filter["name"], "id": self.filter["id"], "cases": self.cases, "bad": self.bad}
        # One case a line: short to read, and a change shows as one line.
        lines = json.dumps({**index, "cases": [], "bad": []}, indent=2)
        for key in ("cases", "bad"):
            body = ",\n".join("    " + json.dumps(entry) for entry in index[key])
            lines = lines.replace(f'"{key}": []', f'"{key}": [\n{body}\n  ]')
        (self.folder / "index.json").write_text(lines + "\n")
        total = sum(map(len, self.files.values()))
        print(f"{self.filter['name']}: {len(self.cases)} good, {len(self.bad)} bad, {len(self.files)} files, {total} bytes")
