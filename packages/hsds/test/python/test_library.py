"""h5z_hsds without HSDS: the table's checks, every golden chunk through ctypes, pipelines, masks, numcodecs.

Run by packages/hsds/test/python.test.ts: argv holds the folder of the repository's filters.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import unittest

import numpy

import h5z_hsds
from h5z_hsds import plan
from h5z_hsds.errors import H5zError
from h5z_hsds.library import dataset_of
from h5z_hsds.pipeline import Pipeline, Stage
from h5z_hsds.table import FOLDER, FilterTable

FILTERS = os.environ["H5Z_FILTERS"]
ERRORS = {"H5Z_E_CORRUPT", "H5Z_E_OUTPUT"}


class Golden(unittest.TestCase):
    def test_every_golden_chunk(self):
        seen = 0
        for entry in h5z_hsds.filter_table().entries:
            folder = os.path.join(FILTERS, entry.name, "golden")
            with open(os.path.join(folder, "index.json"), encoding="utf-8") as file:
                index = json.load(file)
            library = entry.library()
            for case in index["cases"]:
                with self.subTest(filter=entry.name, case=case["name"]), open(os.path.join(folder, case["file"]), "rb") as f:
                    decoded = library.decode(case["cdValues"], f.read(), case["size"])
                    self.assertEqual(decoded.size, case["size"])
                    if "sha256" in case:
                        self.assertEqual(hashlib.sha256(decoded.tobytes()).hexdigest(), case["sha256"])
                    seen += 1
            for bad in index.get("bad", ()):
                with self.subTest(filter=entry.name, bad=bad["name"]), open(os.path.join(folder, bad["file"]), "rb") as f:
                    with self.assertRaises(H5zError) as caught:
                        library.decode(bad["cdValues"], f.read(), bad["size"])
                    # A claim larger than the room is our error before it is the filter's.
                    self.assertTrue(caught.exception.code == bad["error"]
                                    or {caught.exception.code, bad["error"]} <= ERRORS, caught.exception)
        self.assertGreater(seen, 50)


class Pipelines(unittest.TestCase):
    def setUp(self):
        self.table = h5z_hsds.filter_table()
        self.data = (numpy.arange(64 * 64, dtype="<i4") // 7).reshape(64, 64)

    def stages(self, *names):
        dataset = dataset_of(self.data.dtype, self.data.shape, self.data.shape)
        stages = []
        for name in names:
            entry = self.table.entry(name)
            stages.append(Stage(entry, entry.library().derive(entry.library().parse(""), dataset)))
        return stages

    def test_round_trips_in_order(self):
        for names in (["shuffle", "zstd"], ["bitshuffle"], ["shuffle", "deflate", "fletcher32"], ["scaleoffset", "zstd"],
                      ["nbit", "lz4"], ["fletcher32", "bzip2"], ["shuffle", "lzf", "fletcher32", "zstd"]):
            with self.subTest(names=names):
                pipeline = Pipeline(self.stages(*names))
                encoded, mask, skipped = pipeline.encode(self.data)
                self.assertEqual((mask, skipped), (0, []))
                self.assertEqual(pipeline.decode(encoded, self.data.nbytes).tobytes(), self.data.tobytes())

    def test_mask_skips_a_stage(self):
        stages = self.stages("shuffle", "zstd", "fletcher32")
        encoded, _, _ = Pipeline([stages[0], stages[2]]).encode(self.data)
        decoded = Pipeline(stages).decode(encoded, self.data.nbytes, 0b010)
        self.assertEqual(decoded.tobytes(), self.data.tobytes())

    def test_a_broken_library_that_the_mask_skips_is_not_needed(self):
        stages = self.stages("shuffle", "zstd")
        encoded, _, _ = Pipeline(stages[:1]).encode(self.data)
        entry = type("Broken", (), {"library": lambda self: self.fail("loaded")})()
        pipeline = Pipeline([stages[0], Stage(entry, [])])
        self.assertEqual(pipeline.decode(encoded, self.data.nbytes, 0b10).tobytes(), self.data.tobytes())

    def test_wrong_sizes_and_damage_are_errors(self):
        pipeline = Pipeline(self.stages("shuffle", "zstd"))
        encoded, _, _ = pipeline.encode(self.data)
        for chunk, size in ((encoded[:-9], self.data.nbytes), (encoded, self.data.nbytes - 4), (encoded, self.data.nbytes + 4)):
            with self.assertRaises(H5zError):
                pipeline.decode(chunk, size)

    def test_a_filter_that_does_not_suit_a_chunk_is_masked_and_nothing_is_lost(self):
        entry = self.table.entry("zstd")

        class Refusing:
            def library(self):
                return self

            def encode(self, cd_values, data):
                raise H5zError.of_filter(-7, "refusing")

        pipeline = Pipeline([Stage(Refusing(), []), Stage(entry, [3])])
        encoded, mask, skipped = pipeline.encode(self.data)
        self.assertEqual(mask, 1)
        self.assertEqual(skipped[0].code, "H5Z_E_NOT_APPLICABLE")
        stored = plan.pack(encoded, mask)
        chunk, found = plan.unpack(stored)
        self.assertEqual(pipeline.decode(chunk, self.data.nbytes, found).tobytes(), self.data.tobytes())

    def test_a_chunk_that_looks_like_a_mask_header_is_kept_apart(self):
        for data in (b"\x89h5z-mask\r\n\x01" + bytes(range(40)), b"plain", b""):
            self.assertEqual(bytes(plan.unpack(plan.pack(data, 0))[0]), data)
            chunk, mask = plan.unpack(plan.pack(data, 5))
            self.assertEqual((bytes(chunk), mask), (data, 5))


class Parameters(unittest.TestCase):
    def setUp(self):
        self.table = h5z_hsds.filter_table()

    def test_words_cd_values_and_hdf5_json_options(self):
        zfp = self.table.entry("zfp").library()
        words = plan.client_values({"class": "H5Z_FILTER_USER", "id": 32013, "mode": "accuracy", "tolerance": 0.25}, zfp)
        dataset = dataset_of(numpy.dtype("<f4"), (64, 64))
        stored = zfp.derive(words, dataset)
        self.assertIn("accuracy", zfp.print(stored))
        self.assertEqual(zfp.adapt(stored, dataset), stored)
        self.assertNotEqual(zfp.adapt(stored, dataset_of(numpy.dtype("<f4"), (32, 32))), stored)
        deflate = self.table.entry("deflate").library()
        self.assertEqual(plan.client_values({"class": "H5Z_FILTER_DEFLATE", "level": 7}, deflate), [7])
        scale = {"class": "H5Z_FILTER_SCALEOFFSET", "scaleType": "H5Z_SO_FLOAT_DSCALE", "scaleOffset": 2}
        self.assertEqual(plan.client_values(scale, self.table.entry("scaleoffset").library()), [0, 2])

    def test_bad_parameters_are_named(self):
        zstd = self.table.entry("zstd").library()
        for item in ({"parameters": ["x"]}, {"parameters": [-1]}, {"parameters": [1 << 32]}, {"level": 99}, {"speed": 3},
                     {"level": [1]}):
            with self.subTest(item=item), self.assertRaises(H5zError) as caught:
                plan.client_values({"id": 32015, **item}, zstd)
            self.assertEqual(caught.exception.code, "H5Z_E_PARAM")

    def test_lossy_filters_without_parameters_are_not_guessed(self):
        items = [{"class": "H5Z_FILTER_USER", "id": 32013}]
        with self.assertRaises(H5zError) as caught:
            plan.linked_pipeline(items, self.table, lambda: dataset_of(numpy.dtype("<f4"), (64, 64)))
        self.assertIn("hsload", str(caught.exception))


class Table(unittest.TestCase):
    def copied(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        shutil.copytree(os.path.join(FOLDER, "filters"), os.path.join(folder, "filters"))
        shutil.copy(os.path.join(FOLDER, "installed.json"), folder)
        return folder

    def edit(self, folder, change):
        path = os.path.join(folder, "installed.json")
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        change(data)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(data, file)

    def code(self, work):
        with self.assertRaises(H5zError) as caught:
            work()
        self.assertIn("; ", str(caught.exception))
        return caught.exception.code

    def test_a_changed_or_absent_library_is_refused_and_the_others_go_on(self):
        folder = self.copied()
        table = FilterTable(folder)
        path = table.entry("zstd").path
        with open(path, "r+b") as file:
            file.seek(1000)
            file.write(b"\xff\x00\xff")
        self.assertEqual(self.code(table.entry("zstd").library), "H5Z_INTEGRITY")
        os.remove(path)
        self.assertEqual(self.code(table.entry("zstd").library), "H5Z_MISSING_FILE")
        self.assertEqual(table.entry("lz4").library().id, 32004)

    def test_another_architecture_another_abi_another_filter(self):
        folder = self.copied()
        with open(FilterTable(folder).entry("zstd").path, "rb") as file:
            foreign = bytearray(file.read())
        foreign[18:20] = b"\xf3\x00"  # e_machine: RISC-V
        path = os.path.join(folder, "filters", "zstd", "foreign.so")
        with open(path, "wb") as file:
            file.write(foreign)

        def point(data):
            for item in data["filters"]:
                if item["name"] == "zstd":
                    item.update(file="filters/zstd/foreign.so", size=len(foreign), sha256=hashlib.sha256(foreign).hexdigest())
                if item["name"] == "lz4":
                    item["id"] = 32099
        self.edit(folder, point)
        table = FilterTable(folder)
        self.assertEqual(self.code(table.entry("zstd").library), "H5Z_NATIVE_LOAD")
        self.assertEqual(self.code(table.entry("lz4").library), "H5Z_INTEGRITY")

    def test_another_platform_no_list_and_unknown_filters(self):
        folder = self.copied()
        self.assertEqual(self.code(lambda: FilterTable(folder).entry(32999)), "H5Z_MISSING_FILTER")
        self.edit(folder, lambda data: data.update(platform="win32-arm64"))
        self.assertEqual(self.code(lambda: FilterTable(folder)), "H5Z_NO_PLATFORM")
        for text in ("", "{}", "[]", '{"version": "1", "platform": "x", "filters": [{}]}'):
            with open(os.path.join(folder, "installed.json"), "w", encoding="utf-8") as file:
                file.write(text)
            self.assertEqual(self.code(lambda: FilterTable(folder)), "H5Z_NOT_INSTALLED")

    def test_aliases(self):
        self.assertEqual(h5z_hsds.filter_table().entry(32010).name, "blosc")


class Numcodecs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            import numcodecs  # noqa: F401
        except ImportError:
            raise unittest.SkipTest("numcodecs is not installed") from None

    def test_every_filter_is_registered_and_round_trips(self):
        import numcodecs

        data = (numpy.arange(32 * 32) // 5 % 97).astype("<i4").reshape(32, 32)
        for name in ("zstd", "lz4", "bitshuffle", "bzip2", "lzf", "blosc2", "shuffle"):
            with self.subTest(name=name):
                codec = numcodecs.get_codec({"id": f"h5z_{name}", "dtype": "<i4", "shape": [32, 32]})
                again = numcodecs.get_codec(codec.get_config())
                self.assertEqual(again.get_config(), codec.get_config())
                decoded = numpy.frombuffer(again.decode(codec.encode(data)), "<i4").reshape(32, 32)
                self.assertTrue((decoded == data).all())

    def test_by_hdf5_id_with_a_file_s_cd_values(self):
        codec = h5z_hsds.numcodec(32008)(cd_values=[0, 5, 4, 0, 2], size=4096)
        data = numpy.arange(1024, dtype="<i4")
        self.assertEqual(bytes(codec.decode(codec.encode(data))), data.tobytes())
        self.assertIn("lz4", codec.describe())
        out = numpy.empty(1024, "<i4")
        codec.decode(codec.encode(data), out=out)
        self.assertTrue((out == data).all())

    def test_lossy_by_words(self):
        codec = h5z_hsds.numcodec("zfp")(mode="accuracy", tolerance=1e-3, dtype="<f4", shape=(64, 64))
        data = numpy.sin(numpy.arange(4096, dtype="<f4") / 100).reshape(64, 64)
        decoded = numpy.frombuffer(codec.decode(codec.encode(data)), "<f4").reshape(64, 64)
        self.assertLessEqual(float(abs(decoded - data).max()), 1e-3)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=1)
