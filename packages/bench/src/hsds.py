"""What hsds.ts has done in Python, one command a run: python hsds.py COMMAND ARGUMENT..., one JSON answer on stdout.

    make FILE            the arrays, compressed by HDF5 with our plugins, to be linked; answers {name: stored bytes}
    write FILE DOMAIN    the same arrays through h5pyd, by HSDS's own compressors and by a filter of ours; answers {name: stored bytes}
    ids DOMAIN           {path: dataset ID}
    probe                asks servers for /about and /info until stdin ends; see there
"""

import json
import os
import socket
import sys
import threading
import time

#: Dataset -> (array, arguments of h5py's create_dataset)
LINKED = {
    "detector bslz4": ("detector", {"compression": 32008, "compression_opts": (0, 2)}),
    "detector zstd": ("detector", {"compression": 32015, "compression_opts": (3,), "shuffle": True}),
    "climate bslz4": ("climate", {"compression": 32008, "compression_opts": (0, 2)}),
    "climate zstd": ("climate", {"compression": 32015, "compression_opts": (3,), "shuffle": True}),
    "detector bzip2": ("detector", {"compression": 307, "compression_opts": (9,), "shuffle": True}),
    "climate bzip2": ("climate", {"compression": 307, "compression_opts": (9,), "shuffle": True}),
}
#: Dataset -> (array, arguments of h5pyd's create_dataset); lz4 and zstd are Blosc1 containers in HSDS
WRITTEN = {
    f"{array} {name}": (array, how)
    for array in ("detector", "climate")
    for name, how in (("own lz4", {"compression": "lz4", "shuffle": True}),
                      ("own zstd", {"compression": "zstd", "shuffle": True}),
                      ("stored bslz4", {"compression": 32008, "compression_opts": (0, 2)}))
}


def make(path):
    import h5py
    import h5z_hsds
    import numpy as np

    for entry in h5z_hsds.filter_table().entries:
        h5py.h5pl.prepend(os.path.dirname(entry.path).encode())
    rng = np.random.default_rng(11)
    # Photon counts of a detector of 1024 x 1024 pixels with dead rows between its modules: 32 frames, a chunk each.
    detector = rng.poisson(1.5, (32, 1024, 1024)).astype("<u2")
    detector[:, ::97, :] = 0xFFFF
    # Temperatures on a grid, in steps of 0.01: 32 fields, a chunk each.
    t, y, x = np.linspace(0, 12, 32)[:, None, None], np.linspace(-1.5, 1.5, 512)[:, None], np.linspace(0, 6, 1024)
    climate = np.round(280 + 20 * np.cos(y) + 3 * np.sin(t + x) + rng.normal(0, 0.3, (32, 512, 1024)), 2).astype("<f4")
    arrays = {"detector": detector, "climate": climate}
    with h5py.File(path, "w", libver="latest") as file:
        for name, (array, how) in LINKED.items():
            data = arrays[array]
            file.create_dataset(name, data=data, chunks=(1, *data.shape[1:]), **how)
    with h5py.File(path, "r") as file:
        return {name: file[name].id.get_storage_size() for name in file}


def write(path, domain):
    import h5py
    import h5pyd
    import h5z_hsds

    for entry in h5z_hsds.filter_table().entries:
        h5py.h5pl.prepend(os.path.dirname(entry.path).encode())
    with h5py.File(path, "r") as file, h5pyd.File(domain, "w") as out:
        arrays = {name.split()[0]: file[name][...] for name in file if name.endswith("zstd")}
        for name, (array, how) in WRITTEN.items():
            data = arrays[array]
            made = out.create_dataset(name, shape=data.shape, dtype=data.dtype, chunks=(1, *data.shape[1:]), **how)
            made[...] = data
        out.flush()
    return {}


def ids(domain):
    import h5pyd

    with h5pyd.File(domain, "r") as file:
        return {name: file[name].id.id for name in file}


class Asker:
    """A connection to a unix socket that is kept, and the milliseconds that its answers took."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)

    def ask(self, what):
        start = time.perf_counter()
        self.socket.sendall(f"GET {what} HTTP/1.1\r\nHost: local\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, body = answer.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{what}: {head[:200]!r}")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        while len(body) < length:
            body += self._more()
        return (time.perf_counter() - start) * 1000

    def _more(self):
        more = self.socket.recv(65536)
        if not more:
            raise SystemExit("the server closed the connection")
        return more


def probe():
    """stdin: a line of JSON {"busy": socket, "idle": socket}, then nothing until it ends. Every 10 ms one question: /about and
    /info to the node that works, /about to one of another server, which does nothing: how late that is, the machine is.

    Answers {"/about": [ms], "/info": [ms], "idle": [ms], "late": [ms that waking up took longer than asked]}."""
    sockets = json.loads(sys.stdin.readline())
    busy, idle = Asker(sockets["busy"]), Asker(sockets["idle"])
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    seen = {"/about": [], "/info": [], "idle": [], "late": []}
    while not over.is_set():
        for name, asker, what in (("/about", busy, "/about"), ("idle", idle, "/about"), ("/info", busy, "/info")):
            start = time.perf_counter()
            time.sleep(0.01)
            seen["late"].append((time.perf_counter() - start) * 1000 - 10)
            seen[name].append(asker.ask(what))
    return seen


if __name__ == "__main__":
    print(json.dumps({"make": make, "write": write, "ids": ids, "probe": probe}[sys.argv[1]](*sys.argv[2:])))
