#!/usr/bin/env python3
"""Every CUDA kernel of h5z on a real GPU: right bytes first, then speed. Needs NVIDIA's driver and Python, nothing else.

usage: python3 gpu_test.py [--out FILE] [--bytes N] [--correctness] [--quick] [--device N] [--driver LIBRARY] [--no-sanitizer]

The folder that this lies in was made by `./farm gpu-test`: cases.json says what there is, data.bin holds the chunks, kernels/ the
PTX that `./farm build` made, cpu/ the same filters for the processor, nvcomp/ (where it was asked for) NVIDIA's published library.

Prints one JSON object, and writes it to FILE too; what it is doing goes to stderr. Exit status:
    0   every kernel answered as it should
    1   some did not: "failures" says which
    77  there is no GPU that can be used here: "reason" says why

In the result, GB are 10^9 bytes, of decoded data unless a name says otherwise; times are the device's own, by events, best and
median of several rounds, with all data in the device's memory.
"""

import argparse
import concurrent.futures
import ctypes
import datetime
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
NO_GPU = 77
OUTPUT, CORRUPT, UNSUPPORTED = -3, -2, -4
CHUNK, STATE, SCRATCH = 32, 16, 16  # h5z_gpu_chunk, h5z_gpu_state, H5Z_GPU_SCRATCH
SHAPES = [(1, 32), (3, 64), (7, 128), (5, 32)]  # parts of a chunk, lanes of a group
GUARD = 0xA5


def say(text):
    print("gpu-test:", text, file=sys.stderr, flush=True)


class NoGpu(Exception):
    pass


class CudaError(Exception):
    pass


class Cuda:
    """The driver API by ctypes: https://docs.nvidia.com/cuda/cuda-driver-api/"""

    def __init__(self, library, ordinal):
        try:
            self.lib = ctypes.CDLL(library)
        except OSError as error:
            raise NoGpu("no NVIDIA driver: %s" % error) from None
        version, count, device, context = ctypes.c_int(), ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p()
        try:
            self.call("cuDriverGetVersion", ctypes.byref(version))
            if version.value < 9000:
                raise NoGpu("the driver is for CUDA %d.%d, and 9.0 is the oldest that reads the kernels"
                            % (version.value // 1000, version.value % 1000 // 10))
            self.call("cuInit", 0)
            self.call("cuDeviceGetCount", ctypes.byref(count))
            if ordinal >= count.value:
                raise NoGpu("the driver has %d GPUs for this process, and number %d was asked for" % (count.value, ordinal))
            self.call("cuDeviceGet", ctypes.byref(device), ordinal)
        except (CudaError, AttributeError) as error:
            raise NoGpu(str(error)) from None
        name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
        self.call("cuDeviceGetName", name, 255, device)
        self.call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
        attribute = lambda which: self.number("cuDeviceGetAttribute", ctypes.c_int, which, device)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)
        self.facts = {
            "device": name.value.decode(),
            "computeCapability": [attribute(75), attribute(76)],
            "multiprocessors": attribute(16),
            "memoryBytes": memory.value,
            "driver": "%d.%d" % (version.value // 1000, version.value % 1000 // 10),
        }
        self.stream = self.new_stream()

    def call(self, name, *arguments):
        result = getattr(self.lib, name)(*arguments)
        if result != 0:
            text = ctypes.c_char_p()
            known = self.lib.cuGetErrorName(result, ctypes.byref(text)) == 0 and text.value
            raise CudaError("%s said %s" % (name, text.value.decode() if known else "error %d" % result))

    def number(self, name, kind, *arguments):
        value = kind()
        self.call(name, ctypes.byref(value), *arguments)
        return value.value

    def new_stream(self):
        return ctypes.c_void_p(self.number("cuStreamCreate", ctypes.c_void_p, 1))

    def allocate(self, size):
        return self.number("cuMemAlloc_v2", ctypes.c_uint64, ctypes.c_size_t(max(size, 1)))

    def free(self, *addresses):
        for address in addresses:
            self.call("cuMemFree_v2", ctypes.c_uint64(address))

    def free_bytes(self):
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def pinned(self, size):
        return self.number("cuMemHostAlloc", ctypes.c_void_p, ctypes.c_size_t(size), 0)

    def upload(self, to, data):
        if data:
            self.call("cuMemcpyHtoD_v2", ctypes.c_uint64(to), bytes(data), ctypes.c_size_t(len(data)))

    def upload_async(self, to, host, size, stream):
        self.call("cuMemcpyHtoDAsync_v2", ctypes.c_uint64(to), ctypes.c_void_p(host), ctypes.c_size_t(size), stream)

    def download(self, address, size):
        out = ctypes.create_string_buffer(max(size, 1))
        if size:
            self.call("cuMemcpyDtoH_v2", out, ctypes.c_uint64(address), ctypes.c_size_t(size))
        return out.raw[:size]

    def copy(self, to, address, size):
        self.call("cuMemcpyDtoDAsync_v2", ctypes.c_uint64(to), ctypes.c_uint64(address), ctypes.c_size_t(size), self.stream)

    def fill(self, address, byte, size):
        self.call("cuMemsetD8Async", ctypes.c_uint64(address), ctypes.c_ubyte(byte), ctypes.c_size_t(size), self.stream)

    def module(self, text):
        return ctypes.c_void_p(self.number("cuModuleLoadDataEx", ctypes.c_void_p, text, 0, None, None))

    def kernel(self, module, name):
        return ctypes.c_void_p(self.number("cuModuleGetFunction", ctypes.c_void_p, module, name.encode()))

    def launch(self, kernel, groups, lanes, parameter, stream=None):
        held = ctypes.create_string_buffer(parameter, len(parameter))
        pointers = (ctypes.c_void_p * 1)(ctypes.cast(held, ctypes.c_void_p))
        self.call("cuLaunchKernel", kernel, groups, 1, 1, lanes, 1, 1, 0, stream or self.stream, pointers, None)

    def event(self, stream=None):
        event = ctypes.c_void_p(self.number("cuEventCreate", ctypes.c_void_p, 0))
        self.call("cuEventRecord", event, stream or self.stream)
        return event

    def wait(self, stream, event):
        self.call("cuStreamWaitEvent", stream, event, 0)

    def milliseconds(self, first, last):
        self.call("cuEventSynchronize", last)
        return self.number("cuEventElapsedTime", ctypes.c_float, first, last)

    def finish(self):
        self.call("cuCtxSynchronize")

    def timed(self, work, rounds):
        """Best and median of some rounds of `work`, in milliseconds, after one that is not counted."""
        times = []
        for i in range(rounds + 1):
            first = self.event()
            work()
            last = self.event()
            elapsed = self.milliseconds(first, last)
            if i > 0:
                times.append(elapsed)
            for event in (first, last):
                self.call("cuEventDestroy_v2", event)
        return min(times), statistics.median(times)


def parts_of(count, largest, groups=4096):
    """As @h5z/gpu has it: groups for a whole GPU, and none with less than 8 KiB to do."""
    return max(1, min(-(-groups // count), -(-largest // 8192)))


class Batch:
    """Chunks of one pipeline as launches. `stages` are in the order of decoding; `rooms[k]` are the sizes behind stage k."""

    def __init__(self, tests, stages, chunks, parts, lanes, direction="decode", src=None, dst=None):
        """`chunks` are (src offset, size, dst offset, rooms), offsets in the memory at `src` and `dst`, (address, bytes)."""
        cuda, self.parts, self.count = tests.cuda, parts, len(chunks)
        self.tests, self.cuda, self.made, self.launches = tests, cuda, [], []
        states = bytearray()
        for _, size, _, _ in chunks:
            states += struct.pack("<QiI", size, 0, 0)
        self.states = [self.memory(states)] + [self.memory(bytes(len(states))) for _ in stages]
        source, places = src, [chunk[0] for chunk in chunks]
        for k, stage in enumerate(stages):
            rooms = [chunk[3][k] for chunk in chunks]
            if k + 1 == len(stages):
                goal, targets = dst, [chunk[2] for chunk in chunks]
            else:
                targets, end = [], 0
                for room in rooms:
                    targets.append(end)
                    end += -(-room // 16) * 16
                goal = (self.room(end), end)
            table = bytearray()
            for at, to, room in zip(places, targets, rooms):
                table += struct.pack("<QQQII", at, to, room, 0, 0)
            scratch = (parts + 1) * len(chunks) * SCRATCH + goal[1] * stage["scratch"][direction]
            cd = stage["cd"]
            parameter = struct.pack("<10Q4I", source[0], source[1], goal[0], goal[1], self.room(scratch), scratch,
                                    self.memory(table), self.states[k], self.states[k + 1],
                                    self.memory(struct.pack("<%dI" % len(cd), *cd)), len(cd), len(chunks), parts, 0)
            for name in tests.filters[stage["filter"]][direction]:
                self.launches.append((tests.kernels[name], lanes[stage["filter"]] if isinstance(lanes, dict) else lanes, parameter))
            source, places = goal, targets

    def room(self, size):
        self.made.append(self.cuda.allocate(size))
        return self.made[-1]

    def memory(self, data):
        address = self.room(len(data))
        self.cuda.upload(address, data)
        return address

    def run(self, stream=None):
        for kernel, lanes, parameter in self.launches:
            self.cuda.launch(kernel, self.count * self.parts, lanes, parameter, stream)

    def answers(self):
        """(size, status) of every chunk."""
        self.cuda.finish()
        raw = self.cuda.download(self.states[-1], self.count * STATE)
        return [struct.unpack_from("<Qi", raw, i * STATE) for i in range(self.count)]

    def close(self):
        self.cuda.free(*self.made)
        self.made = []


class Tests:
    def __init__(self, cuda, cases, data):
        self.cuda, self.cases, self.data = cuda, cases, data
        self.failures, self.filters, self.kernels, self.results = [], {}, {}, {}
        for one in cases["kernels"]:
            with open(os.path.join(HERE, one["file"]), "rb") as file:
                text = file.read()
            assert hashlib.sha256(text).hexdigest() == one["sha256"], one["file"] + " is not what cases.json describes"
            begun = time.monotonic()
            module = cuda.module(text + b"\0")
            for name in one["decode"] + one["encode"]:
                self.kernels[name] = cuda.kernel(module, name)
            self.filters[one["filter"]] = one
            self.results[one["filter"]] = {"sha256": one["sha256"], "compileMs": round((time.monotonic() - begun) * 1e3, 1),
                                           "golden": 0, "refused": 0, "damaged": 0, "encoded": 0}

    def bytes_of(self, case):
        return self.data[case["offset"]:case["offset"] + case["bytes"]]

    def check(self, good, *words):
        if not good:
            text = " ".join(str(word) for word in words)
            self.failures.append(text)
            if len(self.failures) <= 20:
                say("WRONG: " + text)
        return good

    def run(self, name, cd, chunks, shape, direction="decode"):
        """[(bytes, room)] -> [(status, bytes)], at all alignments, with guards between that must stay."""
        src, places, ends, at = bytearray(), [], [], 16
        for i, (content, room) in enumerate(chunks):
            src += bytes(-len(src) % 16 + i % 8)
            places.append(len(src))
            src += content
            at = -(-at // 16) * 16 + i % 5
            ends.append(at)
            at += room + 16
        address, target = self.cuda.allocate(len(src)), self.cuda.allocate(at)
        self.cuda.upload(address, src)
        self.cuda.fill(target, GUARD, at)
        self.cuda.finish()
        stage = {"filter": name, "cd": cd, "scratch": {"decode": True, "encode": True}}
        rows = [(places[i], len(content), ends[i], [room]) for i, (content, room) in enumerate(chunks)]
        batch = Batch(self, [stage], rows, shape[0], shape[1], direction, (address, len(src)), (target, at))
        batch.run()
        answers = batch.answers()
        out = self.cuda.download(target, at)
        batch.close()
        self.cuda.free(address, target)
        end, found = 0, []
        for (size, status), place, (_, room) in zip(answers, ends, chunks):
            self.check(out[end:place] == bytes([GUARD]) * (place - end), name, cd, shape, "wrote between its chunks")
            end = place + room
            self.check(size <= room, name, cd, shape, "claims more than its room")
            found.append((status, out[place:place + size]))
        self.check(out[end:] == bytes([GUARD]) * (at - end), name, cd, shape, "wrote behind its chunks")
        return found

    def groups(self, cases):
        groups = {}
        for case in cases:
            groups.setdefault((case["filter"], tuple(case["cd"])), []).append(case)
        return groups.items()

    def golden(self):
        left = {}
        for (name, cd), cases in self.groups(self.cases["golden"]):
            for shape in SHAPES:
                answers = self.run(name, cd, [(self.bytes_of(case), case["size"]) for case in cases], shape)
                for case, (status, out) in zip(cases, answers):
                    if status == UNSUPPORTED and case.get("mayRefuse"):
                        self.results[name]["refused"] += 1
                        if not case["refused"]:
                            left.setdefault(name, []).append(case["name"])
                        continue
                    good = self.check(status == 0 and hashlib.sha256(out).hexdigest() == case["sha256"], name, case["name"], shape,
                                      "status", status)
                    self.results[name]["golden"] += good
                sound = [(out, case.get("encoded")) for case, (status, out) in zip(cases, answers) if status == 0]
                if self.filters[name]["encode"] and sound:
                    self.encoded(name, cd, sound, shape)
        # What no rule of filter.json leaves to the CPU is what cd_values say nothing of: few chunks.
        for name, names in left.items():
            most = 0.1 * len(SHAPES) * sum(case["filter"] == name for case in self.cases["golden"])
            self.check(len(names) <= most, name, "leaves too many chunks to the CPU", sorted(set(names)))

    def encoded(self, name, cd, originals, shape):
        """Decodes to the original again; where that cannot be, because the filter is lossy, it is what the filter makes."""
        encoded = self.run(name, cd, [(one, len(one) * 2 + 4096) for one, _ in originals], shape, "encode")
        if any(status == UNSUPPORTED for status, _ in encoded):
            return
        again = self.run(name, cd, [(out, len(one)) for (one, _), (_, out) in zip(originals, encoded)], shape)
        for (one, digest), (_, made), (status, out) in zip(originals, encoded, again):
            right = out == one if digest is None else hashlib.sha256(made).hexdigest() == digest
            self.results[name]["encoded"] += self.check(status == 0 and right, name, cd, shape, "does not encode")

    def damaged(self):
        for (name, cd), cases in self.groups(self.cases["damaged"]):
            for shape in SHAPES[-2:]:
                answers = self.run(name, cd, [(self.bytes_of(case), case["size"]) for case in cases], shape)
                for case, (status, out) in zip(cases, answers):
                    if status == UNSUPPORTED and case.get("mayRefuse"):
                        continue
                    digest = hashlib.sha256(out).hexdigest() if status == 0 else None
                    good = self.check((status, digest) == (case["status"], case.get("sha256")), name, case["name"], shape,
                                      "status", status, "for", case["status"])
                    self.results[name]["damaged"] += good


class Speed:
    """What the kernels do on frames, in the device's memory, beside a plain copy."""

    def __init__(self, tests, most, rounds):
        self.tests, self.cuda, self.most, self.rounds, self.rows = tests, tests.cuda, most, rounds, []
        self.lanes = {one["filter"]: one["lanes"] for one in tests.cases["kernels"]}

    def gbs(self, size, ms):
        return round(size / ms / 1e6, 2) if ms > 0 else None

    def row(self, what, data, size, times, **more):
        best, median = times
        self.rows.append({"what": what, "data": data, "decodedBytes": size, "bestMs": round(best, 4), "medianMs": round(median, 4),
                          "bestGBs": self.gbs(size, best), "medianGBs": self.gbs(size, median), **more})
        say("%s, %s: %s GB/s" % (what, data, self.rows[-1]["medianGBs"]))

    def copy(self):
        a, b = self.cuda.allocate(self.most), self.cuda.allocate(self.most)
        self.row("device-to-device copy", "any", self.most, self.cuda.timed(lambda: self.cuda.copy(b, a, self.most), self.rounds),
                 note="bytes copied; each is read once and written once")
        self.cuda.free(a, b)

    def placed(self, content, count):
        """`count` copies of a chunk in the device's memory: (address, bytes), offsets."""
        step = -(-len(content) // 256) * 256
        address = self.cuda.allocate(step * count)
        self.cuda.upload(address, content)
        for i in range(1, count):
            self.cuda.copy(address + i * step, address, len(content))
        self.cuda.finish()
        return (address, step * count), [i * step for i in range(count)]

    def same(self, what, target, size, count, digest):
        """Whether all outputs are what they should be."""
        first = self.cuda.download(target, size)
        self.tests.check(hashlib.sha256(first).hexdigest() == digest, what, "decodes to other bytes")
        for i in range(1, count):
            if not self.tests.check(self.cuda.download(target + i * size, size) == first, what, "chunk", i, "differs"):
                break

    def frame(self, frame):
        """One frame's chunk, as often as fits: the shape that @h5z/gpu takes, and others beside it."""
        size, what = frame["size"], frame["what"]
        count = max(1, self.most // size)
        src, places = self.placed(self.tests.bytes_of(frame), count)
        target = self.cuda.allocate(size * count)
        rows = [(places[i], frame["bytes"], i * size, frame["rooms"]) for i in range(count)]
        usual = parts_of(count, size)
        others = [(4096, 64), (16384, 32), (16384, 64), (65536, 32), (1024, 32)]
        for groups, lanes in [(4096, None)] + (others if self.rounds > 1 else []):
            parts = parts_of(count, size, groups)
            if lanes is not None and parts == usual and groups != 4096:
                continue
            batch = Batch(self.tests, frame["stages"], rows, parts, lanes or self.lanes, src=src, dst=(target, size * count))
            self.cuda.fill(target, GUARD, size * count)
            times = self.cuda.timed(batch.run, self.rounds if lanes is None else 3)
            statuses = {status for _, status in batch.answers()}
            self.tests.check(statuses == {0}, what, frame["data"], "statuses", statuses)
            self.same("%s of %s" % (what, frame["data"]), target, size, count, frame["sha256"])
            self.row(what, frame["data"], size * count, times, chunks=count, storedBytes=frame["bytes"] * count,
                     parts=parts, lanes=lanes or [self.lanes[stage["filter"]] for stage in frame["stages"]], usual=lanes is None)
            batch.close()
        self.cuda.free(src[0], target)

    def both_ways(self, frame):
        """What the device encodes by itself: the frame, and what came of it decoded again."""
        size = frame["size"]
        if not frame["bothWays"]:
            return
        count = max(1, self.most // size)
        stored, _ = self.placed(self.tests.bytes_of(frame), 1)
        step = -(-size // 256) * 256
        src, places = (self.cuda.allocate(step * count), step * count), [i * step for i in range(count)]
        first = Batch(self.tests, frame["stages"], [(0, frame["bytes"], 0, frame["rooms"])], 8, self.lanes, src=stored, dst=src)
        first.run()
        self.cuda.finish()
        first.close()
        for place in places[1:]:
            self.cuda.copy(src[0] + place, src[0], size)
        room = -(-max(stage["room"] for stage in frame["bothWays"]) // 256) * 256
        middle, target = (self.cuda.allocate(room * count), room * count), self.cuda.allocate(size * count)
        for stage in frame["bothWays"]:
            sizes = [size] * count
            for direction, source, places_in, goal, ends, most in (
                    ("encode", src, places, middle, [i * room for i in range(count)], stage["room"]),
                    ("decode", middle, [i * room for i in range(count)], (target, size * count),
                     [i * size for i in range(count)], size)):
                rows = [(places_in[i], sizes[i], ends[i], [most]) for i in range(count)]
                batch = Batch(self.tests, [stage], rows, parts_of(count, size), self.lanes, direction, source, goal)
                times = self.cuda.timed(batch.run, self.rounds)
                sizes, statuses = zip(*batch.answers())
                self.tests.check(set(statuses) == {0}, stage, direction)
                stored_bytes = sum(sizes) if direction == "encode" else None
                self.row("%s %s" % (stage["what"], direction), frame["data"], size * count, times, chunks=count, usual=True,
                         **({"storedBytes": stored_bytes} if stored_bytes else {}))
                batch.close()
            self.same(stage["what"], target, size, count, stage.get("sha256", frame["sha256"]))
        self.cuda.free(stored[0], src[0], middle[0], target)

    def end_to_end(self, frame):
        """Stored chunks from pinned memory to decoded frames on the device: what is uploaded, and what is decoded, when."""
        cuda, size, batches = self.cuda, frame["size"], 8 if self.rounds > 1 else 3
        count = max(1, self.most // size // batches)
        content = self.tests.bytes_of(frame)
        step = -(-len(content) // 256) * 256
        host = cuda.pinned(step * count)
        for i in range(count):
            ctypes.memmove(host + i * step, content, len(content))
        sources, target = [cuda.allocate(step * count) for _ in range(2)], cuda.allocate(size * count)
        rows = [(i * step, len(content), i * size, frame["rooms"]) for i in range(count)]
        sides = [Batch(self.tests, frame["stages"], rows, parts_of(count, size), self.lanes, src=(source, step * count),
                       dst=(target, size * count)) for source in sources]
        up, down, free, marks = cuda.new_stream(), cuda.new_stream(), [None, None], []
        alone = cuda.event(up)
        cuda.upload_async(sources[0], host, step * count, up)
        upload_ms = cuda.milliseconds(alone, cuda.event(up))
        sides[0].run(down)
        cuda.finish()
        start = cuda.event(up)
        for i in range(batches):
            side = i % 2
            if free[side]:
                cuda.wait(up, free[side])
            begun = cuda.event(up)
            cuda.upload_async(sources[side], host, step * count, up)
            there = cuda.event(up)
            cuda.wait(down, there)
            first = cuda.event(down)
            sides[side].run(down)
            free[side] = cuda.event(down)
            marks.append((begun, there, first, free[side]))
        cuda.finish()
        line = [[round(cuda.milliseconds(start, mark), 3) for mark in one] for one in marks]
        total = line[-1][3]
        self.same("end to end " + frame["what"], target, size, count, frame["sha256"])
        for side in sides:
            self.tests.check({status for _, status in side.answers()} == {0}, "end to end", frame["what"])
            side.close()
        cuda.free(target, *sources)
        cuda.call("cuMemFreeHost", ctypes.c_void_p(host))
        return {"what": frame["what"], "data": frame["data"], "batches": batches, "storedBytes": len(content) * count * batches,
                "decodedBytes": size * count * batches, "ms": total, "decodedGBs": self.gbs(size * count * batches, total),
                "storedGBs": self.gbs(len(content) * count * batches, total),
                "uploadAloneGBs": self.gbs(step * count, upload_ms),
                "timeline": {"columns": ["upload from", "to", "decode from", "to"], "unit": "ms", "batches": line}}


class Nvcomp:
    """NVIDIA's own LZ4 on the same blocks: the wheel nvidia-libnvcomp-cu12 or -cu13, version 6, declared from its nvcomp/lz4.h."""

    class Options(ctypes.Structure):  # nvcompBatchedLZ4DecompressOpts_t; all 0: nvCOMP's defaults
        _fields_ = [("backend", ctypes.c_int), ("sort", ctypes.c_int), ("type", ctypes.c_int), ("bitshuffle", ctypes.c_int),
                    ("reserved", ctypes.c_char * 48)]

    UNSIGNED = {1: 1, 2: 3, 4: 5, 8: 7}  # nvcompType_t by bytes
    LOW_BITS_FIRST = 2

    def __init__(self, speed):
        self.speed, self.cuda = speed, speed.cuda
        wheels = glob.glob(os.path.join(HERE, "nvcomp", "*.whl"))
        if not wheels:
            raise OSError("the folder has no nvcomp/*.whl: ./farm gpu-test --nvcomp WHEEL puts it there")
        with zipfile.ZipFile(wheels[0]) as wheel:
            names = [name for name in wheel.namelist() if re.search(r"/libnvcomp\.so\.6$", name)]
            if not names:
                raise OSError("%s has no libnvcomp.so.6" % os.path.basename(wheels[0]))
            with tempfile.TemporaryDirectory() as folder:
                self.lib = ctypes.CDLL(wheel.extract(names[0], folder))
        self.wheel = os.path.basename(wheels[0])

    def blocks(self, frame):
        """(stored bytes, decoded offset, decoded size) of the LZ4 blocks of a chunk, and what else there is: (bytes, offset)."""
        chunk, found, other = self.speed.tests.bytes_of(frame), [], []
        size, block = struct.unpack_from(">QI", chunk)
        bitshuffle = frame["stages"][0]["filter"] == "bitshuffle"
        tail = size % (8 * frame["stages"][0]["cd"][2]) if bitshuffle else 0
        at, done = 12, 0
        while done < size - tail:
            length, want = struct.unpack_from(">I", chunk, at)[0], min(block, size - tail - done)
            content = chunk[at + 4:at + 4 + length]
            if not bitshuffle and length == want:
                other.append((content, done))
            else:
                found.append((content, done, want))
            at, done = at + 4 + length, done + want
        other.append((chunk[at:], done))
        return found, other

    def frame(self, frame):
        cuda, size = self.cuda, frame["size"]
        stage = frame["stages"][0]
        if len(frame["stages"]) > 1 or stage["filter"] not in ("lz4", "bitshuffle"):
            return
        count = max(1, self.speed.most // size)
        found, other = self.blocks(frame)
        packed, places = bytearray(), []
        for content, _, _ in found:
            packed += bytes(-len(packed) % 16)
            places.append(len(packed))
            packed += content
        src, copies = self.speed.placed(bytes(packed), count)
        middle, target = cuda.allocate(size * count), cuda.allocate(size * count)
        for i in range(count):
            for content, at in other:
                cuda.upload(middle + i * size + at, content)
        rows = [(src[0] + copy + place, len(content), want, i * size + at) for i, copy in enumerate(copies)
                for place, (content, at, want) in zip(places, found)]
        word = lambda values: struct.pack("<%dQ" % len(values), *values)
        made = [word([row[0] for row in rows]), word([row[1] for row in rows]), word([row[2] for row in rows]), bytes(8 * len(rows)),
                word([middle + row[3] for row in rows]), bytes(4 * len(rows))]
        arrays = [cuda.allocate(len(one)) for one in made]
        for address, one in zip(arrays, made):
            cuda.upload(address, one)
        total, temporary = sum(row[2] for row in rows), []

        def decode(options):
            room = ctypes.c_size_t()
            largest = max(row[2] for row in rows)
            good = self.lib.nvcompBatchedLZ4DecompressGetTempSize(
                ctypes.c_size_t(len(rows)), ctypes.c_size_t(largest), options, ctypes.byref(room), ctypes.c_size_t(total), cuda.stream)
            temporary.append(cuda.allocate(room.value))
            pointer = [ctypes.c_void_p(address) for address in arrays]
            arguments = (*pointer[:4], ctypes.c_size_t(len(rows)), ctypes.c_void_p(temporary[-1]), room, pointer[4], options, pointer[5],
                         cuda.stream)
            if good != 0 or self.lib.nvcompBatchedLZ4DecompressAsync(*arguments) != 0:
                raise CudaError("nvCOMP refused the blocks")
            return lambda: self.lib.nvcompBatchedLZ4DecompressAsync(*arguments)

        def right(address):
            cuda.finish()
            return hashlib.sha256(cuda.download(address + (count - 1) * size, size)).hexdigest() == frame["sha256"]

        plain = decode(self.Options())
        if stage["filter"] == "lz4":
            times = cuda.timed(plain, self.speed.rounds)
            self.speed.row("nvCOMP LZ4", frame["data"], total, times, blocks=len(rows), right=right(middle))
        else:
            elem = stage["cd"][2]
            unshuffle = Batch(self.speed.tests, [{"filter": "bitshuffle", "cd": [0, 4, elem, 0, 0],
                                "scratch": {"decode": False, "encode": False}}],
                              [(i * size, size, i * size, [size]) for i in range(count)], parts_of(count, size), self.speed.lanes,
                              src=(middle, size * count), dst=(target, size * count))
            times = cuda.timed(lambda: (plain(), unshuffle.run()), self.speed.rounds)
            self.speed.row("nvCOMP LZ4, then bitshuffle", frame["data"], size * count, times, blocks=len(rows), right=right(target))
            unshuffle.close()
            both = decode(self.Options(type=self.UNSIGNED[elem], bitshuffle=self.LOW_BITS_FIRST))
            times = cuda.timed(both, self.speed.rounds)
            self.speed.row("nvCOMP LZ4 with its own bitshuffle", frame["data"], total, times, blocks=len(rows), right=right(middle))
        cuda.free(src[0], middle, target, *arrays, *temporary)


class Filter(ctypes.Structure):
    """The start of h5z_filter: packages/abi/include/h5z/filter.h."""
    _fields_ = [("version", ctypes.c_uint32), ("size", ctypes.c_uint32), ("id", ctypes.c_uint32), ("flags", ctypes.c_uint32)] + [
        (name, ctypes.c_void_p) for name in ("name", "title", "text", "derive", "encode_bound", "decoded_size", "encode")] + [
        ("decode", ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t,
                                    ctypes.c_void_p, ctypes.c_size_t))]


def on_cpu(tests, frames):
    """The same frames by the filters' own code, a chunk for each processor."""
    threads, rows = os.cpu_count() or 1, []
    libraries = {}
    for path in glob.glob(os.path.join(HERE, "cpu", "libh5z_*.so")):
        try:
            library = ctypes.CDLL(path)
        except OSError as error:  # another kind of processor than x86-64
            say("the processor's own code does not load here: %s" % error)
            continue
        library.h5z_filter_v1.restype = ctypes.POINTER(Filter)
        libraries[os.path.basename(path)[len("libh5z_"):-len(".so")]] = library.h5z_filter_v1().contents
    for frame in frames:
        if any(stage["filter"] not in libraries for stage in frame["stages"]):
            continue
        content = tests.bytes_of(frame)

        def decode(_):
            data, out = content, None
            for stage, room in zip(frame["stages"], frame["rooms"]):
                out = ctypes.create_string_buffer(room)
                cd = (ctypes.c_uint32 * max(1, len(stage["cd"])))(*stage["cd"])
                size = libraries[stage["filter"]].decode(cd, len(stage["cd"]), data, len(data), out, room)
                if size != room:
                    return None
                data = out.raw if stage is not frame["stages"][-1] else out
            return out

        tests.check(hashlib.sha256(decode(0) or b"").hexdigest() == frame["sha256"], "the processor decodes", frame["what"], "otherwise")
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            for jobs in (threads, max(threads, min(8 * threads, (1 << 30) // frame["size"] or 1))):
                begun = time.monotonic()
                for _ in pool.map(decode, range(jobs)):
                    pass
                seconds = time.monotonic() - begun
        rows.append({"what": frame["what"], "data": frame["data"], "threads": threads, "chunks": jobs,
                     "GBs": round(jobs * frame["size"] / seconds / 1e9, 3)})
        say("processor, %s, %s: %s GB/s" % (frame["what"], frame["data"], rows[-1]["GBs"]))
    return rows


def sanitize(options):
    """The correctness tests again under compute-sanitizer, where it is installed and works."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return {"ran": False, "reason": "compute-sanitizer is not installed"}
    command = [tool, "--tool", "memcheck", "--error-exitcode", "99", sys.executable, os.path.abspath(__file__), "--correctness",
               "--no-sanitizer", "--quick", "--device", str(options.device), "--driver", options.driver]
    say("compute-sanitizer")
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240)
    except subprocess.TimeoutExpired:
        return {"ran": False, "reason": "not done after 240 s"}
    text = done.stdout.decode(errors="replace")
    if "ERROR SUMMARY" not in text:
        return {"ran": False, "reason": text[-600:]}
    clean = done.returncode == 0 and "ERROR SUMMARY: 0 errors" in text
    return {"ran": True, "clean": clean, **({} if clean else {"output": text[-4000:]})}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", help="also write the result here")
    parser.add_argument("--bytes", type=int, default=4 << 30, help="decoded bytes of a benchmark; less where memory is short")
    parser.add_argument("--correctness", action="store_true", help="no benchmarks")
    parser.add_argument("--quick", action="store_true", help="each thing once, in fewer shapes: speeds mean nothing then")
    parser.add_argument("--device", type=int, default=0)
    parser.add_argument("--driver", default="nvcuda.dll" if os.name == "nt" else "libcuda.so.1", help="the driver's library")
    parser.add_argument("--no-sanitizer", action="store_true")
    options = parser.parse_args()
    if options.quick:
        SHAPES[:] = [(3, 32)]

    with open(os.path.join(HERE, "cases.json")) as file:
        cases = json.load(file)
    result = {"format": 1, "made": cases["made"], "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
              "host": "%s %s, %d processors, Python %s" % (platform.system(), platform.machine(), os.cpu_count() or 1,
                                                          platform.python_version())}

    def answer(status):
        text = json.dumps(result, indent=1)
        print(text)
        if options.out:
            with open(options.out, "w") as file:
                file.write(text + "\n")
        return status

    try:
        cuda = Cuda(options.driver, options.device)
    except NoGpu as error:
        result.update(gpu=False, ok=False, reason=str(error))
        say("NO GPU, NOTHING WAS TESTED: %s" % error)
        return answer(NO_GPU)
    result.update(gpu=True, **cuda.facts)
    say("%(device)s, driver for CUDA %(driver)s" % cuda.facts)

    with open(os.path.join(HERE, "data.bin"), "rb") as file:
        data = file.read()
    tests = None
    try:
        tests = Tests(cuda, cases, data)
        say("golden chunks")
        tests.golden()
        say("damaged chunks")
        tests.damaged()
        result["kernels"] = tests.results
        if not options.no_sanitizer:
            result["sanitizer"] = sanitize(options)
            tests.check(result["sanitizer"].get("clean", True), "compute-sanitizer found errors")
        if not options.correctness:
            # A frame's stored chunks and what is decoded of them, and room for what is between.
            speed = Speed(tests, min(options.bytes, cuda.free_bytes() // 6), 1 if options.quick else 7)
            result["benchmarks"] = speed.rows
            speed.copy()
            for frame in cases["frames"]:
                speed.both_ways(frame)
                speed.frame(frame)
            try:
                nvcomp = Nvcomp(speed)
                for frame in cases["frames"]:
                    nvcomp.frame(frame)
                result["nvcomp"] = {"ran": True, "wheel": nvcomp.wheel}
            except (OSError, AttributeError, CudaError) as error:
                result["nvcomp"] = {"ran": False, "reason": str(error)}
                say("no nvCOMP: %s" % error)
            result["endToEnd"] = [speed.end_to_end(frame) for frame in cases["frames"] if frame["endToEnd"]]
            result["processor"] = on_cpu(tests, cases["frames"])
    except CudaError as error:
        (tests.failures if tests else result.setdefault("failures", [])).append(str(error))
        say("WRONG: %s" % error)
    if tests:
        result["failures"] = tests.failures
    result["ok"] = not result["failures"]
    say("all right" if result["ok"] else "%d FAILURES" % len(result["failures"]))
    return answer(0 if result["ok"] else 1)


if __name__ == "__main__":
    sys.exit(main())
