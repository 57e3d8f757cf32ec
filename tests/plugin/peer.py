"""The Python side of plugin.test.ts: creates and reads datasets with whatever plugins this process finds.

usage: peer.py JOB.json      the answer is JSON on stdout; HDF5's own messages go to stderr

A process decodes either with h5z's libraries (HDF5_PLUGIN_PATH, no hdf5plugin imported) or with hdf5plugin's
("hdf5plugin": true), never with both, and says which plugin files it had mapped at the end.
"""

import base64
import ctypes
import glob
import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from apart import apart, message  # noqa: E402

DTYPES = {
    "array": ("<i2", (3, 2)),
    "bigarray": (">u4", (5,)),
    "compound": [("a", "<i2"), ("b", ">f8"), ("c", "S3"), ("d", "u1")],
}


def dtype_of(name):
    import numpy as np

    given = DTYPES.get(name, name)
    return np.dtype(given)


def data_of(case):
    """Values that do not depend on the machine: a slow ramp (of numbers, or of bytes), zeros, or noise from SHA-256."""
    import numpy as np

    dtype = dtype_of(case["dtype"])
    count = int(np.prod(case["shape"]))
    size = count * dtype.itemsize
    kind = case.get("data", "ramp")
    if kind == "zeros":
        raw = bytes(size)
    elif kind == "noise":
        blocks = (hashlib.sha256(str(i).encode()).digest() for i in range(size // 32 + 1))
        raw = b"".join(blocks)[:size]
    elif dtype.kind in "iuf":
        raw = (np.arange(count) // 7 % 113).astype(dtype).tobytes()
    else:
        raw = (np.arange(size, dtype="<u8") // (7 * dtype.itemsize) % 251).astype("u1").tobytes()
    if dtype.subdtype is not None:
        base, inner = dtype.subdtype
        return np.frombuffer(raw, dtype=base).reshape(tuple(case["shape"]) + inner)
    return np.frombuffer(raw, dtype=dtype).reshape(case["shape"])


def type_of(case):
    from h5py import h5t

    dtype = dtype_of(case["dtype"])
    if dtype.subdtype is not None:
        base, inner = dtype.subdtype
        return h5t.array_create(h5t.py_create(base), inner)
    return h5t.py_create(dtype)


def digest(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


def create(group, filter_id, case):
    """The case's dataset in a file or group, nothing written yet."""
    from h5py import h5d, h5p, h5s

    # No chunk waits in a cache: what a filter refuses to encode fails where it is written, and not again at closing.
    dapl = h5p.create(h5p.DATASET_ACCESS)
    dapl.set_chunk_cache(1, 0, 1.0)
    dcpl = h5p.create(h5p.DATASET_CREATE)
    dcpl.set_chunk(tuple(case["chunk"]))
    if "shuffle" in case.get("before", []):
        dcpl.set_shuffle()
    if "fletcher32" in case.get("before", []):
        dcpl.set_fletcher32()
    dcpl.set_filter(filter_id, case["flags"], tuple(case["client"]))
    if "fletcher32" in case.get("after", []):
        dcpl.set_fletcher32()
    small = any(c > n for c, n in zip(case["chunk"], case["shape"]))
    limits = (h5s.UNLIMITED,) * len(case["shape"]) if small else tuple(case["shape"])
    space = h5s.create_simple(tuple(case["shape"]), limits)
    return h5d.create(group.id, case["name"].encode(), type_of(case), space, dcpl, None, dapl)


def write_case(job, file, case):
    from h5py import h5s

    array = data_of(case)
    create(file, job["id"], case).write(h5s.ALL, h5s.ALL, array, type_of(case))
    return {"sha256": digest(array)}


def write(job):
    import h5py
    from h5py import h5o

    answer = {}
    with h5py.File(job["file"], "w") as file:
        for case in job["cases"]:
            if not job.get("hdf5plugin"):
                try:
                    answer[case["name"]] = write_case(job, file, case)
                except Exception as error:
                    answer[case["name"]] = {"error": message(error)}
                continue

            own = job["file"] + ".case"

            def alone():
                with h5py.File(own, "w") as single:
                    return write_case(job, single, case)

            answer[case["name"]] = apart(alone)
            if "error" not in answer[case["name"]]:
                with h5py.File(own, "r") as single:  # chunks are copied as they are
                    h5o.copy(single.id, case["name"].encode(), file.id, case["name"].encode())
    return answer


def read(job):
    import h5py

    with h5py.File(job["file"], "r") as file:
        return read_open(file, job["cases"])


def read_open(group, cases):
    """What is stored of each case that the file or group has: {name: values, pipeline and masks}."""
    import numpy as np
    from h5py import h5s

    answer = {}
    for case in cases:
        name = case["name"]
        if name not in group:
            continue
        try:
            dataset = group[name].id
            dcpl = dataset.get_create_plist()
            filters = [dcpl.get_filter(i) for i in range(dcpl.get_nfilters())]
            array = np.empty_like(data_of(case))
            dataset.read(h5s.ALL, h5s.ALL, array, dataset.get_type())
            answer[name] = {
                "sha256": digest(array),
                "filters": [{"id": f[0], "flags": f[1], "cd": list(f[2]), "name": f[3].decode()} for f in filters],
                "masks": sorted({dataset.get_chunk_info(i).filter_mask for i in range(dataset.get_num_chunks())}),
            }
        except Exception as error:
            answer[name] = {"error": message(error)}
    return answer


def read_each(job):
    """The same of several files, by name."""
    return {name: read({**job, "file": file}) for name, file in job["files"].items()}


class Class2(ctypes.Structure):
    """H5Z_class2_t."""

    _fields_ = [
        ("version", ctypes.c_int),
        ("id", ctypes.c_int),
        ("encoder_present", ctypes.c_uint),
        ("decoder_present", ctypes.c_uint),
        ("name", ctypes.c_char_p),
        ("can_apply", ctypes.c_void_p),
        ("set_local", ctypes.c_void_p),
        (
            "filter",
            ctypes.CFUNCTYPE(
                ctypes.c_size_t,
                ctypes.c_uint,
                ctypes.c_size_t,
                ctypes.POINTER(ctypes.c_uint),
                ctypes.c_size_t,
                ctypes.POINTER(ctypes.c_size_t),
                ctypes.POINTER(ctypes.c_void_p),
            ),
        ),
    ]


def open_plugin(library):
    """A plugin's H5Z_class2_t and a function that calls its filter by the rules of HDF5 2.2."""
    plugin = ctypes.CDLL(library)
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    plugin.H5PLget_plugin_info.restype = ctypes.POINTER(Class2)
    info = plugin.H5PLget_plugin_info().contents

    def call(flags, cd, content, room):
        """(returned, *buf_size after, content after, whether *buf and *buf_size were left alone)"""
        size = ctypes.c_size_t(len(content) + room)
        buffer = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size.value)))
        ctypes.memset(buffer, 0xEE, size.value)
        ctypes.memmove(buffer, content, len(content))
        before = (buffer.value, size.value)
        words = (ctypes.c_uint * max(len(cd), 1))(*cd)
        n = info.filter(flags, len(cd), words, len(content), ctypes.byref(size), ctypes.byref(buffer))
        result = ctypes.string_at(buffer, n) if n else b""
        same = (buffer.value, size.value) == before
        libc.free(buffer)
        return n, size.value, result, same

    return plugin, info, call


def one_chunk(file, job, case):
    """A dataset of one chunk through one of libhdf5's own filters."""
    from h5py import h5d, h5p, h5s

    dcpl = h5p.create(h5p.DATASET_CREATE)
    dcpl.set_chunk(tuple(case["chunk"]))
    dcpl.set_filter(job["id"], case["flags"], tuple(case["client"]))
    return h5d.create(file.id, case["name"].encode(), type_of(case), h5s.create_simple(tuple(case["chunk"])), dcpl)


def library(job):
    """What libhdf5's own filter makes of each case's chunk, and what it then reads: bytes in base64."""
    import h5py
    import numpy as np
    from h5py import h5s

    answer = {}
    with h5py.File(job["file"], "w") as file:
        for case in job["cases"]:
            try:
                array = data_of({**case, "shape": case["chunk"]})
                dataset = one_chunk(file, job, case)
                dataset.write(h5s.ALL, h5s.ALL, array, dataset.get_type())
                dataset.flush()
                mask, chunk = dataset.read_direct_chunk((0,) * len(case["chunk"]))
                back = np.empty_like(array)
                dataset.read(h5s.ALL, h5s.ALL, back, dataset.get_type())
                answer[case["name"]] = {
                    "data": base64.b64encode(array.tobytes()).decode(),
                    "chunk": base64.b64encode(chunk).decode(),
                    "sha256": digest(back),
                    "masks": [mask],
                    "filters": [{"id": job["id"], "cd": list(dataset.get_create_plist().get_filter(0)[2])}],
                }
            except Exception as error:
                answer[case["name"]] = {"error": message(error)}
    return answer


def library_reads(job):
    """What libhdf5's own filter reads of the chunks given."""
    import h5py
    import numpy as np
    from h5py import h5s

    answer = {}
    with h5py.File(job["file"], "w") as file:
        for case in job["cases"]:
            dataset = one_chunk(file, job, case)
            dataset.write_direct_chunk((0,) * len(case["chunk"]), base64.b64decode(case["encoded"]))
            back = np.empty_like(data_of({**case, "shape": case["chunk"]}))
            try:
                dataset.read(h5s.ALL, h5s.ALL, back, dataset.get_type())
                answer[case["name"]] = {"sha256": digest(back)}
            except Exception as error:
                answer[case["name"]] = {"error": message(error)}
    return answer


def corrupt(job):
    """Cuts the first chunk of each dataset short by direct chunk write, then reads it with HDF5's messages on."""
    import h5py
    import numpy as np

    _, _, call = open_plugin(job["library"])
    answer = {}
    with h5py.File(job["file"], "r+") as file:
        for case in job["cases"]:
            if case["name"] not in file:  # the filter is not for such data
                continue
            dataset = file[case["name"]].id
            offset = dataset.get_chunk_info(0).chunk_offset
            mask, chunk = dataset.read_direct_chunk(offset)
            full = int(np.prod(case["chunk"])) * dtype_of(case["dtype"]).itemsize
            for at, keep in enumerate((len(chunk) // 2, 3, 1)):
                keep = min(keep, len(chunk) - 1)
                # Where there is no header, a shorter chunk looks like a smaller one: HDF5 before 2.2 does not mind, reads
                # behind its end and may crash. All that can be said is that our filter gave what there was.
                cd = dataset.get_create_plist().get_filter(0)[2]
                if 0 < call(0x100, cd, chunk[:keep], 0)[0] < full:
                    answer[f"{case['name']} {at}"] = {"headerless": True}
                    continue
                dataset.write_direct_chunk(offset, chunk[:keep], mask)
                dataset.flush()
                h5py._errors.unsilence_errors()
                try:
                    file[case["name"]][...]
                    answer[f"{case['name']} {at}"] = {"headerless": False}
                except Exception as error:
                    answer[f"{case['name']} {at}"] = {"error": message(error)}
                finally:
                    h5py._errors.silence_errors()
            dataset.write_direct_chunk(offset, chunk, mask)
    return answer


def callback(job):
    """Calls the plugin's callbacks without any libhdf5 in the process, by the rules of HDF5 2.2."""
    plugin, info, call = open_plugin(job["library"])
    content = data_of({**job["case"], "shape": job["case"]["chunk"]}).tobytes()
    cd = job["cd"]
    answer = {"type": plugin.H5PLget_plugin_type(), "id": info.id, "version": info.version, "name": info.name.decode()}
    n, size, chunk, _ = call(0, cd, content, 0)
    answer["encoded"] = {"n": n, "fits": n <= size, "headerless": n == len(content)}
    for room in (0, 1, 100_000):
        n, size, back, _ = call(0x100, cd, chunk, room)
        answer[f"decoded with {room} spare"] = {"same": back == content, "whole": n == len(content), "fits": n <= size}
    n, size, _, same = call(0x100, cd, chunk[: len(chunk) // 2], 5)
    answer["truncated"] = {"n": n, "untouched": same}
    answer["strange cd"] = []
    for strange in ([], [0], [0xFFFFFFFF] * 33, list(range(33)), [0] * 5000):
        for flags, given in ((0, content), (0x100, chunk)):
            n, size, _, same = call(flags, strange, given, 0)
            answer["strange cd"].append(n <= size if n else same)
    if info.set_local:
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
        answer["set_local without HDF5"] = prototype(info.set_local)(1, 1, 1)
    return answer


NUMBERS = {  # types of elements, as libhdf5 exports them
    **{f"{sign}1": f"H5T_STD_{sign.upper()}8LE_g" for sign in "iu"},
    **{
        f"{order}{kind}{size}": f"H5T_{'IEEE' if kind == 'f' else 'STD'}_{kind.upper()}{8 * size}{end}_g"
        for order, end in (("<", "LE"), (">", "BE"))
        for kind, sizes in (("i", (2, 4, 8)), ("u", (2, 4, 8)), ("f", (4, 8)))
        for size in sizes
    },
}

H5S_UNLIMITED = 2**64 - 1
hid = ctypes.c_int64


class Raw:
    """A libhdf5 called by ctypes, as a host does that has its own: datasets written to a file and read back."""

    def __init__(self, library, job):
        # A wheel's own copies of what libhdf5 needs: found by name once loaded.
        for needed in sorted(glob.glob(os.path.join(os.path.dirname(library), "lib[as]*-*.so.*"))):
            ctypes.CDLL(needed)
        self.h5, self.id = ctypes.CDLL(library), job["id"]
        for name in ("H5Fcreate", "H5Fopen", "H5Screate_simple", "H5Pcreate", "H5Dcreate2", "H5Dopen2"):
            getattr(self.h5, name).restype = hid
        self.h5.H5open()
        self.h5.H5Eset_auto2(hid(0), None, None)

    def version(self):
        numbers = [ctypes.c_uint() for _ in range(3)]
        self.h5.H5get_libversion(*map(ctypes.byref, numbers))
        return ".".join(str(number.value) for number in numbers)

    def variable(self, name):
        return hid.in_dll(self.h5, name)

    def call(self, name, *args):
        """A function that gives an identifier or a status; one below 0 is an error."""
        result = getattr(self.h5, name)(*args)
        if result < 0:
            raise OSError(f"{name} failed")
        return hid(result)

    def property_list(self, case):
        words = (ctypes.c_uint * max(len(case["client"]), 1))(*case["client"])
        dcpl = self.call("H5Pcreate", self.variable("H5P_CLS_DATASET_CREATE_ID_g"))
        rank = len(case["chunk"])
        self.call("H5Pset_chunk", dcpl, rank, (ctypes.c_uint64 * rank)(*case["chunk"]))
        for name in case.get("before", []):
            self.call(f"H5Pset_{name}", dcpl)
        self.call("H5Pset_filter", dcpl, self.id, case["flags"], ctypes.c_size_t(len(case["client"])), words)
        for name in case.get("after", []):
            self.call(f"H5Pset_{name}", dcpl)
        return dcpl

    def write_case(self, file, case, name):
        values, shape, chunk = data_of(case), case["shape"], case["chunk"]
        rank = len(shape)
        limits = [H5S_UNLIMITED] * rank if any(c > n for c, n in zip(chunk, shape)) else shape
        space = self.call("H5Screate_simple", rank, *((ctypes.c_uint64 * rank)(*dims) for dims in (shape, limits)))
        # As in write_case above: what a filter refuses fails where it is written.
        dapl = self.call("H5Pcreate", self.variable("H5P_CLS_DATASET_ACCESS_ID_g"))
        self.call("H5Pset_chunk_cache", dapl, ctypes.c_size_t(1), ctypes.c_size_t(0), ctypes.c_double(1))
        number, dcpl = self.variable(NUMBERS[case["dtype"]]), self.property_list(case)
        dataset = self.call("H5Dcreate2", file, name.encode(), number, space, hid(0), dcpl, dapl)
        try:
            data = values.ctypes.data_as(ctypes.c_void_p)
            self.call("H5Dwrite", dataset, number, hid(0), hid(0), hid(0), data)
        finally:
            for close, identifier in (("H5Dclose", dataset), ("H5Pclose", dcpl), ("H5Pclose", dapl)):
                self.call(close, identifier)
            self.call("H5Sclose", space)

    def read_case(self, file, case, name):
        import numpy as np

        dataset = self.call("H5Dopen2", file, name.encode(), hid(0))
        back = np.zeros_like(data_of(case))
        number = self.variable(NUMBERS[case["dtype"]])
        try:
            data = back.ctypes.data_as(ctypes.c_void_p)
            self.call("H5Dread", dataset, number, hid(0), hid(0), hid(0), data)
        finally:
            self.call("H5Dclose", dataset)
        return back

    def each(self, opening, path, cases, work):
        """What `work` says of every case, in a file opened by `opening`."""
        file = self.call(opening, path.encode(), *([2, hid(0)] if opening == "H5Fcreate" else [0]), hid(0))
        answer = {}
        for case in cases:
            try:
                answer[case["name"]] = work(file, case)
            except OSError as error:
                answer[case["name"]] = {"error": message(error)}
        self.call("H5Fclose", file)
        return answer

    def write(self, path, cases):
        return self.each("H5Fcreate", path, cases, lambda file, case: self.write_case(file, case, case["name"]) or {})

    def read(self, path, cases):
        one = lambda file, case: {"sha256": digest(self.read_case(file, case, case["name"]))}  # noqa: E731
        return self.each("H5Fopen", path, cases, one)

    def write_one(self, path, case):
        """A file of one dataset, `x`."""
        file = self.call("H5Fcreate", path.encode(), 2, hid(0), hid(0))
        self.write_case(file, case, "x")
        self.call("H5Fclose", file)


def together(job):
    """Writes through h5py's libhdf5 and, by ctypes, through others: several libraries, one image of the plugin. First by
    turns, then all at once."""
    import threading

    import h5py

    case = job["case"]

    def wheel(path):
        with h5py.File(path, "w") as file:
            chunks, words = tuple(case["chunk"]), tuple(case["client"])
            file.create_dataset("x", data=data_of(case), chunks=chunks, compression=job["id"], compression_opts=words)

    work = {h5py.version.hdf5_version: wheel}
    for library in job["libhdf5s"]:
        raw = Raw(library, job)
        work[raw.version()] = lambda path, raw=raw: raw.write_one(path, case)
    turns = [(f"{i} {who}", who) for i, who in enumerate([*work, *work])]
    for i, (_, who) in enumerate(turns):
        work[who](f"{job['file']}.{i}")
    failures = []

    def many(who):
        try:
            for i in range(25):
                work[who](f"{job['file']}.{who}")
        except Exception as error:
            failures.append(f"{who}: {error!r}")

    threads = [threading.Thread(target=many, args=[who]) for who in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    values = data_of(case)
    answer = {}
    files = [(label, f"{job['file']}.{i}") for i, (label, _) in enumerate(turns)]
    files += [(f"{who} beside the others", f"{job['file']}.{who}") for who in work]
    for label, path in files:
        with h5py.File(path) as file:
            stored = file["x"].id.get_create_plist().get_filter(0)
            back = file["x"][...]
            answer[label] = {"same": bool((back == values).all()), "sha256": digest(back), "cd": list(stored[2])}
    return answer


def private(job):
    """A host that loads libhdf5 for itself alone: its symbols are nobody else's to find. No h5py in this process, whose file
    `theirs` it reads."""
    cases = [case for case in job["cases"] if case["dtype"] in NUMBERS]
    host = Raw(job["libhdf5"], job)
    wrote = host.write(job["file"], cases)
    return {
        "hdf5": host.version(),
        "wrote": wrote,
        "own": host.read(job["file"], [case for case in cases if "error" not in wrote[case["name"]]]),
        "theirs": host.read(job["theirs"], cases),
    }


def mapped(words):
    try:
        with open("/proc/self/maps") as maps:
            paths = {line.split()[-1] for line in maps if "/" in line}
    except OSError:
        return []
    return sorted(path for path in paths if any(word in path for word in words))


def main():
    with open(sys.argv[1]) as file:
        job = json.load(file)
    if job.get("hdf5plugin"):
        import hdf5plugin  # noqa: F401  registers its plugins
    elif job["do"] not in ("callback", "private"):
        import h5py

        try:
            h5py.h5z.unregister_filter(job["id"])  # one that h5py itself has built in
        except (ValueError, RuntimeError):
            pass
    answer = globals()[job["do"]](job)
    versions = {}
    if "h5py" in sys.modules:
        versions = {"h5py": sys.modules["h5py"].__version__, "hdf5": sys.modules["h5py"].version.hdf5_version}
        versions["available"] = bool(sys.modules["h5py"].h5z.filter_avail(job["id"]))
    images = {"ours": mapped(["libh5z_"]), "theirs": mapped(["hdf5plugin/plugins"]), "hdf5": mapped(["libhdf5"])}
    json.dump({"answer": answer, "versions": versions, "images": images}, sys.stdout)


if __name__ == "__main__":
    main()
