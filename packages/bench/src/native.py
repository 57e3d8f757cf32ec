"""Times two HDF5 filters on the same chunks in one process: our plugin, and the one of the hdf5plugin wheel or, for what
libhdf5 has built in (deflate, shuffle, fletcher32, szip, nbit, scaleoffset), libhdf5's own, in the library of h5py's wheel.

Both sides' H5Z_class2_t filter functions are called directly, as libhdf5 calls them; those of libhdf5 itself are found by
the names of their tables (H5Z_DEFLATE and so on), which the wheel's library exports: a malloc'ed buffer goes in, the
filter replaces it. One thread; libhdf5 itself takes no part, so nothing but the filters is measured. Seconds are the
thread's CPU time, so that other work on the machine counts for neither side. Chunks are decoded from the *peer's* bytes,
so that both decoders see the same input. Encoders that need seconds for a pass are timed in three rounds.

stdin:  {"rounds": n, "jobs": [{"key", "id", "library", "cd", "data", "offsets", "chunkBytes", "lossless"}]}
stdout: one JSON line per job: {"key", "peer", "nbytes", "peerBytes", "oursBytes", "encode": [[ours, peer] seconds per round], "decode": [...]}
"""

import ctypes
import glob
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../tests/support"))
from apart import apart  # noqa: E402

import hdf5plugin  # noqa: E402  its import initialises the plugins' link to libhdf5

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.malloc.argtypes = [ctypes.c_size_t]
LIBC.free.argtypes = [ctypes.c_void_p]

FILTER = ctypes.CFUNCTYPE(
    ctypes.c_size_t,
    ctypes.c_uint,  # flags
    ctypes.c_size_t,  # cd_nelmts
    ctypes.POINTER(ctypes.c_uint),  # cd_values
    ctypes.c_size_t,  # nbytes
    ctypes.POINTER(ctypes.c_size_t),  # buf_size
    ctypes.POINTER(ctypes.c_void_p),  # buf
)
REVERSE = 0x0100  # H5Z_FLAG_REVERSE: decode


class FilterClass(ctypes.Structure):
    """H5Z_class2_t."""

    _fields_ = [
        ("version", ctypes.c_int),
        ("id", ctypes.c_int),
        ("encoder_present", ctypes.c_uint),
        ("decoder_present", ctypes.c_uint),
        ("name", ctypes.c_char_p),
        ("can_apply", ctypes.c_void_p),
        ("set_local", ctypes.c_void_p),
        ("filter", FILTER),
    ]


def plugin(path):
    """The H5Z_class2_t of a plugin file."""
    library = ctypes.CDLL(path)
    library.H5PLget_plugin_info.restype = ctypes.POINTER(FilterClass)
    return library.H5PLget_plugin_info().contents


def peers():
    """Filter ID -> H5Z_class2_t of every plugin in the hdf5plugin wheel."""
    found = {}
    for path in glob.glob(os.path.join(hdf5plugin.PLUGIN_PATH, "*" + hdf5plugin.get_config().build_config.filter_file_extension)):
        cls = plugin(path)
        found[cls.id] = cls
    return found


# libhdf5's own filters and their tables.
BUILT_IN = {1: "H5Z_DEFLATE", 2: "H5Z_SHUFFLE", 3: "H5Z_FLETCHER32", 4: "H5Z_SZIP", 5: "H5Z_NBIT", 6: "H5Z_SCALEOFFSET"}


def built_in():
    """Filter ID -> H5Z_class2_t of what is in the libhdf5 of this process, as far as it exports the tables."""
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "/libhdf5" in line and "libhdf5_hl" not in line}
    found = {}
    for path in paths:
        library = ctypes.CDLL(path)
        for code, name in BUILT_IN.items():
            try:
                cls = FilterClass.in_dll(library, name)
            except ValueError:
                continue
            if cls.id == code and cls.filter:
                found[code] = cls
    return found


def call(cls, flags, cd, data):
    """One filter call: (result bytes, seconds). The buffer is made and freed outside the clock."""
    values = (ctypes.c_uint * max(1, len(cd)))(*cd)
    buf = ctypes.c_void_p(LIBC.malloc(len(data)))
    ctypes.memmove(buf, data, len(data))
    size = ctypes.c_size_t(len(data))
    start = time.thread_time_ns()
    count = cls.filter(flags, len(cd), values, len(data), ctypes.byref(size), ctypes.byref(buf))
    seconds = (time.thread_time_ns() - start) / 1e9
    result = ctypes.string_at(buf, count) if count else None
    LIBC.free(buf)
    if result is None:
        raise RuntimeError("filter %d failed" % cls.id)
    return result, seconds


def run_pass(cls, flags, cd, chunks):
    """All chunks once: (results, summed seconds)."""
    results, total = [], 0.0
    for chunk in chunks:
        result, seconds = call(cls, flags, cd, chunk)
        results.append(result)
        total += seconds
    return results, total


def alternate(sides, flags, cd, inputs, rounds):
    """[[first side, second side] seconds] per round; the order swaps every round so that neither side is always warm."""
    if max(run_pass(cls, flags, cd, inputs[index])[1] for index, cls in enumerate(sides)) > 0.5:
        rounds = min(rounds, 3)
    times = []
    for turn in range(rounds):
        row = [0.0, 0.0]
        for index in (0, 1) if turn % 2 == 0 else (1, 0):
            row[index] = run_pass(sides[index], flags, cd, inputs[index])[1]
        times.append(row)
    return times


LIMIT = 120  # seconds for one comparison: some of hdf5plugin's encoders never return from some data


def compare(job, peer, kind, rounds):
    """Sizes and seconds of one job; {"skipped": why} where a chunk is refused. In a process of its own."""
    ours = plugin(job["library"])
    if ours.id != job["id"]:
        raise AssertionError("%s is filter %d, not %d" % (job["library"], ours.id, job["id"]))
    chunks = []
    with open(job["data"], "rb") as f:
        for offset in job["offsets"]:
            f.seek(offset)
            chunks.append(f.read(job["chunkBytes"]))
    cd = job["cd"]
    try:
        ours_encoded = run_pass(ours, 0, cd, chunks)[0]
        peer_encoded = run_pass(peer, 0, cd, chunks)[0]
    except RuntimeError as error:  # numbers that a filter does not code, such as NaN
        skipped = "%s of %s: a chunk is refused" % (error, os.path.basename(job["data"]))
        return {"skipped": skipped}
    ours_back = run_pass(ours, REVERSE, cd, peer_encoded)[0]
    peer_back = run_pass(peer, REVERSE, cd, ours_encoded)[0]
    if job["lossless"] and (ours_back != chunks or peer_back != chunks):
        raise AssertionError("%s: the two plugins do not read each other's bytes" % job["key"])
    sides = (ours, peer)
    return {
        "peer": kind,
        "nbytes": sum(map(len, chunks)),
        "oursBytes": sum(map(len, ours_encoded)),
        "peerBytes": sum(map(len, peer_encoded)),
        "encode": alternate(sides, 0, cd, (chunks, chunks), rounds),
        "decode": alternate(sides, REVERSE, cd, (peer_encoded, peer_encoded), rounds),
    }


def main():
    # Chunk-sized buffers from the heap, as in a process that has read chunks before: page faults would drown the filters.
    LIBC.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
    LIBC.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
    order = json.load(sys.stdin)
    theirs, own = peers(), built_in()
    for job in order["jobs"]:
        peer = theirs.get(job["id"]) or own.get(job["id"])
        if peer is None:
            where = "libhdf5 exports" if job["id"] in BUILT_IN else "hdf5plugin has"
            print(json.dumps({"key": job["key"], "skipped": "%s no filter %d" % (where, job["id"])}), flush=True)
            continue
        kind = "hdf5plugin" if job["id"] in theirs else "libhdf5"
        answer = apart(lambda: compare(job, peer, kind, order["rounds"]), LIMIT)
        if "error" in answer:
            if answer["error"].startswith("AssertionError"):
                raise SystemExit(answer["error"])
            answer = {"skipped": "%s's filter %d of %s: %s" % (kind, job["id"], os.path.basename(job["data"]), answer["error"])}
        print(json.dumps({"key": job["key"], **answer}), flush=True)


main()
