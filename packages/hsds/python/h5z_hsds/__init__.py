"""h5z's HDF5 filters in HSDS, h5pyd and numcodecs.

    H5Z_HSDS=1 hsds ...                       HSDS decodes and writes every installed filter
    H5Z_HSDS=1 hsload --link file.h5 /home/   links and copies with the filters' parameters
    h5z_hsds.numcodec(32015)                  a numcodecs codec class by HDF5 filter ID or name
    python -m h5z_hsds status                 what is installed, for which versions

Nothing happens to HSDS or h5pyd without H5Z_HSDS=1 in the environment.
"""

from .errors import H5zError

__all__ = ["H5zError", "filter_table", "numcodec", "pipeline"]


def filter_table():
    """The installed filters (table.FilterTable). Raises H5zError where none are installed."""
    from .table import table

    return table()


def pipeline(filters):
    """A Pipeline for what a file says: [(filter ID, stored cd_values), ...]. Raises H5zError for one not installed."""
    from .pipeline import Pipeline, Stage

    return Pipeline([Stage(filter_table().entry(key), cd_values) for key, cd_values in filters])


def numcodec(key):
    """The numcodecs codec class of an installed filter, by HDF5 ID (aliases too) or name. Raises H5zError."""
    from .numcodecs_codecs import codec_class

    return codec_class(key)
