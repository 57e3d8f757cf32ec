"""A dataset's filters in order: encoded first to last, decoded last to first, the filter mask honoured.

Memory is bounded as in @h5z/core: what stage k may decode to is what the encoders before it can make of a whole chunk.
"""

from .errors import FILTER_ERRORS, H5zError

OPTIONAL = 1


class Stage:
    """One filter of a pipeline: `entry` of the filter table, stored `cd_values`, HDF5's `flags` (1: optional)."""

    __slots__ = ("entry", "cd_values", "flags")

    def __init__(self, entry, cd_values, flags=0):
        self.entry = entry
        self.cd_values = list(cd_values)
        self.flags = flags


class Pipeline:
    """Decodes and encodes whole chunks. Safe to use from many threads.

    Filters are loaded when the first chunk needs them: a chunk whose mask skips a broken filter is still read.
    """

    def __init__(self, stages):
        self.stages = list(stages)

    def decode(self, chunk, size, filter_mask=0):
        """`chunk` as stored (any buffer) to exactly `size` bytes (uint8 array, writable unless nothing was filtered).

        Bit k of `filter_mask` says that stage k was skipped when the chunk was written. Raises H5zError.
        """
        steps = []
        bound, before = size, None
        for index, stage in enumerate(self.stages):
            if index < 32 and filter_mask >> index & 1:
                continue
            if before is not None:
                bound = bound_of(before.entry.library(), before.cd_values, bound)
            steps.append((stage, bound))
            before = stage
        data = chunk
        for stage, limit in reversed(steps):
            data = stage.entry.library().decode(stage.cd_values, data, limit)
        length = data.nbytes if hasattr(data, "nbytes") else len(data)
        if length != size:
            raise H5zError("H5Z_E_CORRUPT", f"the chunk decoded to {length} bytes, but its dataset says {size}",
                           FILTER_ERRORS[-2][2])
        return data

    def encode(self, data):
        """A whole chunk (any buffer) to (encoded bytes, filter mask, [H5zError of each stage that was skipped]).

        A stage that cannot encode this chunk is skipped and its mask bit set, optional or not: HSDS has answered the
        writer long before, so failing would lose the data.
        """
        mask, skipped = 0, []
        for index, stage in enumerate(self.stages):
            try:
                data = stage.entry.library().encode(stage.cd_values, data)
            except H5zError as error:
                if index >= 32:
                    raise
                mask |= 1 << index
                skipped.append(error)
        return data, mask, skipped


def bound_of(library, cd_values, size):
    """Most bytes that anybody's encoder of a Library makes of `size`: other people's may be looser than ours."""
    try:
        return max(library.encode_bound(cd_values, size), size + size // 8 + 1025)
    except H5zError:
        return size * 8 + 65536
