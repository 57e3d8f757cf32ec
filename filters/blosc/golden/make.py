"""Makes the golden chunks of filter 32001. Run: python filters/blosc/golden/make.py (h5py, hdf5plugin, python-blosc; the corpus
of HDF5 files at H5Z_SHARED for what PyTables wrote long ago)."""

import os
import pathlib
import sys

import blosc
import h5py
import hdf5plugin

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests/golden"))
from golden import Golden, counts, noise  # noqa: E402

golden = Golden(__file__)
CODECS = {"blosclz": 0, "lz4": 1, "lz4hc": 2, "snappy": 3, "zlib": 4, "zstd": 5}
data = counts(800, 4)


def slow(n: int, elem: int, step: int) -> bytes:
    """n elements of `elem` bytes that grow by 1 every `step`."""
    return b"".join((i // step).to_bytes(max(elem, 8), "little")[:elem] for i in range(n))



for name, number in CODECS.items():
    for shuffle, word in {"none": 0, "byte": 1, "bit": 2}.items():
        golden.h5(f"{name}-{shuffle}", [0, 0, 0, 0, 5, word, number], data, 4)
    for level in (1, 9):
        golden.h5(f"{name}-{level}", [0, 0, 0, 0, level, 1, number], slow(2000, 2, 9), 2)
golden.h5("no-values", [], data, 4)
golden.h5("five-values", [0, 0, 0, 0, 7], data, 4)
for elem in (1, 2, 3, 7, 8, 12, 16, 24, 255, 256, 300):
    n = max(3000 // elem, 24)
    golden.h5(f"byte-{elem}", [0, 0, 0, 0, 5, 1, 1], slow(n, elem, 3), elem)
    golden.h5(f"bit-{elem}", [0, 0, 0, 0, 5, 2, 5], slow(n, elem, 3), elem)
for n in (33, 64, 127, 1000, 1001, 1007, 1008, 1015):
    golden.h5(f"bit-n{n}", [0, 0, 0, 0, 9, 2, 5], slow(n, 4, 5), 4, "bits are shuffled in multiples of 8 elements only")
for name, number in CODECS.items():
    golden.h5(f"{name}-blocks", [0, 0, 0, 0, 1, 1, number], slow(60_000, 4, 60), 4, "many blocks, the last one shorter")
golden.h5("zeros", [0, 0, 0, 0, 5, 1, 0], bytes(200_000), 8)
golden.h5("half-noise", [0, 0, 0, 0, 9, 0, 1], noise(2000) + bytes(6000), 1, "a stream kept raw")

PYTHON = {"tool": "python-blosc", "version": f"{blosc.__version__} (c-blosc {blosc.blosclib_version.split()[0]})"}
blosc.set_nthreads(1)


def python(name: str, content: bytes, note: str = "", **options) -> bytes:
    call = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return golden.add(name, blosc.compress(content, **options), [2, 2, 4, len(content), 5, 1, 0], content, PYTHON, f"blosc.compress(data, {call})", note)


python("copied", data, "level 0: the data behind the header", typesize=4, clevel=0)
python("noise", noise(700), "does not shrink: the data behind the header", typesize=4, cname="lz4")
python("one-byte", b"\x2a", typesize=1)
python("seven-bytes", bytes(7), "less than an element", typesize=8)
blosc.set_blocksize(1024)
python("blocks-1024", data[:3000], "blocks smaller than Blosc chooses; not a whole number of them", typesize=4, cname="lz4")
blosc.set_blocksize(0)
for mode in ("NEVER", "ALWAYS", "AUTO"):
    os.environ["BLOSC_SPLITMODE"] = mode
    python(f"split-{mode.lower()}", counts(1000, 2), f"BLOSC_SPLITMODE={mode}: whether each byte of an element has its own stream", typesize=2, cname="lz4", shuffle=blosc.SHUFFLE)
os.environ["BLOSC_SPLITMODE"] = "FORWARD_COMPAT"

corpus = pathlib.Path(os.environ.get("H5Z_SHARED", "shared")) / "corpus"
for file, path, old in (("32001_blosc/pytables__blosc_bigendian.h5", "i2", "early"), ("32010_blosc_old_id/pytables__hist_blosc_bigendian.h5", "i4", "id-32010")):
    with h5py.File(corpus / file) as h5:
        dataset = h5[path]
        _, chunk = dataset.id.read_direct_chunk((0,))
        words = list(dataset.id.get_create_plist().get_filter(0)[2])
        content = blosc.decompress(bytes(chunk))
    golden.add(f"pytables-{old}", bytes(chunk), words, content, {"tool": "PyTables", "version": "2.2"}, f"tables/tests, {file.split('__')[-1]}, /{path}", "before blocks could be whole")

corrupt = "H5Z_E_CORRUPT"
words = [2, 2, 4, len(data), 5, 1, 1]
good = golden.h5("lz4-byte", words, data, 4)
golden.cases.pop()


def put(chunk: bytes, at: int, value: int, n: int = 4) -> bytes:
    return chunk[:at] + value.to_bytes(n, "little") + chunk[at + n :]


def refuse(name: str, chunk: bytes, note: str, error: str = corrupt, size: int = len(data)) -> None:
    golden.refuse(name, chunk, words, error, size, note)


start = int.from_bytes(good[16:20], "little")
refuse("no-bytes", b"", "nothing at all")
refuse("header-cut", good[:15], "half a header")
refuse("header-only", good[:16], "a header without blocks")
refuse("cut", good[:-1], "the last byte is missing")
refuse("cut-with-length", put(good[:-1], 12, len(good) - 1), "the last byte is missing, and the header says so")
refuse("version-0", put(good, 0, 0, 1), "no version")
refuse("version-3", put(good, 0, 3, 1), "a version of Blosc2", "H5Z_E_VERSION")
refuse("codec-version-2", put(good, 1, 2, 1), "a codec's format from the future", "H5Z_E_VERSION")
refuse("delta", put(good, 2, good[2] | 8, 1), "a flag from the future", "H5Z_E_VERSION")
refuse("codec-5", put(good, 2, good[2] & 31 | 5 << 5, 1), "a codec nobody knows", "H5Z_E_VERSION")
refuse("codec-6", put(good, 2, good[2] & 31 | 6 << 5, 1), "a codec of the user's", "H5Z_E_UNSUPPORTED")
refuse("wrong-codec", put(good, 2, good[2] & 31 | 4 << 5, 1), "LZ4's bytes called zstd's")
refuse("typesize-0", put(good, 3, 0, 1), "elements without bytes")
refuse("block-0", put(good, 8, 0), "blocks without bytes")
refuse("block-negative", put(good, 8, 0x80000000), "negative block size")
refuse("block-1", put(good, 8, 1), "more blocks than their starts have room")
refuse("size-huge", put(good, 4, 0x7FFFFFFF), "claims 2 GiB, whose blocks there is no room for")
refuse("size-negative", put(good, 4, 0xFFFFFFFF), "negative size")
refuse("size-larger", put(good, 4, len(data) + 4), "claims an element more", "H5Z_E_OUTPUT")
refuse("size-smaller", put(good, 4, len(data) - 4), "claims an element less")
refuse("length-huge", put(good, 12, len(good) + 1), "longer than it is")
refuse("start-negative", put(good, 16, 0xFFFFFFF0), "a block that starts before the chunk")
refuse("start-behind", put(good, 16, len(good)), "a block that starts behind the chunk")
refuse("start-in-header", put(good, 16, 4), "a block that starts in the header")
refuse("stream-negative", put(good, start, 0xFFFFFFFF), "a stream of negative length")
refuse("stream-huge", put(good, start, 0x7FFFFFFF), "a stream longer than the chunk")
refuse("copied-cut", put(put(good, 2, good[2] | 2, 1), 4, len(data)), "said to be a copy, but too short")
for name in CODECS:
    chunk = next(golden.files[entry["file"]] for entry in golden.cases if entry["name"] == f"{name}-none")
    begin = int.from_bytes(chunk[16:20], "little")
    refuse(f"{name}-zeros", chunk[: begin + 4] + bytes(len(chunk) - begin - 4), "the codec's bytes are all zero")
refuse("too-small", good, "a good chunk, one byte less room", "H5Z_E_OUTPUT", len(data) - 1)
golden.write()
