"""Downloading: only over HTTPS, whole or not at all, one clear error for whatever goes wrong."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest

from paddlevideo.utils.errors import DownloadError
from paddlevideo.weights.published import download as module
from paddlevideo.weights.published.download import download
from weights.published.conftest import content, redirect, status

BODY = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(module, "_SECONDS_BEFORE_ATTEMPT", 0.0)


@pytest.fixture
def fetch(tmp_path):
    """Download into ``tmp_path/out/file`` over plain HTTP."""

    def run(address, **known):
        known.setdefault("allow_plain_http", True)
        return download(address, tmp_path / "out" / "file", **known)

    return run


def left(tmp_path) -> list[Path]:
    return [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def cut(after: int, resumes: bool, times: int):
    """An answer that breaks off ``times`` times; then it is whole, or what is missing."""
    broken = []

    def answer(handler):
        asked = handler.headers.get("Range")
        start = int(asked[6:-1]) if asked and resumes else 0
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        handler.send_header("Content-Length", str(len(BODY) - start))
        handler.end_headers()
        part = BODY[start:]
        if len(broken) < times:
            broken.append(start)
            part = part[:after]
        handler.wfile.write(part)

    return answer


def test_a_file(server, fetch, tmp_path):
    server.answers["/file"] = content(BODY)
    path = fetch(server.address("/file"), sha256=SHA256, num_bytes=len(BODY))
    assert path.read_bytes() == BODY
    assert left(tmp_path) == [path]
    assert len(server.asked) == 1


def test_over_https_and_through_a_redirect(https_server, fetch):
    https_server.answers["/file"] = content(BODY)
    https_server.answers["/old"] = redirect(https_server.address("/file"))
    path = fetch(https_server.address("/old"), sha256=SHA256, allow_plain_http=False)
    assert path.read_bytes() == BODY


def test_plain_http_is_refused(server, fetch, tmp_path):
    server.answers["/file"] = content(BODY)
    with pytest.raises(DownloadError, match="no HTTPS address"):
        fetch(server.address("/file"), allow_plain_http=False)
    assert not server.asked
    assert left(tmp_path) == []


def test_a_redirect_to_plain_http_is_refused(https_server, server, fetch, tmp_path):
    server.answers["/file"] = content(BODY)
    https_server.answers["/file"] = redirect(server.address("/file"))
    with pytest.raises(DownloadError, match="redirects to, is no HTTPS address"):
        fetch(https_server.address("/file"), allow_plain_http=False)
    assert not server.asked
    assert left(tmp_path) == []


def test_an_unknown_certificate_is_refused(https_server, fetch, monkeypatch, tmp_path):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(DownloadError, match="certificate is not accepted"):
        fetch(https_server.address("/file"), allow_plain_http=False)
    assert left(tmp_path) == []


@pytest.mark.parametrize("resumes", [True, False])
def test_a_cut_connection_is_resumed_or_begun_anew(server, fetch, resumes):
    server.answers["/file"] = cut(131_072, resumes, times=2)
    assert fetch(server.address("/file"), sha256=SHA256).read_bytes() == BODY
    ranges = [asked for _, asked in server.asked]
    second = 262_144 if resumes else 131_072
    assert ranges == [None, "bytes=131072-", f"bytes={second}-"]


def test_a_connection_that_is_always_cut(server, fetch, tmp_path):
    server.answers["/file"] = cut(65_536, False, times=99)
    with pytest.raises(DownloadError, match="cut after 65536 of 300000 bytes"):
        fetch(server.address("/file"))
    assert left(tmp_path) == []
    assert not (tmp_path / "out").exists()


def test_a_server_that_has_trouble_and_one_that_refuses(server, fetch, tmp_path):
    server.answers["/file"] = status(503)
    with pytest.raises(DownloadError, match="the server answers 503"):
        fetch(server.address("/file"))
    assert len(server.asked) == 4
    with pytest.raises(DownloadError, match="the server answers 404 Not Found"):
        fetch(server.address("/other"))
    assert len(server.asked) == 5
    assert left(tmp_path) == []


def test_another_file(server, fetch, tmp_path):
    server.answers["/file"] = content(BODY[:-1] + b"x")
    with pytest.raises(DownloadError, match=f"another file came: its SHA-256 is .*{SHA256}"):
        fetch(server.address("/file"), sha256=SHA256)
    with pytest.raises(DownloadError, match="it has 300000 bytes, expected 7"):
        fetch(server.address("/file"), num_bytes=7)
    assert left(tmp_path) == []


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_page_instead_of_the_file(server, fetch, tmp_path, kind):
    server.answers["/file"] = content(b"\n<!DOCTYPE html><html>Log in</html>", kind)
    with pytest.raises(DownloadError, match="a page came instead of the file"):
        fetch(server.address("/file"))
    assert left(tmp_path) == []


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_too_large(server, fetch, tmp_path, monkeypatch, announced):
    def unannounced(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(BODY)

    server.answers["/file"] = content(BODY) if announced else unannounced
    monkeypatch.setenv("PADDLEVIDEO_LIMITS", "download_bytes=200000")
    with pytest.raises(DownloadError, match="the limit download_bytes is 200000"):
        fetch(server.address("/file"))
    assert left(tmp_path) == []


class FullDisk(io.FileIO):
    """A file on a disk that has room for 100,000 bytes."""

    def write(self, data):
        if self.tell() + len(data) > 100_000:
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_a_full_disk(server, fetch, tmp_path, monkeypatch):
    server.answers["/file"] = content(BODY)
    real = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda self, mode="r", *a, **k: (
            FullDisk(self, "w+") if mode == "w+b" else real(self, mode, *a, **k)
        ),
    )
    with pytest.raises(DownloadError, match=r"cannot be written: No space left.*PADDLEVIDEO_HOME"):
        fetch(server.address("/file"))
    assert left(tmp_path) == []


def test_nobody_there(fetch, tmp_path):
    with pytest.raises(DownloadError, match="refused"):
        fetch("http://127.0.0.1:9/file")
    assert left(tmp_path) == []


def test_an_https_proxy_of_the_environment_is_used(fetch, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="the proxy cannot be used"):
        fetch("https://example.invalid/file", allow_plain_http=False)


def test_what_a_killed_process_left_goes(server, fetch, tmp_path):
    server.answers["/file"] = content(BODY)
    old = tmp_path / "out" / ".partial-file" / "tmpabc"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"half")
    assert left(tmp_path) == [old]
    path = fetch(server.address("/file"))
    assert left(tmp_path) == [path]
