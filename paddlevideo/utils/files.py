"""Write files so that a reader sees the old one or the new one, never half of one."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Yield a binary file that becomes ``path`` when the block ends without an error.

    The content is flushed to the disk before the rename; on an error nothing of it stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def made_folder(path: str | Path) -> Iterator[Path]:
    """Make a folder, and those above it; if the block fails, the new ones that are empty go."""
    path = Path(path)
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    except BaseException:
        with contextlib.suppress(OSError):  # not empty: it stays, and so do those above it
            for folder in new:
                folder.rmdir()
        raise


def _umask() -> int:
    """The process's umask. Linux tells it without the set-and-restore that would race."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("Umask:")[1].split()[0], 8)
    except (OSError, IndexError, ValueError):
        return 0o022


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: str | Path, value: object) -> None:
    """Write indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sync_file(path: str | Path) -> None:
    """Have the content of a file on the disk, if there is such a file."""
    with contextlib.suppress(FileNotFoundError), Path(path).open("r+b") as file:
        os.fsync(file.fileno())


def sync_folder(path: str | Path) -> None:
    """Have the names in a folder on the disk, where the system can: a rename is one of them."""
    with contextlib.suppress(OSError):  # a system or a mount that cannot open a folder
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def append_lines(path: str | Path, lines: bytes) -> None:
    """Add whole lines to a file, all or none; half a line at its end is cut off first.

    Raises:
        OSError: they cannot be written; the file is as it was, but for half a line.
    """
    with Path(path).open("a+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 4096)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end != size:
            file.truncate(end)
        try:
            file.write(lines)
            file.flush()
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file.fileno(), end)
            raise
