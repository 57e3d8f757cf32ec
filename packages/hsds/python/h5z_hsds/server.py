"""What H5Z_HSDS=1 changes in HSDS, module by module, each right after it was first imported.

    dsetUtil     the filters that HSDS accepts, and for each dataset a Plan among its filter operations
    storUtil     chunks read and written by that Plan, in threads, so that the event loop goes on serving
    dset_sn      client parameters become stored ones when a dataset is created, as H5Pset_filter and set_local would
    httpUtil     the reason of a data node's failure is kept on its way through the service node
    chunk_crawl  ... and such a failure is not tried again seven times
    chunk_sn     ... and becomes the answer: an error with a message, where there was a 200 without a body
    fileClient   a file of POSIX storage is replaced when it is whole, so that a node killed over it leaves the old one
    chunkUtil    one-dimensional linked datasets are read with numpy 2.4 too

Chunks that HSDS wrote itself with the filters it knows (Blosc1 containers) stay its own business, read and written.
"""

import asyncio
import contextlib
import contextvars
import errno
import functools
import os
import shutil
import time
import types
import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy

from . import plan as plans
from . import selftest
from .errors import FILTER_ERRORS, H5zError
from .library import dataset_of
from .table import table
from .versions import say

_PREFIX = "h5z: "
_failures = contextvars.ContextVar("h5z_failures", default=None)
_state = {"ready": None, "names": (), "own": frozenset()}


def _ready():
    """Whether filters are installed that work; tests them once a process and says what does not."""
    if _state["ready"] is None:
        try:
            results = selftest.check_all(table())
            for entry, result in results:
                if isinstance(result, H5zError):
                    say(f"filter {entry.name} ({entry.id}) is off: {result}")
            good = [entry for entry, result in results if not isinstance(result, H5zError)]
            _state["names"] = tuple(entry.name for entry in good)
            _state["ready"] = True
            say(f"on: {len(good)} of {len(results)} filters ({', '.join(_state['names'])})")
        except H5zError as error:
            _state["ready"] = False
            say(f"off: {error}")
    return _state["ready"]


def _threads():
    """How many threads decode and encode: a processor is left to the event loop, which answers everybody."""
    asked = os.environ.get("H5Z_HSDS_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, processors - 1))


@functools.lru_cache(maxsize=1)
def _pool():
    return ThreadPoolExecutor(max_workers=_threads(), thread_name_prefix="h5z")


def _in_thread(function, *args):
    return asyncio.get_running_loop().run_in_executor(_pool(), function, *args)


@functools.lru_cache(maxsize=1)
def _gate():
    """Lets few chunks be decoded and not yet handed on: HSDS copies each on its event loop, all that are ready in one go, and
    nobody else is answered before the last is done."""
    return asyncio.Semaphore(2 * _threads())


async def _decode(function, *args):
    async with _gate():
        return await _in_thread(function, *args)


def _reason(error):
    """An HTTP reason phrase: one line of printable ASCII, at most 600 characters."""
    text = _PREFIX + str(error).removeprefix(_PREFIX)
    return "".join(c if " " <= c <= "~" else " " for c in text)[:600]


# ------------------------------------------------------------------------------------------------------------- plans


class Plan:
    """How the chunks of one dataset are read and written. `own`: HSDS's own format for what it writes itself."""

    def __init__(self, items, dtype, chunk_shape):
        self.items = items
        self.dtype = dtype
        self.chunk_bytes = int(numpy.prod(chunk_shape)) * dtype.itemsize
        self.own = all(isinstance(item, dict) and item.get("name") in _state["own"] for item in items)
        self._chunk_shape = tuple(chunk_shape)
        self._linked = self._written = None
        self._masks = None

    def hsds_reads(self, linked):
        """Whether HSDS's own code reads the chunk: its own containers, and files with filters that are only its own."""
        if not linked:
            return self.own
        if not self.own:
            return False
        try:
            self._linked_pipeline()
            return False
        except H5zError as error:
            return error.code == "H5Z_MISSING_FILTER"

    def _linked_pipeline(self):
        if self._linked is None:
            self._linked = plans.linked_pipeline(self.items, table(), lambda: dataset_of(self.dtype, self._chunk_shape))
        return self._linked

    def _written_pipeline(self):
        if self._written is None:
            self._written = plans.written_pipeline(self.items, table())
        return self._written

    def check(self):
        """Raises H5zError where a filter is not installed: before anything is written that nobody can read."""
        if not self.own:
            self._written_pipeline()

    def decode_linked(self, chunk, offset, size):
        """A chunk of a linked file that lies at byte `offset` there, to `size` bytes."""
        if self._masks is None:
            self._masks = plans.masks_of(self.items)
        return self._linked_pipeline().decode(chunk, size, self._masks.get(offset, 0))

    def decode_written(self, data):
        """A chunk as HSDS stored it by `encode`."""
        chunk, mask = plans.unpack(data)
        return self._written_pipeline().decode(chunk, self.chunk_bytes, mask)

    def encode(self, data):
        """What HSDS is to store for a chunk, and the errors of the stages that were skipped."""
        chunk, mask, skipped = self._written_pipeline().encode(data)
        return plans.pack(chunk.tobytes() if hasattr(chunk, "tobytes") else chunk, mask), skipped


# --------------------------------------------------------------------------------------------------- hsds.util.dsetUtil


def change_dset_util(m):
    """FILTER_DEFS, getFilterItem and getFilterOps of hsds.util.dsetUtil."""
    if not _ready():
        return
    from aiohttp.web_exceptions import HTTPBadRequest, HTTPInternalServerError

    known = {definition[1] for definition in m.FILTER_DEFS}
    named = {definition[2] for definition in m.FILTER_DEFS}
    ours = [entry for entry in table().entries if entry.name in _state["names"]]
    m.FILTER_DEFS += tuple(
        ("H5Z_FILTER_USER", number, entry.name)
        for entry in ours for number in (entry.id, *entry.aliases) if number not in known)
    stock_item, stock_ops = m.getFilterItem, m.getFilterOps

    @functools.wraps(stock_item)
    def getFilterItem(key):
        if key not in named and key in _state["names"]:
            entry = table().entry(key)
            return {"class": "H5Z_FILTER_USER", "id": entry.id, "name": entry.name}  # not an alias of that name
        item = stock_item(key)
        if item is None and (isinstance(key, int) or not str(key).startswith("H5Z_")):
            try:
                table().entry(key)
            except H5zError as error:
                raise HTTPBadRequest(reason=_reason(error)) from error
        return item

    @functools.wraps(stock_ops)
    def getFilterOps(app, dset_id, filters, dtype=None, chunk_shape=None):
        ops = stock_ops(app, dset_id, filters, dtype=dtype, chunk_shape=chunk_shape)
        if ops is not None and filters and "h5z" not in ops and dtype is not None and chunk_shape is not None \
                and not m.isVlen(dtype):
            ops["h5z"] = Plan(filters, dtype, chunk_shape)
        if ops is not None and "h5z" in ops:
            try:
                ops["h5z"].check()
            except H5zError as error:
                m.log.error(f"h5z_hsds: dataset {dset_id}: {error}")
                raise HTTPInternalServerError(reason=_reason(error)) from error
        return ops

    m.getFilterItem, m.getFilterOps = getFilterItem, getFilterOps


# --------------------------------------------------------------------------------------------------- hsds.util.storUtil


def change_stor_util(m):
    """getStorBytes, getHyperChunks, putStorBytes and the lists of filters of hsds.util.storUtil."""
    if not _ready():
        return
    from aiohttp.web_exceptions import HTTPInternalServerError

    stock_compressors, stock_filters = m.getCompressors, m.getSupportedFilters
    stock_uncompress, stock_compress = m._uncompress, m._compress
    stock_get, stock_hyper, stock_put = m.getStorBytes, m.getHyperChunks, m.putStorBytes
    _state["own"] = frozenset(stock_filters())

    def getCompressors():
        # A client takes the first of a dataset's filters that is here for its compression: shuffle and checksums are none.
        ours = (name for name in _state["names"] if name not in stock_filters(include_compressors=False))
        return list(dict.fromkeys([*stock_compressors(), *ours]))

    def getSupportedFilters(include_compressors=True):
        return list(dict.fromkeys([*stock_filters(include_compressors), *_state["names"]]))

    def _uncompress(data, h5z=None, **ops):
        return stock_uncompress(data, **ops)

    def _compress(data, h5z=None, **ops):
        return stock_compress(data, **ops)

    def failed(error, what):
        if not isinstance(error, H5zError):
            error = H5zError("H5Z_E_INTERNAL", f"{type(error).__name__}: {error}", FILTER_ERRORS[-8][2])
        text = f"{what}: {error}"
        m.log.error(f"h5z_hsds: {text}")
        return HTTPInternalServerError(reason=_reason(text))

    async def fetch(app, key, offset, length, bucket):
        """A part of a linked file; a file that ends before it is an error, where HSDS goes on with zeros."""
        client = m._getStorageClient(app, bucket=bucket)
        data = await client.get_object(key.removeprefix("/"), bucket=bucket or app["bucket_name"], offset=offset,
                                       length=length)
        if data is None or len(data) < length:
            raise H5zError("H5Z_E_CORRUPT", f"the linked file ends {length - len(data or b'')} bytes before the end of a "
                           f"chunk at byte {offset}", "put the file that was linked back, or link this one again")
        return data

    @functools.wraps(stock_get)
    async def getStorBytes(app, key, filter_ops=None, offset=0, length=-1, chunk_locations=None, h5_size=None, bucket=None):
        plan = filter_ops.get("h5z") if filter_ops else None
        linked = length is not None and not isinstance(length, list) and length > 0
        if plan is None or chunk_locations or plan.hsds_reads(linked):
            if plan is not None and not linked and filter_ops.get("compressor") in (None, "scaleoffset"):
                filter_ops = {**filter_ops, "shuffle": 0}  # HSDS stores such a chunk unshuffled, and would unshuffle it
            return await stock_get(app, key, filter_ops=filter_ops, offset=offset, length=length,
                                   chunk_locations=chunk_locations, h5_size=h5_size, bucket=bucket)
        try:
            if linked:
                data = await fetch(app, key, offset or 0, length, bucket)
                return await _decode(plan.decode_linked, data, offset or 0, plan.chunk_bytes)
            data = await stock_get(app, key, offset=offset, length=length, bucket=bucket)
            return await _decode(plan.decode_written, data) if data else data
        except (H5zError, ValueError, MemoryError) as error:
            raise failed(error, f"chunk at byte {offset} of {key}" if linked else f"chunk {key}") from error

    @functools.wraps(stock_hyper)
    async def getHyperChunks(app, key, chunk_arr=None, hyper_dims=None, filter_ops=None, chunk_locations=None, bucket=None):
        plan = filter_ops.get("h5z") if filter_ops else None
        if plan is None or not chunk_locations or plan.hsds_reads(True):
            return await stock_hyper(app, key, chunk_arr=chunk_arr, hyper_dims=hyper_dims, filter_ops=filter_ops,
                                     chunk_locations=chunk_locations, bucket=bucket)
        first = min(item.offset for item in chunk_locations)
        last = max(item.offset + item.length for item in chunk_locations)
        size = int(numpy.prod(hyper_dims)) * chunk_arr.dtype.itemsize

        def place(items, data):
            for item in items:
                piece = data[item.offset - first:item.offset - first + item.length]
                try:
                    decoded = plan.decode_linked(piece, item.offset, size)
                except (H5zError, ValueError, MemoryError) as error:
                    return error, item.offset
                box = tuple(slice(extent * index, extent * (index + 1)) for extent, index in zip(hyper_dims, item.index))
                chunk_arr[box] = numpy.frombuffer(decoded, dtype=chunk_arr.dtype).reshape(hyper_dims)
            return None

        try:
            data = memoryview(await fetch(app, key, first, last - first, bucket))
        except H5zError as error:
            raise failed(error, key) from error
        shares = min(_threads(), len(chunk_locations))
        async with _gate():
            outcomes = await asyncio.gather(*(_in_thread(place, chunk_locations[k::shares], data) for k in range(shares)))
        for outcome in outcomes:
            if outcome is not None:
                raise failed(outcome[0], f"chunk at byte {outcome[1]} of {key}") from outcome[0]

    @functools.wraps(stock_put)
    async def putStorBytes(app, key, data, filter_ops=None, bucket=None):
        plan = filter_ops.get("h5z") if filter_ops else None
        if plan is None or plan.own:
            return await stock_put(app, key, data, filter_ops=filter_ops, bucket=bucket)
        try:
            stored, skipped = await _in_thread(plan.encode, data)
        except (H5zError, ValueError, MemoryError) as error:
            raise failed(error, f"writing chunk {key}") from error
        for error in skipped:
            m.log.warn(f"h5z_hsds: chunk {key} is stored without a filter, nothing is lost: {error}")
        return await stock_put(app, key, stored, bucket=bucket)

    m.getCompressors, m.getSupportedFilters = getCompressors, getSupportedFilters
    m._uncompress, m._compress = _uncompress, _compress
    m.getStorBytes, m.getHyperChunks, m.putStorBytes = getStorBytes, getHyperChunks, putStorBytes


# ------------------------------------------------------------------------------------------------- hsds.util.fileClient

#: Where the files of a bucket are written before they take their places: on the same disk, and where HSDS never lists.
TEMPORARY = os.path.join("db", ".h5z_hsds")
_LEFT_OVER = 600  # seconds after which a temporary is of a node that was killed


def change_file_client(m):
    """aiofiles.open as hsds.util.fileClient calls it: for writing, a new file that replaces the old one when it is closed."""
    if not _ready():
        return
    stock_open = m.aiofiles.open
    swept = {}

    def temporary_for(path):
        """A new path for what is to become `path`, in the same bucket. Now and then removes what nodes left there."""
        root = os.path.normpath(m.config.get("root_dir"))
        folder = os.path.join(root, os.path.relpath(path, root).split(os.sep)[0], TEMPORARY)
        os.makedirs(folder, exist_ok=True)
        now = time.time()
        if now - swept.get(folder, 0) > _LEFT_OVER:
            swept[folder] = now
            for entry in os.scandir(folder):
                with contextlib.suppress(FileNotFoundError):  # another node was quicker
                    if now - entry.stat().st_mtime > _LEFT_OVER:
                        os.remove(entry.path)
        return os.path.join(folder, uuid.uuid4().hex)

    @contextlib.asynccontextmanager
    async def replacing(path, **options):
        temporary = temporary_for(path)
        try:
            async with stock_open(temporary, **options) as file:
                yield file
            try:
                os.replace(temporary, path)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                shutil.copyfile(temporary, path)  # a folder of the bucket on another disk is written as HSDS does
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(temporary)

    def opened(path, mode="r", **options):
        return replacing(path, mode=mode, **options) if mode == "wb" else stock_open(path, mode=mode, **options)

    m.aiofiles = types.SimpleNamespace(open=opened)


# -------------------------------------------------------------------------------------------------- hsds.util.chunkUtil


def change_chunk_util(m):
    """getChunkId of hsds.util.chunkUtil: it makes an int of an array of one element, which numpy 2.4 no longer does."""
    if not _ready():
        return
    stock = m.getChunkId

    @functools.wraps(stock)
    def getChunkId(dset_id, point, layout):
        if len(layout) == 1 and isinstance(point, numpy.ndarray) and point.size == 1:
            point = point.item()
        return stock(dset_id, point, layout)

    m.getChunkId = getChunkId


# --------------------------------------------------------------------------------------------------------- hsds.dset_sn


def change_dset_sn(m):
    """createObject and createObjectByPath as hsds.dset_sn calls them."""
    if not _ready():
        return
    from aiohttp.web_exceptions import HTTPBadRequest

    def settle(kwargs):
        properties = kwargs.get("creation_props") or {}
        items = properties.get("filters")
        if not items or all(item.get("name") in _state["own"] for item in items):
            return
        try:
            layout = properties.get("layout")
            if isinstance(layout, dict) and "_REF" in str(layout.get("class")):
                for item in items:
                    plans.client_values(item, table().entry(plans.id_of(item)).library())
                plans.masks_of(items)
                return
            dtype = m.createDataType(kwargs["obj_type"])
            if dtype.hasobject:
                raise H5zError("H5Z_E_NOT_APPLICABLE", "variable-length data has chunks of no fixed size, which only HSDS's "
                               "own compressors take", "use gzip, lz4 or zstd for this dataset")
            shape = kwargs.get("obj_shape") or {}
            dataset = dataset_of(dtype, kwargs["layout"]["dims"], shape.get("dims", ()))
            properties["filters"] = plans.derived(items, table(), dataset)
        except H5zError as error:
            m.log.warn(f"h5z_hsds: {error}")
            raise HTTPBadRequest(reason=_reason(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            m.log.warn(f"h5z_hsds: filters {str(items)[:200]}: {error!r}")
            raise HTTPBadRequest(reason=_reason(f"H5Z_E_PARAM: filters {str(items)[:200]} are not understood")) from error

    def settled(create):
        @functools.wraps(create)
        async def created(app, **kwargs):
            settle(kwargs)
            return await create(app, **kwargs)

        return created

    m.createObject, m.createObjectByPath = settled(m.createObject), settled(m.createObjectByPath)


# ------------------------------------------------------------------------------------------- errors on their way outwards


def change_http_util(m):
    """Client sessions of hsds.util.httpUtil note why a data node failed."""
    if not _ready():
        return
    import aiohttp

    async def noted(_session, _context, params):
        failures = _failures.get()
        reason = params.response.reason or ""
        if failures is not None and params.response.status >= 400 and reason.startswith(_PREFIX):
            failures.append(reason)

    stock = m.ClientSession

    def ClientSession(*args, **kwargs):
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(noted)
        return stock(*args, trace_configs=[*(kwargs.pop("trace_configs", None) or ()), trace], **kwargs)

    m.ClientSession = ClientSession


def change_chunk_crawl(m):
    """Requests of hsds.chunk_crawl: a filter's failure is final."""
    if not _ready():
        return
    from aiohttp.web_exceptions import HTTPBadRequest, HTTPInternalServerError

    def final(call):
        @functools.wraps(call)
        async def called(*args, **kwargs):
            failures = _failures.get()
            before = len(failures or ())
            try:
                return await call(*args, **kwargs)
            except HTTPInternalServerError as error:
                if failures is not None and len(failures) > before:
                    raise HTTPBadRequest(reason=failures[-1]) from error  # the one answer that the crawler takes as final
                raise

        return called

    m.http_get, m.http_put, m.http_post = final(m.http_get), final(m.http_put), final(m.http_post)


def change_chunk_sn(m):
    """The handlers of values in hsds.chunk_sn: what fails before the first byte is answered with an error."""
    if not _ready():
        return
    from aiohttp.web_exceptions import HTTPException, HTTPInternalServerError

    stock_response = m.StreamResponse

    class StreamResponse(stock_response):
        """Sends its head with the first bytes of its body: until then it may still become an error."""

        _waiting = None
        _sent = 0

        async def prepare(self, request):
            if self._waiting is None:
                self._waiting = request
                return None
            return await super().prepare(request)

        async def _open(self):
            if not self.prepared and self._waiting is not None:
                await super().prepare(self._waiting)

        async def write(self, data):
            await self._open()
            self._sent += len(data)
            await super().write(data)

        async def write_eof(self, data=b""):
            failures = _failures.get()
            expected = self.content_length or 0
            if self._waiting is not None and not self.prepared and not self._eof_sent and not data and failures is not None:
                if not failures and (expected > 0 or self.content_type == "application/json"):
                    failures.append(_PREFIX + "HSDS could not read the data; the logs of its data nodes say why")
                if failures:
                    raise HTTPInternalServerError(reason=failures[0])
            if self.prepared and not self._eof_sent and self._sent + len(data) < expected:
                m.log.error(f"h5z_hsds: {expected - self._sent} bytes of an answer are missing, closing the connection")
                if self._waiting.transport is not None:
                    self._waiting.transport.close()
                return
            await self._open()
            await super().write_eof(data)

    def answered(handler):
        @functools.wraps(handler)
        async def answer(request):
            failures = []
            token = _failures.set(failures)
            try:
                return await handler(request)
            except HTTPException as error:
                if failures and error.status >= 400:
                    m.log.error(f"h5z_hsds: {request.method} {request.path}: {failures[0]}")
                    raise HTTPInternalServerError(reason=failures[0]) from error
                raise
            finally:
                _failures.reset(token)

        return answer

    m.StreamResponse = StreamResponse
    m.GET_Value, m.PUT_Value, m.POST_Value = answered(m.GET_Value), answered(m.PUT_Value), answered(m.POST_Value)
