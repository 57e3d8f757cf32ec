# The peer of reading.ts: makes the files in the folder given as first argument, then answers each line (a file's name and a
# number of threads, what to do) with the seconds (of CPU time where it is one thread) that h5py takes to open it and read its
# dataset to a new array (read) or to one that is there (into), or to list its chunks, and a checksum. Blosc2 is the only filter
# of hdf5plugin that has threads of its own; it gets as many as we do.
import json, os, sys, time, zlib
import h5py, hdf5plugin, numpy as np

folder = sys.argv[1]
rng = np.random.default_rng(7)


def write(name, data, chunks, libver="latest", **how):
    path = os.path.join(folder, name + ".h5")
    with h5py.File(path, "w", libver=libver) as f:
        f.create_dataset("data", data=data, chunks=chunks, **how)


# Photon counts of a detector of 1062 x 1028 pixels with dead rows between its modules.
frames = rng.poisson(1.5, (40, 1062, 1028)).astype("<u4")
frames[:, ::97, :] = 0xFFFFFFFF
write("detector", frames, (1, 1062, 1028), **hdf5plugin.Bitshuffle(cname="lz4"))
# Temperatures on a grid, in steps of 0.01.
t, y, x = np.linspace(0, 12, 240)[:, None, None], np.linspace(-1.5, 1.5, 180)[:, None], np.linspace(0, 6, 360)
climate = np.round(280 + 20 * np.cos(y) + 3 * np.sin(t + x) + rng.normal(0, 0.3, (240, 180, 360)), 2).astype("<f4")
write("climate", climate, (24, 90, 180), "earliest", shuffle=True, **hdf5plugin.Zstd(clevel=5))
write("blosc2", climate, (24, 90, 180), **hdf5plugin.Blosc2(cname="zstd", clevel=5, filters=hdf5plugin.Blosc2.SHUFFLE))
write("rows", frames.reshape(-1, 1028)[:20000], (2, 1028), **hdf5plugin.Bitshuffle(cname="lz4"))
write("small-chunks", np.zeros((100000, 4), "u1"), (1, 4), maxshape=(None, 4))
del frames, climate
versions = {"hdf5plugin": hdf5plugin.version, "h5py": h5py.__version__, "HDF5 of h5py": h5py.version.hdf5_version}
print(json.dumps(versions), flush=True)
for line in sys.stdin:
    name, threads, what = line.split()
    os.environ["BLOSC_NTHREADS"] = threads
    clock = time.process_time if threads == "1" else time.perf_counter
    if what == "into":
        with h5py.File(os.path.join(folder, name + ".h5")) as f:
            data = np.empty_like(f["data"][()])
    start = clock()
    with h5py.File(os.path.join(folder, name + ".h5")) as f:
        if what == "list":
            chunks = []
            f["data"].id.chunk_iter(chunks.append)
            data = np.array([len(chunks)], "<u4")
        elif what == "into":
            f["data"].read_direct(data)
        else:
            data = f["data"][()]
    seconds = clock() - start
    print(json.dumps([seconds, zlib.crc32(data)]), flush=True)
