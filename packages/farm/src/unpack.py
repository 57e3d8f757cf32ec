"""Takes the HDF5 files of one folder out of an sdist or a wheel: unpack.py ARCHIVE FOLDER TARGET."""

import os
import sys
import tarfile
import zipfile

archive, folder, target = sys.argv[1:]


def wanted(name):
    return name.startswith(folder) and name.endswith(".h5") and "/" not in name[len(folder) :]


def keep(name, data):
    with open(os.path.join(target, os.path.basename(name)), "wb") as out:
        out.write(data)


if archive.endswith(".whl"):
    with zipfile.ZipFile(archive) as source:
        for name in filter(wanted, source.namelist()):
            keep(name, source.read(name))
else:
    with tarfile.open(archive) as source:
        for member in source:
            if member.isfile() and wanted(member.name):
                keep(member.name, source.extractfile(member).read())
