"""Which filters are installed beside this package, and the checks that come before one is loaded.

`installed.json` is written by `npx h5z hsds install`; here it is only read. A library is hashed once, then loaded, then
held to the ABI version and filter ID that the list gives. What fails is one filter: the others go on.
"""

import hashlib
import json
import os
import platform
import sys
import threading

from .errors import INSTALL, H5zError
from .library import Library

FOLDER = os.path.dirname(os.path.abspath(__file__))


def this_platform():
    """This machine in h5z's words: linux-x64, linux-arm64-musl, darwin-arm64, win32-x64 ..."""
    system = {"linux": "linux", "darwin": "darwin", "win32": "win32"}.get(sys.platform, sys.platform)
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
    name = f"{system}-{machine.get(platform.machine().lower(), platform.machine().lower())}"
    return f"{name}-musl" if system == "linux" and not _has_glibc() else name


def _has_glibc():
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (ValueError, AttributeError, OSError):
        return False


class Entry:
    """A line of installed.json: `id`, `name`, `aliases` (other IDs), `path`, `sha256`, `size`, `abi`; `library()` loads it."""

    def __init__(self, folder, item):
        self.id = int(item["id"])
        self.name = str(item["name"])
        self.aliases = tuple(int(alias["id"] if isinstance(alias, dict) else alias) for alias in item.get("aliases", ()))
        self.path = os.path.join(folder, *str(item["file"]).split("/"))
        self.sha256 = str(item["sha256"])
        self.size = int(item["size"])
        self.abi = int(item["abi"])
        self._lock = threading.Lock()
        self._library = None

    def verify(self):
        """Reads and hashes the file. Raises H5zError H5Z_MISSING_FILE or H5Z_INTEGRITY."""
        again = f"install it again: {INSTALL} --filters {self.name}"
        try:
            with open(self.path, "rb") as file:
                data = file.read(self.size + 1)
        except OSError as error:
            raise H5zError("H5Z_MISSING_FILE", f"the library of filter {self.name} ({self.id}) cannot be read: {error}",
                           again) from error
        if len(data) != self.size or hashlib.sha256(data).hexdigest() != self.sha256:
            raise H5zError("H5Z_INTEGRITY", f"{self.path} is not the file that was installed for filter {self.name} "
                           f"({self.id}): its SHA-256 differs", f"restart HSDS if it was installed anew meanwhile, else {again}")

    def library(self):
        """The loaded Library, checked on the first call of the process. Raises H5zError, each time anew."""
        with self._lock:
            if self._library is None:
                self.verify()
                library = Library(self.path)
                if library.id != self.id:
                    raise H5zError("H5Z_INTEGRITY", f"{self.path} is filter {library.id}, but was installed as {self.id}",
                                   f"install it again: {INSTALL} --filters {self.name}")
                self._library = library
            return self._library


class FilterTable:
    """The installed filters, by ID (aliases too) and by name.

    Raises H5zError H5Z_NOT_INSTALLED where `folder` has no installed.json that reads, H5Z_NO_PLATFORM where it was made
    for another platform.
    """

    def __init__(self, folder=FOLDER):
        path = os.path.join(folder, "installed.json")
        try:
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
            self.version = str(data["version"])
            self.platform = str(data["platform"])
            self.entries = [Entry(folder, item) for item in data["filters"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise H5zError("H5Z_NOT_INSTALLED", f"{path} does not list the installed filters ({error!r})",
                           f"run {INSTALL}") from error
        if self.platform != this_platform():
            raise H5zError("H5Z_NO_PLATFORM", f"the filters here are for {self.platform}, this machine is {this_platform()}",
                           f"run {INSTALL} on this machine")
        self.by_id = {}
        self.by_name = {}
        for entry in self.entries:
            self.by_name.setdefault(entry.name, entry)
            self.by_id[entry.id] = entry
        for entry in self.entries:
            for alias in entry.aliases:
                self.by_id.setdefault(alias, entry)

    def entry(self, key):
        """The Entry of a filter ID or name. Raises H5zError H5Z_MISSING_FILTER with the command that installs it."""
        found = self.by_id.get(key) if isinstance(key, int) else self.by_name.get(key)
        if found is None:
            raise H5zError("H5Z_MISSING_FILTER", f"filter {key} is not installed in this Python environment",
                           f"run npx h5z which {key} to see what it is, then {INSTALL} --filters with its name")
        return found


_shared = None
_shared_lock = threading.Lock()


def table():
    """The FilterTable of this installation, read once a process. Raises what FilterTable raises."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = FilterTable()
        return _shared
