"""Where compiled kernels are kept: one file for a processor and a state of the sources.

Numba's own cache takes any file for whole and any folder for safe, and two processors that share a
home can mix up its files. So what numba writes is packed into one file here, under a name that
says what it is for, written at once or not at all, and read only if its checksums hold. Numba is
not imported: whether there are kernels is asked before every stream (docs/compiled_engine.md).
"""

import hashlib
import importlib.metadata
import io
import logging
import os
import platform
import stat
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from paddlevideo.runtime.engines.base import Products
from paddlevideo.runtime.engines.compiled.processor import refused_by_kernel
from paddlevideo.utils.errors import ConfigError, SaveError
from paddlevideo.utils.files import atomic_write
from paddlevideo.utils.locks import FileLock

logger = logging.getLogger(__name__)

HOME_VARIABLE = "PADDLEVIDEO_HOME"  # as of released weights
_MOST_BYTES = 64 << 20  # a file of kernels has half a megabyte
_UNUSED_SECONDS = 90 * 86400
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_POLL_SECONDS = 0.2

KernelPart = Literal["loop", "bfloat16"]
"""What is compiled, and kept, by itself: the loop; products that only some programs ask for."""
KERNELS_OF: Mapping[Products, tuple[KernelPart, ...]] = {
    "float32": ("loop",), "bfloat16": ("loop", "bfloat16"),
}  # fmt: skip


@cache
def source_digest() -> str:
    """A name for the sources of the kernels: numba looks at the file of one function only."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def kernel_key() -> str:
    """A name for all that machine code depends on: sources, processor, versions, settings."""
    import llvmlite
    import llvmlite.binding as llvm

    settings = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if name.startswith("NUMBA_") and name != "NUMBA_CACHE_DIR"
    ]
    parts = (
        source_digest(),
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
        llvm.get_process_triple(),
        llvmlite.__version__,
        importlib.metadata.version("numba"),
        np.__version__,
        platform.python_version(),
        *sorted(refused_by_kernel()),
        *settings,
    )
    name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
    return f"{llvm.get_host_cpu_name() or 'processor'}-{name}"


def kernel_folders() -> list[Path]:
    """The folders that may hold kernels, the preferred one first."""
    stated = os.environ.get(HOME_VARIABLE)
    if stated:
        return [Path(stated).expanduser() / "kernels"]
    folders = []
    with suppress(RuntimeError):  # no home
        folders.append(_user_cache() / "paddlevideo" / "kernels")
    with suppress(OSError):  # nor a folder for temporary files
        folders.append(Path(tempfile.gettempdir()) / f"paddlevideo-kernels-{_user()}")
    return folders


def find_kernels(part: KernelPart = "loop") -> Path | None:
    """The file of kernels for this process, if there is one; it may be damaged."""
    return next(_files(part), None)


def _name_of(part: KernelPart) -> str:
    return f"{kernel_key()}.zip" if part == "loop" else f"{kernel_key()}-{part}.zip"


def _files(part: KernelPart) -> Iterator[Path]:
    name = _name_of(part)
    for folder in kernel_folders():
        if (folder / name).is_file() and _is_safe(folder):
            yield folder / name


def writable_folder() -> Path | None:
    """The first folder in which kernels can be kept; it is made. None: there is none."""
    for folder in kernel_folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        if _is_safe(folder):
            return folder
    return None


def nowhere_to_keep() -> str:
    """What to say where no folder will do."""
    folders = ", ".join(map(str, kernel_folders())) or "no home and no temporary folder"
    return f"compiled kernels cannot be kept ({folders}); name a folder: {HOME_VARIABLE}=DIR"


def read_kernels(part: KernelPart = "loop") -> dict[str, bytes]:
    """The files that numba wrote for this process, by name; none if there are none.

    Damaged ones are taken away, which is said.
    """
    return next((files for files in map(_read, _files(part)) if files), {})


def _read(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > _MOST_BYTES:
                raise zipfile.BadZipFile("too large")
            files = {item.filename: archive.read(item) for item in archive.infolist()}
        if not files or any(Path(name).name != name for name in files):
            raise zipfile.BadZipFile("strange names")
    except FileNotFoundError:
        return {}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError,
            NotImplementedError) as error:  # fmt: skip
        _drop(path, str(error))
        return {}
    with suppress(OSError):
        os.utime(path)  # in use: see `_prune`
    return files


def drop_kernels(reason: str, part: KernelPart = "loop") -> None:
    """Take files of kernels away that are of no use."""
    for path in _files(part):
        _drop(path, reason)


def _drop(path: Path, reason: str) -> None:
    logger.warning("%s is damaged (%s); it is compiled anew", path, reason[:200])
    with suppress(OSError):
        path.unlink(missing_ok=True)


def keep_kernels(files: Mapping[str, bytes], part: KernelPart = "loop") -> Path | None:
    """Write the file of kernels; None if that cannot be, which is said."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    folder = writable_folder()
    if folder is None:
        logger.warning("%s", nowhere_to_keep())
        return None
    path = folder / _name_of(part)
    try:
        with atomic_write(path) as file:
            file.write(data.getvalue())
    except OSError as error:
        logger.warning("compiled kernels could not be kept in %s: %s", folder, error.strerror)
        return None
    _prune(folder)
    return path


@contextmanager
def compiling_alone(folder: Path) -> Iterator[None]:
    """Wait until no other process compiles the same kernels, and keep others waiting meanwhile.

    A process that is ended lets go. Where the folder has no locks, all compile: that costs time.
    """
    begun, said = time.monotonic(), False
    while True:
        lock = FileLock(folder / f"{kernel_key()}.lock", "is compiling kernels")
        try:
            lock.__enter__()
        except ConfigError:
            if not said and time.monotonic() - begun > 1:
                logger.info("another process compiles the same kernels; waiting for it")
                said = True
            time.sleep(_POLL_SECONDS)
            continue
        except SaveError:  # the disk is full, or the folder is gone
            yield
            return
        break
    with lock:
        yield


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _user() -> str:
    return "user" if sys.platform == "win32" else str(os.getuid())


def _is_safe(folder: Path) -> bool:
    """Whether nobody else can have put code there. A folder that the user names is the user's."""
    if sys.platform == "win32" or os.environ.get(HOME_VARIABLE):
        return True
    try:
        found = folder.lstat()
    except OSError:
        return False
    is_own = found.st_uid in (os.getuid(), 0)
    return stat.S_ISDIR(found.st_mode) and is_own and not found.st_mode & _OTHERS_MAY_WRITE


def _prune(folder: Path) -> None:
    """Remove files that no process has read for long: of older versions, of other processors."""
    oldest = time.time() - _UNUSED_SECONDS
    for path in folder.iterdir():
        with suppress(OSError):
            if path.suffix in (".zip", ".lock", ".tmp") and path.stat().st_mtime < oldest:
                path.unlink()
