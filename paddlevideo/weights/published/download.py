"""Fetch one file over HTTPS: bounded, checked, resumed after a cut, whole or not at all.

pooch takes care of the file's name and hash, requests of the connection (with the proxies and
certificates of the environment). Plain HTTP is not spoken, so a redirect to it is refused.
"""

import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pooch
import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from paddlevideo.utils.damage import shown
from paddlevideo.utils.errors import DownloadError
from paddlevideo.utils.files import made_folder, sha256_of
from paddlevideo.utils.limits import how_to_raise, limit

logger = logging.getLogger(__name__)

_ATTEMPTS = 4
_SECONDS_BEFORE_ATTEMPT = 0.5  # times the number of the attempt
_TIMEOUT_SECONDS = (10, 30)  # to connect, and between two parts
_CHUNK_BYTES = 1 << 16
_PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml")


class _InterruptedError(Exception):
    """The connection broke, and what has come so far is of use."""


def download(
    address: str,
    path: Path,
    sha256: str | None = None,
    num_bytes: int | None = None,
    *,
    allow_plain_http: bool = False,
) -> Path:
    """Fetch ``address`` into the new file ``path``; on an error nothing of it stays.

    Args:
        sha256, num_bytes: of the file, where known.
        allow_plain_http: for a server on this machine, in tests.

    Raises:
        DownloadError: it cannot be fetched, or what comes is another file; the message names no
            address, the caller knows what to do instead.
    """
    partial = path.parent / f".partial-{path.name}"
    fetch = _Fetch(sha256, num_bytes, allow_plain_http)
    pooch.get_logger().setLevel("WARNING")  # what is fetched stands in our own log
    try:
        with made_folder(path.parent):
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
            try:
                pooch.retrieve(
                    address,
                    known_hash=None if sha256 is None else f"sha256:{sha256}",
                    fname=path.name,
                    path=partial,
                    downloader=fetch,
                )
                (partial / path.name).replace(path)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except requests.RequestException as error:  # an OSError too, so first
        raise DownloadError(_reason(error)) from None
    except OSError as error:
        raise DownloadError(
            f"{path.parent} cannot be written: {error.strerror or error}; PADDLEVIDEO_HOME names "
            "another folder"
        ) from None
    return path


class _Fetch:
    """What pooch calls to get the content of an address into a file."""

    def __init__(self, sha256: str | None, num_bytes: int | None, allow_plain_http: bool) -> None:
        self.sha256 = sha256
        self.num_bytes = num_bytes
        self.allow_plain_http = allow_plain_http

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Write the content of ``url`` to the path ``output_file``."""
        with Path(output_file).open("w+b") as file, self._session() as session:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    self._receive(session, url, file)
                    break
                except _InterruptedError as error:
                    if attempt == _ATTEMPTS:
                        raise requests.ConnectionError(str(error)) from None
                    logger.info("%s: going on", error)
                    time.sleep(_SECONDS_BEFORE_ATTEMPT * attempt)
            self._check(file, Path(output_file))

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.adapters.clear()  # of plain HTTP too: an address of it has no adapter any more
        session.mount("https://", HTTPAdapter())
        if self.allow_plain_http:
            session.mount("http://", HTTPAdapter())
        session.headers["Accept-Encoding"] = "identity"  # so that lengths are those of the file
        return session

    def _receive(self, session: requests.Session, url: str, file: IO[bytes]) -> None:
        """Append what is missing, or everything if the server does not do that."""
        start = file.seek(0, 2)
        headers = {"Range": f"bytes={start}-"} if start else {}
        with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable and start:
                file.truncate(0)  # it has become shorter since
                raise _InterruptedError("the file changed meanwhile")
            if response.status_code >= 500:
                raise _InterruptedError(f"the server answers {response.status_code}")
            response.raise_for_status()
            if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                start = 0
                file.seek(0)
                file.truncate()
            length = response.headers.get("Content-Length", "")
            total = start + int(length) if length.isdecimal() else None
            self._check_announced(response, total)
            self._write(response, file, start, total)

    def _check_announced(self, response: requests.Response, total: int | None) -> None:
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            raise _not_the_file()
        if total is None:
            return
        if total > limit("download_bytes"):
            raise _too_large(total)
        if self.num_bytes is not None and total != self.num_bytes:
            raise DownloadError(
                f"another file came: it has {total} bytes, expected {self.num_bytes}"
            )

    def _write(
        self, response: requests.Response, file: IO[bytes], start: int, total: int | None
    ) -> None:
        most, written = limit("download_bytes"), start
        broken: Exception | None = None
        try:
            for chunk in _with_bar(response.iter_content(_CHUNK_BYTES), start, total):
                written += len(chunk)
                if written > most:
                    raise _too_large(written)
                file.write(chunk)
        except (requests.exceptions.ChunkedEncodingError, requests.ConnectionError) as error:
            broken = error
        file.flush()
        if broken is not None or (total is not None and written < total):
            of_total = "" if total is None else f" of {total}"
            raise _InterruptedError(f"the connection was cut after {written}{of_total} bytes")

    def _check(self, file: IO[bytes], path: Path) -> None:
        """Raise `DownloadError` unless it is the file that is known; bring it to the disk."""
        file.flush()
        size = file.seek(0, 2)
        file.seek(0)
        if file.read(64).lstrip().lower().startswith(_PAGE_STARTS):
            raise _not_the_file()
        if size == 0:
            raise DownloadError("an empty file came")
        if self.num_bytes is not None and size != self.num_bytes:
            raise DownloadError(
                f"another file came: it has {size} bytes, expected {self.num_bytes}"
            )
        found = self.sha256 if self.sha256 is None else sha256_of(path)
        if found != self.sha256:
            raise DownloadError(
                f"another file came: its SHA-256 is {found}, expected {self.sha256}"
            )
        os.fsync(file.fileno())


def _with_bar(chunks: Iterator[bytes], start: int, total: int | None) -> Iterator[bytes]:
    """Yield ``chunks``; on a terminal with a bar."""
    with tqdm(
        total=total,
        initial=start,
        unit="B",
        unit_scale=True,
        desc="download",
        leave=False,
        dynamic_ncols=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(len(chunk))


def _reason(error: Exception) -> str:
    """What went wrong, in a few words; requests' own texts are long and nested."""
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "it, or what it redirects to, is no HTTPS address; nothing else is fetched"
    if isinstance(error, requests.exceptions.SSLError):
        return f"the server's certificate is not accepted ({shown(_innermost(error))})"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy cannot be used ({shown(_innermost(error))})"
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return "it redirects without end"
    if isinstance(error, requests.Timeout):
        return "the server does not answer"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {shown(error.response.reason)}"
    return shown(_innermost(error))


def _innermost(error: BaseException) -> str:
    """The text of the error at the bottom, without addresses of objects."""
    inner: object = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    text = str(inner.args[-1]) if isinstance(inner, BaseException) and inner.args else str(inner)
    return re.sub(r"^.*?(>|Connection\([^)]*\)): ", "", text)


def _not_the_file() -> DownloadError:
    return DownloadError("a page came instead of the file (a login page, or the file has moved)")


def _too_large(num_bytes: int) -> DownloadError:
    return DownloadError(f"it has {num_bytes} bytes or more; {how_to_raise('download_bytes')}")
