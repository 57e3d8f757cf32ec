"""Makes a file with everything that repacking must keep, and compares two such files object by object.

usage: rewritten.py make FILE earliest|latest
       rewritten.py compare BEFORE AFTER      prints JSON: the differences, and the pipelines of the second file
"""

import json
import sys

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t


def make(path, libver):
    a = (np.arange(300 * 400) // 7 % 1000).astype("<i4").reshape(300, 400)
    with h5py.File(path, "w", libver=libver, userblock_size=1024, track_order=libver == "latest") as f:
        d = f.create_dataset("g/a", data=a, chunks=(64, 100), compression="gzip", shuffle=True, track_times=True)
        d.attrs["units"] = "mm"
        d.attrs["many"] = np.arange(10)
        d.attrs["text"] = ["ab", "cde"]
        for i in range(20):
            f["g"].attrs[f"attribute {i}"] = i  # dense storage
        f["g"].attrs["reference"] = d.ref
        f["g"].attrs["region"] = d.regionref[3:7, 10:20]
        f.attrs["reference of the root"] = d.ref
        f.create_dataset("contiguous", data=a.astype(">f8"))
        f.create_dataset("plain", data=a, chunks=(50, 50), maxshape=(None, None))
        f["named"] = np.dtype([("x", "<f4"), ("y", "<i2", (3,))])
        c = np.zeros(1000, dtype=f["named"].dtype)
        c["x"] = np.arange(1000)
        dcpl = h5p.create(h5p.DATASET_CREATE)
        dcpl.set_chunk((300,))
        dcpl.set_deflate(3)
        made = h5d.create(f.id, b"compound", f["named"].id, h5s.create_simple((1000,)), dcpl)
        made.write(h5s.ALL, h5s.ALL, c)
        f["compound"].attrs.create("typed", c[0], dtype=f["named"].dtype)
        f["compound"].attrs.get_id("typed")
        v = f.create_dataset("strings", (100,), dtype=h5py.string_dtype(), chunks=(30,), compression="gzip")
        v[...] = ["x" * i for i in range(100)]
        r = f.create_dataset("references", (4,), dtype=h5py.ref_dtype, chunks=(2,), compression="gzip")
        r[0] = d.ref
        r[2] = f["g"].ref
        f.create_dataset("regions", (2,), dtype=h5py.regionref_dtype)[0] = f["plain"].regionref[0:3, 5:9]
        pair = np.dtype([("n", "<i4"), ("r", h5py.ref_dtype)])
        f.create_dataset("pairs", (3,), dtype=pair, chunks=(2,), compression="gzip")[1] = (7, f["compound"].ref)
        f["hard"] = f["g/a"]
        f["soft"] = h5py.SoftLink("/g/a")
        f["external"] = h5py.ExternalLink("other.h5", "/x")
        f["dangling"] = h5py.SoftLink("/none")
        f["g/loop"] = f["g"]
        f.create_dataset("empty", (0, 5), "<f4", maxshape=(None, 5), chunks=(10, 5), compression="gzip")
        f.create_dataset("null", data=h5py.Empty("f"))
        f.create_dataset("scalar", data=3.5)
        s = f.create_dataset("sparse", (100, 100), "<i2", chunks=(30, 30), fillvalue=-7, compression="gzip")
        s[40:50, 10:20] = 5
        x = f.create_dataset("x", data=np.arange(300.0))
        x.make_scale("position")
        d.dims[0].attach_scale(x)
        f["plain"].dims[0].attach_scale(x)
        d.dims[1].label = "detector"
        f.create_dataset("one chunk", data=a.astype(">i4"), chunks=(300, 400), compression="gzip")
        dcpl = h5p.create(h5p.DATASET_CREATE)
        dcpl.set_layout(h5d.COMPACT)
        seven = np.arange(77, dtype="<i4").reshape(7, 11)
        h5d.create(f.id, b"compact", h5t.STD_I32LE, h5s.create_simple((7, 11)), dcpl).write(h5s.ALL, h5s.ALL, seven)
        dcpl = h5p.create(h5p.DATASET_CREATE)
        dcpl.set_chunk((10,))
        dcpl.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        dcpl.set_obj_track_times(True)
        early = np.arange(95, dtype="<i4")
        h5d.create(f.id, b"early", h5t.STD_I32LE, h5s.create_simple((95,)), dcpl).write(h5s.ALL, h5s.ALL, early)
        f.create_dataset("wide", data=a, chunks=(64, 100), maxshape=(300, None), shuffle=True)
    with open(path, "r+b") as f:
        f.write(b"what the user put before the file")


def plain(value, file):
    """A value as JSON can hold it, references as what they lead to."""
    if isinstance(value, h5py.RegionReference):
        if not value:
            return None
        return [file[value].name, [list(map(int, x)) for x in file[value].id.get_space().get_simple_extent_dims() and
                h5py.h5r.get_region(value, file.id).get_select_bounds()]]
    if isinstance(value, h5py.Reference):
        return file[value].name if value else None
    if isinstance(value, h5py.Empty):
        return repr(value)
    if isinstance(value, np.void) and value.dtype.names:
        return [plain(value[name], file) for name in value.dtype.names]
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return [plain(v, file) for v in value]
        return [str(value.dtype), value.shape, value.tobytes().hex()]
    if isinstance(value, (bytes, str)):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def facts_of(path):
    facts, pipelines, seen = {}, {}, {}
    with h5py.File(path, "r") as f:

        def attributes(o):
            return {
                name: [plain(o.attrs[name], f), str(o.attrs.get_id(name).dtype), o.attrs.get_id(name).get_type().committed()]
                for name in o.attrs
            }

        def enter(path, o):
            token = h5py.h5o.get_info(o.id).addr
            if token in seen:
                facts[path] = "same as " + seen[token]
                return
            seen[token] = path
            info = h5py.h5o.get_info(o.id)
            times = [info.atime, info.mtime, info.ctime, info.btime]
            fact = facts[path] = {"attributes": attributes(o), "links": info.rc, "times": times}
            if isinstance(o, h5py.Dataset):
                dcpl = o.id.get_create_plist()
                fact["type"] = [str(o.dtype), o.id.get_type().committed(), repr(o.id.get_type().encode())]
                fact["shape"] = [o.shape, o.maxshape]
                fact["fill"] = plain(o.fillvalue, f) if o.dtype.kind in "iuf" else None
                fact["values"] = plain(o[()], f)
                pipelines[path] = {
                    "filters": [dcpl.get_filter(i)[0] for i in range(dcpl.get_nfilters())],
                    "chunk": o.chunks,
                    "early": dcpl.get_alloc_time() == h5d.ALLOC_TIME_EARLY,
                    "chunks": o.id.get_num_chunks() if o.chunks else 0,
                }
            elif isinstance(o, h5py.Group):
                gcpl = o.id.get_create_plist()
                fact["order"] = [gcpl.get_link_creation_order(), list(o)]
                for name in o:
                    link = o.get(name, getlink=True)
                    where = path.rstrip("/") + "/" + name
                    if isinstance(link, h5py.SoftLink):
                        facts[where] = ["soft", link.path]
                    elif isinstance(link, h5py.ExternalLink):
                        facts[where] = ["external", link.filename, link.path]
                    else:
                        enter(where, o[name])

        enter("/", f["/"])
        facts["user block"] = f.userblock_size
    with open(path, "rb") as f:
        facts["user data"] = f.read(facts["user block"]).hex()
    return facts, pipelines


def compare(before, after):
    (old, _), (new, pipelines) = facts_of(before), facts_of(after)
    different = [
        {"object": name, "before": str(old.get(name))[:400], "after": str(new.get(name))[:400]}
        for name in sorted(old.keys() | new.keys())
        if json.dumps(old.get(name), default=str) != json.dumps(new.get(name), default=str)
    ]
    print(json.dumps({"objects": len(old), "different": different, "pipelines": pipelines}))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
