"""The interpreter as machine code: read from the disk, or compiled now and kept there."""

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np

from paddlevideo.runtime.engines.compiled.bfloat_products import bfloat_product
from paddlevideo.runtime.engines.compiled.interpreter import program_loop
from paddlevideo.runtime.engines.compiled.kernel_files import (
    KernelPart,
    compiling_alone,
    drop_kernels,
    keep_kernels,
    nowhere_to_keep,
    read_kernels,
    writable_folder,
)
from paddlevideo.runtime.engines.compiled.product_call import NUM_ARGUMENTS
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


@dataclass(frozen=True)
class _Kernels:
    """What is compiled and kept together.

    Attributes:
        part: its name.
        function: that numba compiles.
        start: lets numba compile or load it.
        what, seconds: what is said while it is compiled.
        ahead: the command that does it ahead.
    """

    part: KernelPart
    function: Callable[..., Any]
    start: Callable[[Any], None]
    what: str
    seconds: str
    ahead: str


def compiled_loop() -> Loop:
    """The loop, compiled for this processor; once a process.

    Where the disk has none it is compiled, which takes about half a minute of a core and is said.
    """
    with _ONE_AT_A_TIME:
        return _loop_of_process()


@cache
def _loop_of_process() -> Loop:
    return _loaded(_loop())


def bfloat_address() -> int:
    """The address of `bfloat_products.bfloat_product`, compiled as the loop is; once a process.

    The processor must have such products.
    """
    with _ONE_AT_A_TIME:
        return _address_of(_bfloat_of_process())


@cache
def _bfloat_of_process() -> Any:
    what, ahead = "the product of bfloat16", "paddlevideo warm-up --products bfloat16"
    return _loaded(
        _Kernels("bfloat16", bfloat_product, _compile_integers, what, "three seconds", ahead)
    )


def _loop() -> _Kernels:
    what, ahead = "the compiled engine", "paddlevideo warm-up"
    return _Kernels("loop", program_loop, _run_nothing, what, "half a minute", ahead)


def _loaded(kernels: _Kernels) -> Any:
    return _from_disk(kernels) or _compiled_and_kept(kernels)


def _compiled_and_kept(kernels: _Kernels) -> Any:
    folder = writable_folder()
    if folder is None:
        logger.warning("%s; until then every process compiles", nowhere_to_keep())
        return _made(kernels, {})[0]
    with compiling_alone(folder):
        loop = _from_disk(kernels)  # another process may have been first
        if loop is not None:
            return loop
        return _compile_and_keep(kernels, folder)


def compile_and_keep(folder: Path) -> Loop:
    """Compile the loop, whatever the disk has, and keep the result.

    Args:
        folder: that will hold it, for the log.
    """
    return _compile_and_keep(_loop(), folder)


def _compile_and_keep(kernels: _Kernels, folder: Path) -> Any:
    logger.info(
        "%s is being compiled for this processor: about %s of a free core, once; `%s` does it "
        "ahead; kept in %s", kernels.what, kernels.seconds, kernels.ahead, folder,
    )  # fmt: skip
    begun = time.perf_counter()
    made, files, _ = _made(kernels, {})
    logger.info("compiled in %.0f s", time.perf_counter() - begun)
    if files:
        keep_kernels(files, kernels.part)
    return made


def _from_disk(kernels: _Kernels) -> Any:
    """What was kept; None if nothing was, or it is of no use."""
    files = read_kernels(kernels.part)
    if not files:
        return None
    try:
        made, files, was_there = _made(kernels, files)
    # A file of another numba under the same name: whatever reading it may raise.
    except Exception as error:  # noqa: BLE001
        drop_kernels(str(error) or type(error).__name__, kernels.part)
        return None
    if not was_there and files:
        keep_kernels(files, kernels.part)
    return made


def _made(kernels: _Kernels, files: dict[str, bytes]) -> tuple[Any, dict[str, bytes], bool]:
    """The compiled function from numba's files, or compiled where they are none of it.

    Numba reads and writes in a folder that is this process's alone and goes afterwards.

    Returns:
        The function, what numba has written (nothing where there is no place), whether it was
        there.
    """
    try:
        private = tempfile.TemporaryDirectory(prefix="paddlevideo-", ignore_cleanup_errors=True)
    except OSError:
        made = numba.njit(nogil=True)(kernels.function)
        kernels.start(made)
        return made, {}, False
    with private:
        made = _kept_in(private.name, kernels.function)
        place = Path(made.stats.cache_path)
        place.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (place / name).write_bytes(content)
        kernels.start(made)
        written = {path.name: path.read_bytes() for path in sorted(place.iterdir())}
        return made, written, bool(made.stats.cache_hits)


def _kept_in(folder: str, function: Callable[..., Any]) -> Any:
    with _cache_folder(folder):
        return numba.njit(nogil=True, cache=True)(function)


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


def _compile_integers(function: Any) -> None:
    """The same of a function of products, which is not called: all it takes is addresses."""
    function.compile((numba.types.intp,) * NUM_ARGUMENTS)


def _address_of(function: Any) -> int:
    """The address at which compiled code calls what numba has compiled."""
    (found,) = function.overloads.values()
    address: int = found.library.get_pointer_to_function(found.fndesc.llvm_cfunc_wrapper_name)
    return address
