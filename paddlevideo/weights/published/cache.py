"""The cache of released weights: where it is, what lies in it, and one process at a time."""

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from paddlevideo.utils.cache_home import HOME_VARIABLE, home
from paddlevideo.utils.damage import read_bounded
from paddlevideo.utils.errors import DownloadError, PaddleVideoError
from paddlevideo.utils.limits import limit
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.weights.published.entry import PretrainedEntry

logger = logging.getLogger(__name__)

RECORD_FORMAT = 1  # a cache of another one is converted anew


def downloads_folder() -> Path:
    """Where the publishers' files lie, as they came; a file put here by hand is taken."""
    return home() / "downloads"


def downloaded_file(entry: PretrainedEntry) -> Path:
    """The publisher's file of an entry."""
    return downloads_folder() / entry.file_name


def converted_file(entry: PretrainedEntry) -> Path:
    """The file that a name stands for."""
    return home() / "weights" / entry.name / f"{entry.name}.safetensors"


def record_file(entry: PretrainedEntry) -> Path:
    """What is known of the converted file and where it came from (JSON), beside it."""
    return converted_file(entry).with_suffix(".json")


def names_file(entry: PretrainedEntry) -> Path:
    """The names of its classes, as a run leaves them beside its weights (JSON)."""
    return converted_file(entry).with_name("class_names.json")


def read_record(entry: PretrainedEntry) -> ReadNode | None:
    """The record of a converted file that is whole; None: there is none, or it is of no use."""
    try:
        text = read_bounded(record_file(entry), int(limit("config_bytes")))
        record = json.loads(text)
        size = converted_file(entry).stat().st_size
    except (OSError, ValueError, RecursionError, PaddleVideoError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("options"), dict):
        return None
    of_this = (record.get("record_format"), record.get("name"), record.get("converted_bytes"))
    return record if of_this == (RECORD_FORMAT, entry.name, size) else None


@contextlib.contextmanager
def only_process(entry: PretrainedEntry) -> Iterator[None]:
    """Keep other processes from fetching or converting the same weights; they wait.

    The lock is the kernel's and ends with the process that holds it, however it ends.
    """
    path = home() / "locks" / f"{entry.name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise DownloadError(
            f"{home()} cannot be written: {error.strerror or error}; {HOME_VARIABLE} names another "
            "folder"
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("%s: another process is fetching it, waiting", entry.name)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
