"""The interpreter as machine code: read from the disk, or compiled now and kept there."""

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np

from paddlevideo.runtime.engines.compiled.interpreter import program_loop
from paddlevideo.runtime.engines.compiled.kernel_files import (
    compiling_alone,
    drop_kernels,
    keep_kernels,
    nowhere_to_keep,
    read_kernels,
    writable_folder,
)
from paddlevideo.runtime.engines.compiled.stages import ALONE
from paddlevideo.runtime.engines.compiled.table import OPERATION

logger = logging.getLogger(__name__)

Loop = Callable[..., None]
"""``loop(table, later, lists, addresses, strides, streams, part, parts, stages, states, others)``.

All operations of a table. ``addresses`` are those of the first stream's maps, by slot; ``strides``
the bytes to the next stream's. `stages.ALONE` is the rest where one thread runs all of it. With
``states``, zeros of `claims.WORDS` integers for each stage, it is thread number ``part`` of
``parts`` that share it, and calls the function at the address ``others`` when it waits for long.
Without them it computes the share ``part`` of each operation.
"""

_ONE_AT_A_TIME = threading.RLock()


def compiled_loop() -> Loop:
    """The loop, compiled for this processor; once a process.

    Where the disk has none it is compiled, which takes about half a minute of a core and is said.
    """
    with _ONE_AT_A_TIME:
        return _loop_of_process()


@cache
def _loop_of_process() -> Loop:
    return _from_disk() or _compiled_and_kept()


def _compiled_and_kept() -> Loop:
    folder = writable_folder()
    if folder is None:
        logger.warning("%s; until then every process compiles", nowhere_to_keep())
        return _made({})[0]
    with compiling_alone(folder):
        loop = _from_disk()  # another process may have been first
        if loop is not None:
            return loop
        return compile_and_keep(folder)


def compile_and_keep(folder: Path) -> Loop:
    """Compile, whatever the disk has, and keep the result.

    Args:
        folder: that will hold it, for the log.
    """
    logger.info(
        "the compiled engine is being compiled for this processor: about half a minute of a free "
        "core, once; `paddlevideo warm-up` does it ahead; kept in %s", folder,
    )  # fmt: skip
    begun = time.perf_counter()
    loop, files, _ = _made({})
    logger.info("compiled in %.0f s", time.perf_counter() - begun)
    if files:
        keep_kernels(files)
    return loop


def _from_disk() -> Loop | None:
    """The loop as it was kept; None if it was not, or is of no use."""
    files = read_kernels()
    if not files:
        return None
    try:
        loop, files, was_there = _made(files)
    # A file of another numba under the same name: whatever reading it may raise.
    except Exception as error:  # noqa: BLE001
        drop_kernels(str(error) or type(error).__name__)
        return None
    if not was_there and files:
        keep_kernels(files)
    return loop


def _made(files: dict[str, bytes]) -> tuple[Loop, dict[str, bytes], bool]:
    """The loop from numba's files, or compiled where they are none of it.

    Numba reads and writes in a folder that is this process's alone and goes afterwards.

    Returns:
        The loop, what numba has written (nothing where there is no place), whether it was there.
    """
    try:
        private = tempfile.TemporaryDirectory(prefix="paddlevideo-", ignore_cleanup_errors=True)
    except OSError:
        loop = numba.njit(nogil=True)(program_loop)
        _run_nothing(loop)
        return loop, {}, False
    with private:
        loop = _kept_in(private.name)
        place = Path(loop.stats.cache_path)
        place.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (place / name).write_bytes(content)
        _run_nothing(loop)
        written = {path.name: path.read_bytes() for path in sorted(place.iterdir())}
        return loop, written, bool(loop.stats.cache_hits)


def _kept_in(folder: str) -> Any:
    with _cache_folder(folder):
        return numba.njit(nogil=True, cache=True)(program_loop)


@contextmanager
def _cache_folder(folder: str) -> Iterator[None]:
    """Numba reads its setting while it decorates."""
    settings: Any = numba.config
    before = settings.CACHE_DIR
    settings.CACHE_DIR = folder
    try:
        yield
    finally:
        settings.CACHE_DIR = before


def _run_nothing(loop: Loop) -> None:
    """Let numba compile or load: it does so at the first call."""
    nothing: np.ndarray = np.zeros(1, np.int64)
    regions: np.ndarray = np.zeros((0, 4), np.int64)
    loop(np.zeros(0, OPERATION), regions, nothing, nothing, nothing, 1, *ALONE)
