"""Every failure of this package is an H5zError: a code for programs, one sentence for people that ends with what to do."""

# Number, what happened (packages/abi/include/h5z/filter.h has the same words), what to do.
FILTER_ERRORS = {
    -1: ("H5Z_E_PARAM", "bad parameter: the cd_values are not what this filter accepts",
         "compare the dataset's filter parameters with the filter's page, or load the file again by hsload with H5Z_HSDS=1"),
    -2: ("H5Z_E_CORRUPT", "corrupt input: the chunk is truncated or damaged",
         "restore the file or the stored chunk from a copy"),
    -3: ("H5Z_E_OUTPUT", "output too small: the result needs more room than the caller gave",
         "check the chunk shape and type of the dataset"),
    -4: ("H5Z_E_UNSUPPORTED", "unsupported feature: valid input that this build of the filter does not handle",
         "install a newer version of the filter package"),
    -5: ("H5Z_E_VERSION", "unsupported format version: written by a newer or unknown revision of the filter",
         "install a newer version of the filter package"),
    -6: ("H5Z_E_MEMORY", "out of memory", "give the data node more memory, or use smaller chunks"),
    -7: ("H5Z_E_NOT_APPLICABLE", "not applicable: this filter cannot encode this datatype, chunk shape or chunk",
         "choose another filter for this dataset"),
    -8: ("H5Z_E_INTERNAL", "internal error: the codec failed in a way that should not happen",
         "report it with the chunk that caused it"),
}

#: What `npx h5z hsds install` is in every remedy.
INSTALL = "npx h5z hsds install"


class H5zError(Exception):
    """A failure with `code` (H5Z_E_CORRUPT, H5Z_INTEGRITY ...), `problem` and `remedy`; str() is both in one sentence."""

    def __init__(self, code, problem, remedy):
        super().__init__(f"{code}: {problem}; {remedy}")
        self.code = code
        self.problem = problem
        self.remedy = remedy

    @classmethod
    def of_filter(cls, number, doing, explanation=""):
        """The error of a negative number that a filter answered; `doing` names the filter and the work."""
        code, text, remedy = FILTER_ERRORS.get(
            number, ("H5Z_E_INTERNAL", f"unknown error {number}", "report it with the chunk that caused it"))
        detail = f" ({explanation})" if explanation else ""
        return cls(code, f"{doing}: {text}{detail}", remedy)
