"""Makes the golden chunks of filter 32026. Run: python filters/blosc2/golden/make.py (h5py, hdf5plugin, python-blosc2; the corpus
of HDF5 files at H5Z_SHARED for what PyTables and the HDF Group wrote)."""

import io
import os
import pathlib
import sys

import blosc2
import h5py
import hdf5plugin
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import HDF5PLUGIN, Golden, counts, noise  # noqa: E402

golden = Golden(__file__)
CODECS = {"blosclz": 0, "lz4": 1, "lz4hc": 2, "zlib": 4, "zstd": 5}
data = counts(800, 4)


def slow(n: int, elem: int, step: int) -> bytes:
    """n elements of `elem` bytes that grow by 1 every `step`."""
    return b"".join((i // step).to_bytes(max(elem, 8), "little")[:elem] for i in range(n))


def array(name: str, shape: tuple[int, ...], client: list[int], dtype: str = "<i4", step: int = 3, note: str = "") -> bytes:
    """A chunk of more dimensions than one, made by hdf5plugin."""
    values = (np.arange(np.prod(shape)) // step % 250).astype(dtype).reshape(shape)
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("x", data=values, chunks=shape, compression=32026, compression_opts=tuple(client))
        file.flush()
        stored = list(dataset.id.get_create_plist().get_filter(0)[2])
        mask, chunk = dataset.id.read_direct_chunk((0,) * len(shape))
    assert mask == 0
    command = f"create_dataset(dtype='{dtype}', chunks={shape}, compression=32026, compression_opts={tuple(client)}); read_direct_chunk"
    return golden.add(name, bytes(chunk), stored, values.tobytes(), HDF5PLUGIN, command, note, values.itemsize)


for name, number in CODECS.items():
    for shuffle, word in {"none": 0, "byte": 1, "bit": 2, "delta": 3}.items():
        golden.h5(f"{name}-{shuffle}", [0, 0, 0, 0, 5, word, number], data, 4)
    golden.h5(f"{name}-blocks", [0, 1000, 0, 0, 1, 1, number], slow(2000, 4, 60), 4, "many blocks, the last one shorter")
    array(f"{name}-array", (20, 30), [0, 256, 0, 0, 5, 1, number])
golden.h5("level-0", [0, 0, 0, 0, 0, 1, 0], slow(100, 4, 7), 4, "not compressed")
golden.h5("zeros", [0, 0, 0, 0, 5, 1, 0], bytes(200_000), 8, "no chunk, a special value among the offsets")
golden.h5("ones", [0, 0, 0, 0, 5, 0, 1], b"\x01" * 10_000, 4, "streams that are runs")
golden.h5("noise", [0, 0, 0, 0, 5, 1, 0], noise(700), 4, "does not shrink")
golden.h5("seven-bytes", [0, 0, 0, 0, 5, 1, 0], b"h5zh5zh", 1)
for elem in (1, 2, 3, 7, 8, 12, 16, 24, 255, 256, 300):
    n = max(3000 // elem, 24)
    golden.h5(f"byte-{elem}", [0, 0, 0, 0, 5, 1, 1], slow(n, elem, 3), elem)
    golden.h5(f"bit-{elem}", [0, 0, 0, 0, 5, 2, 5], slow(n, elem, 3), elem)
    golden.h5(f"delta-{elem}", [0, 0, 0, 0, 5, 3, 1], slow(n, elem, 3), elem)
golden.h5("bit-n1001", [0, 0, 0, 0, 9, 2, 5], slow(1001, 4, 5), 4, "bits are shuffled in multiples of 8 elements only")
array("rank-2-one-column", (50, 1), [0, 0, 0, 0, 5, 1, 5])
array("rank-2-padded", (17, 33), [0, 256, 0, 0, 5, 1, 1], note="blocks reach over the edges")
array("rank-3", (5, 7, 9), [0, 0, 0, 0, 5, 2, 5], "<f8")
array("rank-3-small-blocks", (5, 7, 9), [0, 64, 0, 0, 5, 1, 5], "<i2")
array("rank-3-delta", (6, 20, 20), [0, 400, 0, 0, 5, 3, 5])
array("rank-4-bytes", (3, 4, 5, 6), [0, 100, 0, 0, 9, 0, 4], "u1")
array("rank-8", (2, 2, 3, 2, 2, 2, 2, 3), [0, 0, 0, 0, 5, 1, 0])
array("rank-9", (2,) * 9, [0, 0, 0, 0, 5, 1, 0], note="more than c-blosc2 before 3.0 takes")
array("rank-16", (2,) * 9 + (1,) * 7, [0, 0, 0, 0, 5, 1, 0], note="the last rank that fits")
array("rank-2-default", (64, 64), [0, 0, 0, 0])

PYTHON = {"tool": "python-blosc2", "version": f"{blosc2.__version__} (c-blosc2 {blosc2.blosclib_version.split()[0]})"}
F = blosc2.Filter


def schunk(name: str, note: str, content: bytes = data, chunk: int | None = None, elem: int = 4, decoded: bytes | None = None, **cparams) -> bytes:
    cparams = {"typesize": elem, "nthreads": 1, "codec": blosc2.Codec.LZ4, "clevel": 5, **cparams}
    frame = blosc2.SChunk(chunksize=chunk or len(content), data=content, contiguous=True, cparams=cparams).to_cframe()
    words = [1, 0, elem, len(content), 5, 1, 1]
    return golden.add(name, frame, words, decoded or content, PYTHON, f"SChunk(chunksize={chunk}, cparams={cparams}).to_cframe()", note, elem)


def whole(name: str, values: blosc2.NDArray, note: str, words: list[int] | None = None) -> bytes:
    shape, elem = values.shape, values.dtype.itemsize
    words = words if words is not None else [2, 0, elem, values.nbytes, 5, 1, 1, len(shape), *shape]
    return golden.add(name, values.to_cframe(), words, values[:].tobytes(), PYTHON, f"NDArray.to_cframe(), {shape}", note, elem)


schunk("two-filters", "delta, then shuffle", filters=[F.DELTA, F.SHUFFLE], filters_meta=[0, 0], blocksize=1000)
schunk("shuffle-bytedelta", "a filter of c-blosc2's plugins", filters=[F.SHUFFLE, F.BYTEDELTA], filters_meta=[0, 4], codec=blosc2.Codec.ZSTD)
schunk("shuffle-by-2", "shuffle told another element size", filters=[F.SHUFFLE], filters_meta=[2])
floats = (np.arange(1000) / 7).astype("<f4")
mask = np.uint32(0xFFFFFFFF << (23 - 10) & 0xFFFFFFFF)
schunk("truncated", "precision truncated to 10 bits", floats.tobytes(), decoded=(floats.view("<u4") & mask).tobytes(), filters=[F.TRUNC_PREC, F.SHUFFLE], filters_meta=[10, 0])
for name in ("ZSTD", "LZ4", "LZ4HC"):
    text = b"".join(b"measurement %d of detector %d; " % (i, i % 7) for i in range(1500))
    schunk(f"dictionary-{name.lower()}", "with a dictionary", text, elem=1, codec=blosc2.Codec[name], use_dict=True, filters=[F.NOFILTER], filters_meta=[0], blocksize=4096)
schunk("chunks", "several chunks, the last one shorter", slow(2500, 4, 9), 3000)
ramp = np.arange(600, dtype="<i4").reshape(20, 30)
cparams = {"codec": blosc2.Codec.LZ4, "clevel": 5, "nthreads": 1}
whole("array-chunks", blosc2.asarray(ramp, chunks=(9, 11), blocks=(4, 5), cparams=cparams), "chunks and blocks that reach over the edges")
whole("array-rank-1", blosc2.asarray(ramp.reshape(-1), chunks=(600,), blocks=(70,), cparams=cparams), "as revision 2 of the filter writes one dimension")
whole("array-four-words", blosc2.asarray(ramp, chunks=(20, 30), blocks=(7, 30), cparams=cparams), "as cd_values were before 2023: no more than four", [0, 0, 4, 2400])
whole("special-zeros", blosc2.zeros((20, 30), dtype="<f4", chunks=(20, 30), blocks=(5, 30)), "zeros")
whole("special-nan", blosc2.full((20, 30), np.nan, dtype="<f4", chunks=(9, 30), blocks=(5, 30)), "NaN")
whole("special-nan-8", blosc2.nans((20, 30), dtype="<f8", chunks=(20, 30), blocks=(5, 30)), "NaN")
whole("special-value", blosc2.full((20, 30), 77.5, dtype="<f8", chunks=(20, 30), blocks=(5, 30)), "one value")
uninit = blosc2.uninit((20, 30), dtype="<i4", chunks=(20, 30), blocks=(5, 30)).to_cframe()
golden.add("special-uninit", uninit, [1, 0, 4, 2400, 5, 1, 1, 2, 20, 30], bytes(2400), PYTHON, "uninit((20, 30)).to_cframe()", "no value: zeros", 4)

corpus = pathlib.Path(os.environ.get("H5Z_SHARED", "shared")) / "corpus/32026_blosc2"
with h5py.File(corpus / "hdfgroup__h5ex_d_blosc2.h5") as h5:
    dataset = h5["DS1"]
    words = list(dataset.id.get_create_plist().get_filter(0)[2])
    _, chunk = dataset.id.read_direct_chunk((0, 0))
    golden.add("hdfgroup", bytes(chunk), words, dataset[:4, :8].tobytes(), {"tool": "h5ex_d_blosc2", "version": "HDF5 plugins 1.14"}, "HDF Group's C example, first chunk", "", 4)

corrupt = "H5Z_E_CORRUPT"
files = {entry["name"]: golden.files[entry["file"]] for entry in golden.cases}
stored = {entry["name"]: entry["cdValues"] for entry in golden.cases}
plain, ranked, many = files["lz4-byte"], files["lz4-array"], files["chunks"]


def put(chunk: bytes, at: int, value: int, n: int = 4, order: str = "big") -> bytes:
    return chunk[:at] + value.to_bytes(n, order) + chunk[at + n :]


def refuse(name: str, chunk: bytes, note: str, error: str = corrupt, of: str = "lz4-byte", size: int | None = None) -> None:
    known = next(entry["size"] for entry in golden.cases if entry["name"] == of)
    golden.refuse(name, chunk, stored[of], error, known if size is None else size, note)


def header(chunk: bytes) -> int:
    return int.from_bytes(chunk[11:15], "big")


first, inside = header(plain), header(ranked)
refuse("no-bytes", b"", "nothing at all")
refuse("header-cut", plain[:86], "half a header")
refuse("header-only", plain[:97], "a header without chunks")
refuse("cut", plain[:-1], "the last byte is missing")
refuse("magic", put(plain, 3, 0x33, 1), "not a frame")
refuse("frame-version-9", put(plain, 25, 0x19, 1), "a frame from the future", "H5Z_E_VERSION")
refuse("offsets-32", put(plain, 25, 0x02, 1), "offsets of 32 bits", "H5Z_E_UNSUPPORTED")
refuse("folder", put(plain, 26, 1, 1), "the header of a frame that is a folder", "H5Z_E_UNSUPPORTED")
refuse("header-huge", put(plain, 11, 0x7FFFFFFF), "a header longer than the frame")
refuse("chunks-huge", put(plain, 39, 2**40, 8), "chunks longer than the frame")
refuse("size-huge", put(plain, 30, 2**40, 8), "claims 1 TiB")
refuse("size-larger", put(plain, 30, len(data) + 4, 8), "claims an element more", "H5Z_E_OUTPUT")
refuse("chunk-size-0", put(plain, 58, 0), "chunks without bytes")
refuse("typesize-0", put(plain, 48, 0), "elements without bytes")
refuse("chunk-version-7", put(plain, first, 7, 1), "a chunk from the future", "H5Z_E_VERSION")
refuse("chunk-lazy", put(plain, first + 31, 8, 1), "a chunk that is not there", "H5Z_E_UNSUPPORTED")
refuse("chunk-vl-blocks", put(plain, first + 30, 1, 1), "blocks of various lengths", "H5Z_E_UNSUPPORTED")
refuse("chunk-flags", put(plain, first + 30, 2, 1), "a flag from the future", "H5Z_E_VERSION")
refuse("chunk-special-6", put(plain, first + 31, 0x60, 1), "a special value from the future", "H5Z_E_VERSION")
refuse("chunk-codec", put(plain, first + 2, plain[first + 2] & 31 | 6 << 5, 1), "a codec of a plugin", "H5Z_E_UNSUPPORTED")
refuse("chunk-snappy", put(plain, first + 2, plain[first + 2] & 31 | 2 << 5, 1), "a codec that Blosc2 gave up", "H5Z_E_UNSUPPORTED")
refuse("chunk-filter", put(plain, first + 20, 32, 1), "a filter of a plugin", "H5Z_E_UNSUPPORTED")
refuse("chunk-dictionary", put(files["blosclz-byte"], first + 31, 1, 1), "a codec that has no dictionaries")
refuse("chunk-start-negative", put(plain, first + 32, 0xFFFFFFF0, 4, "little"), "a block that starts before the chunk")
start = first + int.from_bytes(plain[first + 32 : first + 36], "little")
refuse("stream-huge", put(plain, start, 0x7FFFFFFF, 4, "little"), "a stream longer than the chunk")
refuse("stream-run-of-300", put(plain, start, 2**32 - 300, 4, "little"), "a run of what is no byte")
index = first + int.from_bytes(plain[39:47], "big")
refuse("index-size", put(plain, index + 4, 16, 4, "little"), "more offsets than chunks")
refuse("index-behind", put(plain, index + 32, 2**40, 8, "little"), "a chunk that starts behind the frame")
refuse("index-special", put(plain, index + 32, 0x83 << 56, 8, "little"), "a special value that offsets cannot tell")
shape, chunk_shape, block_shape = 117, 136, 147
assert ranked[shape - 1] == 0xD3 and ranked[chunk_shape - 1] == 0xD2 and ranked[block_shape - 1] == 0xD2, ranked[100:200].hex()
refuse("array-rank-17", put(ranked, shape - 3, 17, 1), "17 dimensions", of="lz4-array")
refuse("array-shape-other", put(ranked, shape, 21, 8), "another shape than cd_values say", of="lz4-array")
refuse("array-shape-huge", put(ranked, shape, 2**62, 8), "a dimension that is no size", of="lz4-array")
refuse("array-chunk-0", put(ranked, chunk_shape, 0), "a chunk without elements", of="lz4-array")
refuse("array-block-0", put(ranked, block_shape, 0), "a block without elements", of="lz4-array")
refuse("array-block-huge", put(ranked, block_shape, 0x7FFFFFFF), "a block larger than memory", of="lz4-array")
golden.refuse("revision-3", plain, [3, *stored["lz4-byte"][1:]], "H5Z_E_VERSION", len(data), "a revision of the filter from the future")
golden.refuse("rank-words", ranked, stored["lz4-array"][:-1], "H5Z_E_PARAM", 2400, "cd_values that end before the last dimension")
refuse("too-small", plain, "a good chunk, one byte less room", "H5Z_E_OUTPUT", size=len(data) - 1)
refuse("too-small-chunks", many, "a good frame of several chunks, one byte less room", "H5Z_E_OUTPUT", of="chunks", size=9999)
golden.write()
