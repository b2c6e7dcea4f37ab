"""From the name of released weights to a file: out of the cache, or fetched and converted."""

import logging
import shutil
from pathlib import Path

from paddlevideo.utils.errors import DownloadError, WeightsError, nearest_hint
from paddlevideo.utils.files import atomic_write, sha256_of
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.weights.published.cache import (
    converted_file,
    downloaded_file,
    only_process,
    read_record,
)
from paddlevideo.weights.published.entry import PretrainedEntry
from paddlevideo.weights.published.table import PRETRAINED, find_entry, is_pretrained

logger = logging.getLogger(__name__)


def resolve(name_or_path: str | Path) -> Path:
    """Return the weights file that is meant: a name of the table is fetched, a path stays.

    Raises:
        WeightsError: it is neither a name nor a file, or the released file cannot be converted.
        DownloadError: the released file cannot be fetched; the message says where to put it.
    """
    if is_pretrained(name_or_path) and not Path(name_or_path).is_file():
        return fetch(find_entry(str(name_or_path)))
    path = Path(name_or_path)
    if len(path.parts) == 1 and not path.suffix and not path.exists():
        raise WeightsError(
            f"weights {str(name_or_path)[:100]!r}: no such file, and no released weights of that "
            f"name; {nearest_hint(str(name_or_path), PRETRAINED)}"
        )
    return path


def fetch(entry: PretrainedEntry, *, allow_plain_http: bool = False) -> Path:
    """Return the converted file of an entry; fetch and convert what is not in the cache.

    Args:
        allow_plain_http: for a server on this machine, in tests.

    Raises:
        DownloadError, WeightsError: as `resolve`.
    """
    if read_record(entry) is not None:
        return converted_file(entry)
    with only_process(entry):
        if read_record(entry) is None:  # what another process may have done meanwhile
            _make(entry, _publishers_file(entry, allow_plain_http))
    return converted_file(entry)


def take_file(entry: PretrainedEntry, file: str | Path) -> Path:
    """Put a publisher's file that was fetched by hand into the cache, and convert it.

    Raises:
        DownloadError: it is not that file, or cannot be copied.
        WeightsError: it cannot be converted.
    """
    file = Path(file)
    if not file.is_file():
        raise DownloadError(f"{file}: no such file; expected {entry.file_name} of {entry.address}")
    problem = _problem_of(entry, file)
    if problem:
        raise DownloadError(f"{file} is not {entry.file_name} of {entry.address}: {problem}")
    kept = downloaded_file(entry)
    with only_process(entry):
        _make(entry, file)
        try:
            if not (kept.exists() and kept.samefile(file)):
                with file.open("rb") as source, atomic_write(kept) as target:
                    shutil.copyfileobj(source, target)
        except OSError as error:
            raise DownloadError(
                f"{file} cannot be copied into {kept.parent}: {error.strerror or error}"
            ) from None
    return converted_file(entry)


def options_of(entry: PretrainedEntry) -> ReadNode:
    """The options of `create_model` that an entry's weights are for.

    For an entry whose options are found in its file, the file must be in the cache (`fetch`).
    """
    if entry.options is not None:
        return entry.options
    record = read_record(entry)
    return {} if record is None else record["options"]


def how_to_put_by_hand(entry: PretrainedEntry) -> str:
    """The end of a message: the address, the name of the file and the folder to put it in."""
    file = downloaded_file(entry)
    return (
        f"Fetch {entry.address} by other means, and put it as {file.name} into {file.parent}, or "
        f"give it to: paddlevideo download {entry.name} --from FILE"
    )


def _publishers_file(entry: PretrainedEntry, allow_plain_http: bool) -> Path:
    """The file as it was released, out of the cache or from its address."""
    from paddlevideo.weights.published.download import download

    file = downloaded_file(entry)
    if file.exists():
        problem = _problem_of(entry, file)
        if not problem:
            return file
        logger.warning("%s is fetched again: %s", file, problem)
    logger.info("%s: fetching %s from %s", entry.name, entry.file_name, entry.host)
    try:
        return download(
            entry.address, file, entry.sha256, entry.num_bytes, allow_plain_http=allow_plain_http
        )
    except DownloadError as error:
        raise DownloadError(
            f"weights {entry.name} cannot be fetched: {error}. {how_to_put_by_hand(entry)}"
        ) from None


def _problem_of(entry: PretrainedEntry, file: Path) -> str:
    """What tells that a file is not the released one; empty: nothing does."""
    try:
        size = file.stat().st_size
        if entry.num_bytes is not None and size != entry.num_bytes:
            return f"it has {size} bytes, expected {entry.num_bytes}"
        if entry.sha256 is not None:
            found = sha256_of(file)
            if found != entry.sha256:
                return f"its SHA-256 is {found}, expected {entry.sha256}"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    return ""


def _make(entry: PretrainedEntry, file: Path) -> None:
    from paddlevideo.convert.published import convert

    try:
        convert(entry, file)
    except WeightsError as error:
        raise WeightsError(
            f"weights {entry.name}: {error} (if the file is damaged, remove it and try again)"
        ) from None
