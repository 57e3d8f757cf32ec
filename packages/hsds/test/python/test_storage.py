"""HSDS's files in POSIX storage with H5Z_HSDS=1: each is the old one or the new one, whatever happens to the process that
writes, and what it leaves behind is neither a key nor there for ever.

Run by packages/hsds/test/python.test.ts. Each case is a process of its own, in which HSDS's own FileClient writes:
python test_storage.py BUCKET_FOLDER KEY SIZE [LIMIT [killed]]. LIMIT: bytes that a file may have (what a full disk is like);
killed: the system ends the process there, in the middle of the write.
"""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest

KEY = "db/01234567-89abcdef/d/0123-456789-abcdef/0_0"
PREFIX = "db/01234567-89abcdef/"
OLD, NEW = 200_000, 300_000
TEMPORARY = "db/.h5z_hsds"


def write(folder, key, size, limit=None, killed=None):
    from hsds.util.fileClient import FileClient

    client = FileClient({})
    if killed:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    bucket = os.path.basename(folder)
    try:
        answer = asyncio.run(client.put_object(key, content(int(size)), bucket=bucket))["Size"]
    except Exception as error:
        answer = getattr(error, "status", repr(error))
    print(json.dumps({"answer": answer, "keys": asyncio.run(client.list_keys(prefix=PREFIX, bucket=bucket))}))


def content(size):
    return bytes([size // 1000 % 251]) * size


class Storage(unittest.TestCase):
    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.folder = os.path.join(kept.name, "bucket")
        os.mkdir(self.folder)

    def write(self, size, *how, key=KEY, on=True):
        """What a process that writes answers; its signal where it was killed."""
        environment = {**os.environ, "ROOT_DIR": os.path.dirname(self.folder), "LOG_LEVEL": "ERROR", "H5Z_HSDS": str(int(on))}
        done = subprocess.run([sys.executable, __file__, self.folder, key, str(size), *map(str, how)], env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"killed": -done.returncode}

    def read(self, key=KEY):
        with open(os.path.join(self.folder, key), "rb") as file:
            return file.read()

    def temporaries(self):
        return os.listdir(os.path.join(self.folder, TEMPORARY))

    def test_new_and_replaced(self):
        for size in (OLD, NEW):
            self.assertEqual(self.write(size), {"answer": size, "keys": [KEY]})
            self.assertEqual(self.read(), content(size))
            self.assertEqual(self.temporaries(), [])

    def test_killed_in_the_middle(self):
        self.write(OLD)
        self.assertEqual(self.write(NEW, 100_000, "killed"), {"killed": signal.SIGXFSZ})
        self.assertEqual(self.read(), content(OLD))
        left, = self.temporaries()
        # Still young, so it may be another node's: the next write leaves it there, and nobody lists it.
        self.assertEqual(self.write(NEW), {"answer": NEW, "keys": [KEY]})
        self.assertEqual(self.temporaries(), [left])
        os.utime(os.path.join(self.folder, TEMPORARY, left), (time.time() - 3600,) * 2)
        self.write(OLD)
        self.assertEqual(self.temporaries(), [])
        # What HSDS does by itself.
        self.assertEqual(self.write(NEW, 100_000, "killed", on=False), {"killed": signal.SIGXFSZ})
        self.assertEqual(len(self.read()), 100_000)

    def test_full_disk(self):
        self.write(OLD)
        self.assertEqual(self.write(NEW, 100_000), {"answer": 500, "keys": [KEY]})
        self.assertEqual(self.read(), content(OLD))
        self.assertEqual(self.temporaries(), [])
        self.assertEqual(self.write(NEW, 100_000, on=False), {"answer": 500, "keys": [KEY]})
        self.assertEqual(len(self.read()), 100_000)

    def test_folder_on_another_disk(self):
        if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(self.folder).st_dev:
            self.skipTest("/dev/shm is no other disk here")
        key = "home/made/.domain.json"
        with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
            os.symlink(other, os.path.join(self.folder, "home"))
            for size in (OLD, NEW):
                self.write(OLD)  # the bucket has its `db`
                self.assertEqual(self.write(size, key=key)["answer"], size)
                self.assertEqual(self.read(key), content(size))
            self.assertEqual(self.write(OLD, 100_000, key=key)["answer"], 500)
            self.assertEqual(self.read(key), content(NEW))
        self.assertEqual(self.temporaries(), [])

    def test_off(self):
        self.assertEqual(self.write(OLD, on=False), {"answer": OLD, "keys": [KEY]})
        self.assertFalse(os.path.exists(os.path.join(self.folder, TEMPORARY)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write(*sys.argv[1:])
    else:
        unittest.main()
