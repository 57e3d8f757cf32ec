"""Which releases of HSDS and h5pyd this package knows, by the SHA-256 of the files whose functions it replaces.

The hook changes private functions at run time, so it only does so to code that was read and tested. A release that is not
listed, or one whose files were edited, is left exactly as it is, and one line says so.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import sys

from .errors import H5zError

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "versions.json"), encoding="utf-8") as _file:
    #: { distribution: { version: { file below the package: SHA-256 } } }
    SUPPORTED = json.load(_file)

_checked = {}


def supported(distribution):
    """The versions of `distribution` (`hsds`, `h5pyd`) that are supported, as one text."""
    return ", ".join(sorted(SUPPORTED[distribution]))


def check(distribution):
    """The version of `distribution` here. Raises H5zError H5Z_HSDS_VERSION where it is absent, unknown or edited."""
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError as error:
        raise H5zError("H5Z_HSDS_VERSION", f"{distribution} is not installed in this Python environment",
                       f"install {distribution} {supported(distribution)}") from error
    files = SUPPORTED[distribution].get(version)
    if files is None:
        raise H5zError("H5Z_HSDS_VERSION", f"{distribution} {version} is not one of the versions that h5z_hsds knows "
                       f"({supported(distribution)})", f"install one of those, or a newer @h5z/hsds; {distribution} is unchanged")
    spec = importlib.util.find_spec(distribution)
    folder = os.path.dirname(spec.origin)
    for name, expected in files.items():
        try:
            with open(os.path.join(folder, *name.split("/")), "rb") as file:
                actual = hashlib.sha256(file.read()).hexdigest()
        except OSError as error:
            actual = repr(error)
        if actual != expected:
            raise H5zError("H5Z_HSDS_VERSION", f"{name} of {distribution} {version} is not the released file",
                           f"reinstall {distribution} {version}; it is left unchanged")
    return version


def allowed(distribution):
    """Whether the hooks of `distribution` may be put in; says why not, once a process, on stderr (HSDS logs it)."""
    if distribution not in _checked:
        try:
            check(distribution)
            _checked[distribution] = True
        except Exception as error:  # whatever it is, the program must start as if this package were not there
            _checked[distribution] = False
            say(f"off: {error}")
    return _checked[distribution]


def say(text):
    """One line to the log: the node processes of HSDS write what they print there."""
    print(f"h5z_hsds: {text}", file=sys.stderr, flush=True)
