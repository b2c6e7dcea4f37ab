"""Whatever a damaged or hostile weights file leads to, as one message."""

import contextlib
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from paddlevideo.utils.errors import PaddleVideoError, WeightsError

_SHOWN_LETTERS = 100


def shown(value: object) -> str:
    """Return a text from a file for a message: cut, and nothing in it that a terminal obeys."""
    text = value if isinstance(value, str) else str(value)
    cut = text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}..."
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in cut)


@contextlib.contextmanager
def damage_of(path: str | Path, what: str) -> Iterator[None]:
    """Turn every error that the content of ``path`` causes into a `WeightsError` that names it.

    A reader of foreign bytes can meet almost any exception, so all of them are translated; errors
    that are already ours pass. Only the reading of a file belongs into the block.

    Args:
        what: what the file is, if it is not damaged: ``"a .npz file"``.
    """
    try:
        yield
    except PaddleVideoError:
        raise
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise WeightsError(f"{path}: it needs more memory than there is") from None
    except RecursionError:
        raise WeightsError(f"{path}: damaged or not {what}: it is nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - see above
        detail = str(error) or type(error).__name__
        raise WeightsError(f"{path}: damaged or not {what}: {shown(detail)}") from None


@contextlib.contextmanager
def open_regular(path: str | Path) -> Iterator[tuple[BufferedReader, int]]:
    """Open a file for reading, with its size; what has no size could be read for ever.

    Raises:
        WeightsError: missing, not permitted, or a pipe, a device or a folder.
    """
    path = Path(path)
    try:
        # A pipe without a writer would wait in open().
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        detail = error.strerror if isinstance(error, OSError) else error
        raise WeightsError(f"weights {path} cannot be read: {detail}") from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        kind = "Is a directory" if stat.S_ISDIR(status.st_mode) else "it is no regular file"
        raise WeightsError(f"weights {path} cannot be read: {kind}")
    with os.fdopen(handle, "rb") as file:
        yield file, status.st_size


def read_bounded(path: str | Path, most_bytes: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        WeightsError: as `open_regular`, or longer than ``most_bytes``.
    """
    with open_regular(path) as (file, size), damage_of(path, "a readable file"):
        if size > most_bytes:
            raise WeightsError(f"{path} has {size} bytes; at most {most_bytes} are read")
        return file.read(most_bytes)
