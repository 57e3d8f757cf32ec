# Writes one HDF5 file with every layout, chunk index and kind of type that h5py can make, and prints the SHA-256 of each
# dataset's values as little-endian, C-order bytes with compounds packed.
import hashlib, json, sys
import h5py, numpy as np

path, libver = sys.argv[1], sys.argv[2]
digests = {}


def packed(dtype):
    if dtype.names:
        return np.dtype([(n, packed(dtype.fields[n][0])) for n in dtype.names])
    if dtype.subdtype:
        return np.dtype((packed(dtype.subdtype[0]), dtype.subdtype[1]))
    return dtype.newbyteorder("<")


with h5py.File(path, "w", libver=libver, userblock_size=512) as f:
    def add(name, data, **how):
        f.create_dataset(name, data=data, **how)

    a = np.arange(7 * 11, dtype="<i4").reshape(7, 11)
    add("contiguous", a)
    add("big", a.astype(">i4"), chunks=(3, 4), compression="gzip")
    add("single", a, chunks=(7, 11), shuffle=True)
    add("fixed", a, chunks=(2, 5), fletcher32=True)
    add("growing", a, chunks=(2, 5), maxshape=(None, 11), compression="gzip", shuffle=True)
    add("growing2", a, chunks=(2, 5), maxshape=(None, None))
    add("cube", np.arange(5 * 6 * 7, dtype="<u2").reshape(5, 6, 7), chunks=(2, 6, 3), compression="gzip")
    add("scalar", np.float64(2.5))
    add("text", np.array([b"ab", b"cdefg"], dtype="S5"))
    add("flags", np.array([True, False, True]))
    t = np.dtype({"names": ["x", "y", "z"], "formats": [">f4", "<i2", ("<u1", (3,))], "offsets": [4, 10, 16], "itemsize": 24})
    c = np.zeros(9, dtype=t)
    c["x"], c["y"], c["z"] = np.arange(9) / 4, np.arange(9) - 4, np.arange(27).reshape(9, 3)
    add("compound", c, chunks=(4,), compression="gzip")
    sparse = f.create_dataset("sparse", (10, 10), "<i2", chunks=(3, 3), fillvalue=-7, compression="gzip")
    sparse[4:6, 4:8] = 5
    f.create_dataset("unwritten", (4, 4), "<f4", fillvalue=1.5)
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(f.id, b"compact", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((7, 11)), dcpl).write(h5py.h5s.ALL, h5py.h5s.ALL, a)
    f.create_group("g").create_group("h")
    f["g/h/up"] = f["g"]
    f["g/again"] = f["contiguous"]
    f["soft"] = h5py.SoftLink("/g/again")
    f["nowhere"] = h5py.SoftLink("/none")
    f["other"] = h5py.ExternalLink("other.h5", "/x")
    for name, d in f.items():
        if f.get(name, getlink=True).__class__ is h5py.HardLink and isinstance(d, h5py.Dataset):
            v = d[()]
            v = np.asarray(v)
            digests["/" + name] = hashlib.sha256(np.ascontiguousarray(v.astype(packed(v.dtype))).tobytes()).hexdigest()
print(json.dumps(digests))
