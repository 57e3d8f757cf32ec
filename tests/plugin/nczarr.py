"""netCDF-C's own NCZarr, by ctypes: writes and reads Zarr stores with the plugins on HDF5_PLUGIN_PATH, and numcodecs beside it.

Jobs are a JSON list on standard input, answers a list on standard output:
  write     store, dtype, data (base64), chunk, filters [{id, cd}] -> {loaded: [libraries]}
  read      store, dtype, size                                    -> {data, loaded}
  encode    config, dtype, data                                   -> {chunk}: by numcodecs
  decode    config, chunk                                         -> {data}
An error of netCDF or numcodecs is {error: its text}.
"""
import base64
import ctypes
import glob
import importlib.util
import json
import os
import sys

TYPES = {"i1": 1, "i2": 3, "i4": 4, "f4": 5, "f8": 6, "u1": 7, "u2": 8, "u4": 9, "i8": 10, "u8": 11}
NC_NETCDF4, NC_CLOBBER, NC_ENDIAN_LITTLE, NC_ENDIAN_BIG = 0x1000, 0, 1, 2


def library():
    package = os.path.dirname(importlib.util.find_spec("netCDF4").origin)
    (path,) = glob.glob(os.path.join(os.path.dirname(package), "netcdf4.libs", "libnetcdf-*.so*"))
    nc = ctypes.CDLL(path)
    nc.nc_strerror.restype = ctypes.c_char_p

    def call(name, *args):
        status = getattr(nc, name)(*args)
        if status:
            raise RuntimeError(f"{name}: {nc.nc_strerror(status).decode()} ({status})")

    return call


def url(store):
    return f"file://{store}#mode=zarr,file".encode()


def loaded():
    with open("/proc/self/maps") as maps:
        names = {os.path.basename(line.split()[-1]) for line in maps if "/" in line}
    return sorted(name for name in names if name.startswith(("libh5z_", "lib__nc")))


def write(job):
    call = library()
    data = base64.b64decode(job["data"])
    dtype = job["dtype"]
    n = len(data) // int(dtype[2:])
    file, dim, var = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    call("nc_create", url(job["store"]), NC_NETCDF4 | NC_CLOBBER, ctypes.byref(file))
    call("nc_def_dim", file, b"x", ctypes.c_size_t(n), ctypes.byref(dim))
    call("nc_def_var", file, b"v", TYPES[dtype[1:]], 1, ctypes.byref(dim), ctypes.byref(var))
    call("nc_def_var_chunking", file, var, 0, ctypes.byref(ctypes.c_size_t(job["chunk"])))
    call("nc_def_var_endian", file, var, NC_ENDIAN_BIG if dtype[0] == ">" else NC_ENDIAN_LITTLE)
    for one in job["filters"]:
        cd = one["cd"]
        call("nc_def_var_filter", file, var, one["id"], ctypes.c_size_t(len(cd)), (ctypes.c_uint * max(1, len(cd)))(*cd))
    call("nc_enddef", file)
    call("nc_put_var", file, var, data)
    call("nc_close", file)
    return {"loaded": loaded()}


def read(job):
    call = library()
    file, var = ctypes.c_int(), ctypes.c_int()
    call("nc_open", url(job["store"]), 0, ctypes.byref(file))
    call("nc_inq_varid", file, b"v", ctypes.byref(var))
    data = ctypes.create_string_buffer(job["size"])
    call("nc_get_var", file, var, data)
    call("nc_close", file)
    return {"data": base64.b64encode(data.raw).decode(), "loaded": loaded()}


def encode(job):
    import numcodecs
    import numpy

    data = numpy.frombuffer(base64.b64decode(job["data"]), job["dtype"])
    return {"chunk": base64.b64encode(bytes(numcodecs.get_codec(job["config"]).encode(data))).decode()}


def decode(job):
    import numcodecs

    data = numcodecs.get_codec(job["config"]).decode(base64.b64decode(job["chunk"]))
    return {"data": base64.b64encode(bytes(data)).decode()}


def do(job):
    try:
        return {"write": write, "read": read, "encode": encode, "decode": decode}[job["do"]](job)
    except Exception as error:  # what a store or a codec refuses is the test's to judge
        return {"error": f"{type(error).__name__}: {error}"}


json.dump([do(job) for job in json.load(sys.stdin)], sys.stdout)
