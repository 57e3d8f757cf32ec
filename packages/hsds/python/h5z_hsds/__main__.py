"""python -m h5z_hsds status | self-test [--json]: what is installed here, and whether it works."""

import argparse
import importlib.metadata
import json
import os
import sys

from . import selftest, versions
from .errors import H5zError
from .table import FOLDER, FilterTable, this_platform


def _version(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _peer(distribution):
    found = _version(distribution)
    try:
        versions.check(distribution)
        problem = None
    except H5zError as error:
        problem = str(error)
    return {"version": found, "supported": sorted(versions.SUPPORTED[distribution]), "ok": problem is None,
            "problem": problem}


def _numpy():
    """numpy's version, and what HSDS makes of it: server.py's change_chunk_util mends that where it is on."""
    found = _version("numpy")
    young = found is not None and tuple(int(part) for part in found.split(".")[:2]) >= (2, 4)
    note = "HSDS reads linked datasets of one dimension with it only where H5Z_HSDS=1 is set" if young else None
    return {"version": found, "note": note}


def _table():
    try:
        return FilterTable(), None
    except H5zError as error:
        return None, str(error)


def status():
    """What is installed: a dictionary for JSON. Hashes every library, loads none."""
    table, problem = _table()
    filters = []
    for entry in table.entries if table else ():
        try:
            entry.verify()
            wrong = None
        except H5zError as error:
            wrong = str(error)
        filters.append({"id": entry.id, "name": entry.name, "aliases": list(entry.aliases), "file": entry.path,
                        "ok": wrong is None, "problem": wrong})
    return {"version": table.version if table else None, "platform": this_platform(), "folder": FOLDER,
            "enabled": os.environ.get("H5Z_HSDS") == "1", "problem": problem, "hsds": _peer("hsds"),
            "h5pyd": _peer("h5pyd"), "numpy": _numpy(), "numcodecs": _version("numcodecs"), "filters": filters}


def self_test():
    """The outcome of loading every library and a round trip through it: a dictionary for JSON."""
    table, problem = _table()
    filters = []
    for entry, result in selftest.check_all(table) if table else ():
        failed = isinstance(result, H5zError)
        filters.append({"id": entry.id, "name": entry.name, "version": None if failed else entry.library().version,
                        "result": "failed" if failed else result, "problem": str(result) if failed else None})
    return {"ok": problem is None and all(f["problem"] is None for f in filters),
            "version": table.version if table else None, "platform": this_platform(), "problem": problem, "filters": filters}


def _print_status(report):
    print(f"h5z_hsds {report['version']} for {report['platform']} in {report['folder']}")
    print(f"H5Z_HSDS {'is 1: on' if report['enabled'] else 'is not 1: off'}")
    for name in ("hsds", "h5pyd"):
        peer = report[name]
        print(f"{name} {peer['version'] or '-'} ({'supported' if peer['ok'] else peer['problem']})")
    note = f" ({report['numpy']['note']})" if report["numpy"]["note"] else ""
    print(f"numpy {report['numpy']['version']}{note}")
    print(f"numcodecs {report['numcodecs'] or '-'}")


def main(arguments=None):
    """Returns the exit status: 0, or 1 when something does not work."""
    parser = argparse.ArgumentParser(prog="python -m h5z_hsds", description=__doc__)
    parser.add_argument("command", choices=("status", "self-test"))
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(arguments)
    report = status() if options.command == "status" else self_test()
    if options.json:
        print(json.dumps(report))
    else:
        if options.command == "status":
            _print_status(report)
        for item in report["filters"]:
            state = item["problem"] or item.get("result") or "ok"
            print(f"{item['id']:>6} {item['name']:<20} {state}")
        if report["problem"]:
            print(report["problem"])
    return 1 if report["problem"] or any(item["problem"] for item in report["filters"]) else 0


if __name__ == "__main__":
    sys.exit(main())
