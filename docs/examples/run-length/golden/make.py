"""Writes the golden chunks, by the layout at the top of src/filter.c and nothing of its code: another program, in another language."""

import hashlib
import json
import struct
from pathlib import Path

HERE = Path(__file__).parent
KINDS = {(1, 0): "B", (2, 0): "H", (4, 0): "I", (8, 0): "Q", (1, 1): "b", (2, 1): "h", (4, 1): "i", (8, 1): "q"}
cases, bad = [], []


def number(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def black(n):
    return bytes([256 - n]) if n < 128 else bytes([128]) + number(n - 128)


def pixels(values, log, signed, repeat=None):
    n = repeat or len(values)
    head = bytes([(64 if repeat else 0) | log << 4 | min(n - 1, 15)]) + (number(n - 16) if n > 15 else b"")
    kind = KINDS[1 << log, signed]
    return head + struct.pack(f"<{len(values)}{kind}", *values)


def add(name, size, tokens, values, signed=0, big=0, threshold=0, original=None, tail=b""):
    kind = KINDS[size, signed]
    decoded = struct.pack(f"{'><'[not big]}{len(values)}{kind}", *values) + tail
    chunk = struct.pack(">I", len(decoded)) + b"".join(tokens) + tail
    (HERE / f"{name}.bin").write_bytes(chunk)
    near = {"file": f"{name}.original.bin", "type": f"{'>' if big and size > 1 else ''}{'ui'[signed]}{size}", "maxError": threshold}
    (HERE / near["file"]).write_bytes(struct.pack(f"{'><'[not big]}{len(values)}{kind}", *(original or values)) + tail)
    cases.append({
        "name": name, "file": f"{name}.bin", "cdValues": [threshold, size, signed | (big and size > 1) << 1], "elementSize": size,
        "size": len(decoded), "sha256": hashlib.sha256(decoded).hexdigest(), "near": near,
        "tool": "golden/make.py", "version": "1", "command": "python3 golden/make.py",
    })  # fmt: skip


def refuse(name, chunk, error="H5Z_E_CORRUPT", cd=(0, 2, 0)):
    (HERE / f"bad-{name}.bin").write_bytes(chunk)
    bad.append({"name": name, "file": f"bad-{name}.bin", "cdValues": list(cd), "size": 16, "error": error})


for old in HERE.glob("*.bin"):
    old.unlink()
add("black", 4, [black(3000)], [0] * 3000)
add("spots", 2, [black(5), pixels([7, 300], 1, 0), black(127), pixels([9], 0, 0)], [0] * 5 + [7, 300] + [0] * 127 + [9])
add("marks", 4, [pixels([-2], 0, 1, 40), pixels(list(range(1, 21)), 0, 1), pixels([-70000, 5], 2, 1)],
    [-2] * 40 + list(range(1, 21)) + [-70000, 5], signed=1, big=1)  # fmt: skip
add("wide", 8, [pixels([2**40], 3, 0), black(1), pixels([2**31], 2, 0)], [2**40, 0, 2**31])
add("bytes", 1, [pixels([1, 2, 3], 0, 0), black(2), pixels([255], 0, 0, 4)], [1, 2, 3, 0, 0, 255, 255, 255, 255])
add("threshold", 2, [black(3), pixels([4, 0, 9], 0, 0)], [0, 0, 0, 4, 0, 9], threshold=3, original=[1, 3, 2, 4, 2, 9])
add("tail", 4, [pixels([6], 0, 0)], [6], tail=b"xyz")
refuse("header", b"\0\0\0")
refuse("cut", struct.pack(">I", 8) + black(3))
refuse("long", struct.pack(">I", 8) + black(5))
refuse("endless", struct.pack(">I", 8) + b"\x80\xff\xff\xff\xff\xff\xff")
refuse("wide", struct.pack(">I", 4) + pixels([1, 2], 2, 0))
refuse("behind", struct.pack(">I", 4) + black(2) + b"x")
refuse("pixel-of-3", struct.pack(">I", 4) + black(2), "H5Z_E_PARAM", (0, 3, 0))
refuse("few-words", struct.pack(">I", 4) + black(2), "H5Z_E_PARAM", (0, 2))
(HERE / "index.json").write_text(json.dumps({"filter": "run-length", "id": 63466, "cases": cases, "bad": bad}, indent=1) + "\n")
