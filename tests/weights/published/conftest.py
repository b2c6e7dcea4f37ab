"""A server of released files on this machine, and released files that the tests write."""

import dataclasses
import ssl
import tarfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from convert.tensorflow.movinet_checkpoint import write_checkpoint
from modeling.conftest import randomise

from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.weights import model_arrays
from paddlevideo.weights.published import find_entry

Answer = Callable[[BaseHTTPRequestHandler], None]


class FileServer:
    """Serves ``answers[path]``; ``asked`` holds the path and range of every request."""

    def __init__(self, authority: trustme.CA | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, self.headers.get("Range")))
                outer.answers.get(self.path, status(404))(self)

            def log_message(self, *_args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if authority is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def address(self, path: str) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def content(body: bytes, kind: str = "application/octet-stream", **headers: str) -> Answer:
    """The whole body, whatever range is asked for."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", headers.get("length", str(len(body))))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def status(code: int) -> Answer:
    def answer(handler):
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def redirect(address: str) -> Answer:
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.fixture
def server():
    """Plain HTTP."""
    running = FileServer()
    yield running
    running.close()


@pytest.fixture
def https_server(tmp_path, monkeypatch):
    """HTTPS with a certificate that requests trusts for the time of the test."""
    authority = trustme.CA()
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    running = FileServer(authority)
    yield running
    running.close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no proxies."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PADDLEVIDEO_HOME", str(folder))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return folder


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    """A T0 of 3 classes as TensorFlow Model Garden would release it; its arrays."""
    folder = tmp_path_factory.mktemp("released")
    model = randomise(build_recognizer(model_section("movinet_t0_stream", num_classes=3)))
    arrays = model_arrays(model)
    (folder / "movinet_t0_stream").mkdir()
    prefix = folder / "movinet_t0_stream" / "ckpt-1"
    write_checkpoint(prefix, arrays, list(model.backbone.blocks.keys()))
    file = folder / "movinet_t0_stream.tar.gz"
    with tarfile.open(file, "w:gz", compresslevel=1) as archive:
        archive.add(prefix.parent, prefix.parent.name)
    return file, arrays


@pytest.fixture
def entry():
    """An entry of the table, but of a small network and at an address of the test's."""

    def made(address: str, **changes):
        known = {
            "address": address,
            "file_name": "movinet_t0_stream.tar.gz",
            "model": "movinet_t0_stream",
            "num_classes": 3,
            **changes,
        }
        return dataclasses.replace(find_entry("movinet_a0_stream_k600"), **known)

    return made
