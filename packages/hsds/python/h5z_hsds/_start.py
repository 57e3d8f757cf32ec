"""Runs at the start of every Python process of an environment with H5Z_HSDS=1, from h5z_hsds.pth: must be quick and silent.

It only arranges that the modules of HSDS and h5pyd are changed right after they are first imported, since others take
their functions by name. Nothing of HSDS, h5pyd or numpy is imported here.
"""

import importlib
import importlib.abc
import sys

#: Module -> (the distribution whose version is checked first, our module, the function in it that gets the new module).
HOOKS = {
    "hsds.util.dsetUtil": ("hsds", "h5z_hsds.server", "change_dset_util"),
    "hsds.util.storUtil": ("hsds", "h5z_hsds.server", "change_stor_util"),
    "hsds.util.fileClient": ("hsds", "h5z_hsds.server", "change_file_client"),
    "hsds.util.chunkUtil": ("hsds", "h5z_hsds.server", "change_chunk_util"),
    "hsds.util.httpUtil": ("hsds", "h5z_hsds.server", "change_http_util"),
    "hsds.chunk_crawl": ("hsds", "h5z_hsds.server", "change_chunk_crawl"),
    "hsds.chunk_sn": ("hsds", "h5z_hsds.server", "change_chunk_sn"),
    "hsds.dset_sn": ("hsds", "h5z_hsds.server", "change_dset_sn"),
    "h5pyd._hl.filters": ("h5pyd", "h5z_hsds.client", "change_filters"),
    "h5pyd._hl.dataset": ("h5pyd", "h5z_hsds.client", "change_dataset"),
    "h5pyd._apps.utillib": ("h5pyd", "h5z_hsds.client", "change_utillib"),
}


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of HOOKS as everybody would, with one step more when they run."""

    def find_spec(self, name, path, target=None):
        hook = HOOKS.get(name)
        if hook is None:
            return None
        spec = None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    break
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            _change(module, *hook)

        spec.loader.exec_module = exec_module
        return spec


def _change(module, distribution, ours, function):
    from . import versions

    if versions.allowed(distribution):
        getattr(importlib.import_module(ours), function)(module)


def start():
    """Puts the finder in, once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


start()
