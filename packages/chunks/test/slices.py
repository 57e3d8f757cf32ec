# Writes one HDF5 file with every layout, chunk index and kind of number, virtual and external data among them, and prints
# what numpy makes of a few slices of each: [path, slice, shape, SHA-256 of the values in native byte order].
import hashlib, json, sys
import h5py, numpy as np

path, libver = sys.argv[1], sys.argv[2]
SLICES = [
    [],
    [3],
    [[1, 5]],
    [[None, None, 3], [-4, None]],
    [-1, [2, 9, 2]],
    [[5, 2]],
    [[-100, 100], 0],
]
a = (np.arange(7 * 11) * 37 % 251).reshape(7, 11)
rows = []


def cut(s):
    return tuple(x if isinstance(x, int) else slice(None) if x is None else slice(*x) for x in s)


with h5py.File(path, "w", libver=libver) as f:
    def add(name, data, **how):
        f.create_dataset(name, data=data, **how)

    for code in "<i1 <u1 <i2 >i2 <u4 >u4 <i8 >u8 <f2 >f2 <f4 >f4 <f8 >f8".split():
        add("t" + code.replace("<", "l").replace(">", "b"), a.astype(code), chunks=(3, 4), compression="gzip")
    i = a.astype("<i4")
    add("contiguous", i)
    add("single", i, chunks=(7, 11), shuffle=True)
    add("implicit", i, chunks=(2, 5))
    add("fixed", i, chunks=(2, 5), fletcher32=True)
    add("growing", i, chunks=(2, 5), maxshape=(None, 11), compression="gzip", shuffle=True)
    add("wider", i, chunks=(2, 5), maxshape=(7, None), compression="gzip")
    add("wider, higher", i, chunks=(2, 5), maxshape=(20, None))
    wide = f.create_dataset("wide, in part", (7, 11), "<i4", chunks=(2, 3), maxshape=(7, None), shuffle=True, fillvalue=-7)
    wide[3:5, 0:4] = 9
    add("middle", np.arange(7 * 11 * 5).reshape(7, 11, 5).astype("<i4"), chunks=(2, 3, 4), maxshape=(9, None, 5))
    add("growing2", i, chunks=(2, 5), maxshape=(None, None))
    sparse = f.create_dataset("sparse", (7, 11), "<i2", chunks=(3, 3), fillvalue=-7, compression="gzip")
    sparse[4:6, 4:8] = 5
    f.create_dataset("unwritten", (7, 11), "<f4", fillvalue=1.5)
    f.create_dataset("empty", (0, 11), "<f4", chunks=(1, 11), maxshape=(None, 11))
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((7, 11))
    h5py.h5d.create(f.id, b"compact", h5py.h5t.STD_I32BE, space, dcpl).write(h5py.h5s.ALL, h5py.h5s.ALL, a.astype("<i4"))
    for name, d in f.items():
        for s in SLICES:
            if d.shape[0] == 0 and s and isinstance(s[0], int):
                continue
            v = np.asarray(d[()][cut(s)])
            v = v.astype("<f4") if v.dtype.kind == "f" and v.dtype.itemsize == 2 else v.astype(v.dtype.newbyteorder("<"))
            rows.append(["/" + name, s, list(v.shape), hashlib.sha256(np.ascontiguousarray(v).tobytes()).hexdigest()])
    c = np.zeros(9, dtype=[("x", "<f4"), ("y", "<i2")])
    c["x"] = np.arange(9)
    add("compound", c, chunks=(4,))
    add("words", np.array(["a", "b"], dtype=object), dtype=h5py.string_dtype())
    f.create_dataset("external", (4,), "<i4", external=[("raw.bin", 8, 16)])
    layout = h5py.VirtualLayout(shape=(4, 11), dtype="<i4")
    layout[0:2, 0:11:2] = h5py.VirtualSource("other.h5", "d", shape=(2, 6))
    layout[2:4] = h5py.VirtualSource(".", "contiguous", shape=(7, 11))[0:2]
    f.create_virtual_dataset("virtual", layout)
    f.create_dataset("masked", (4, 4), "<u1", chunks=(4, 4), compression="gzip").id.write_direct_chunk((0, 0), bytes(range(16)), 1)
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_chunk((64,))
    for _ in range(32):
        dcpl.set_shuffle()
    h5py.h5d.create(f.id, b"thirty-two", h5py.h5t.STD_U8LE, h5py.h5s.create_simple((64,)), dcpl).write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(64, dtype="u1"))
print(json.dumps(rows))
