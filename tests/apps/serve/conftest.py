"""A small stream bundle, served on 127.0.0.1 by a thread of the tests' process."""

import asyncio
import contextlib
import io
import json
import threading
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest
from PIL import Image
from runtime.conftest import LABELS, PIPELINE
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import paddlevideo
from paddlevideo.apps.serve.limits import ServeLimits
from paddlevideo.apps.serve.server import create_server, listen
from paddlevideo.apps.serve.service import Service
from paddlevideo.export import ExportOptions, export_model
from paddlevideo.runtime import read_bundle
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.streams.session_options import StreamOptions

ENGINE = EngineOptions(device="cpu", cpu_threads=1, engine="onnxruntime")


@pytest.fixture(scope="session")
def stream_bundle(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("paddle2onnx")
    folder = tmp_path_factory.mktemp("served") / "bundle"
    model = paddlevideo.create_model("movinet_t0_stream", num_classes=len(LABELS)).eval()
    export_model(model, PIPELINE, folder, "small", LABELS, ExportOptions(formats=("onnx",)))
    return read_bundle(folder)


@dataclass
class Answers:
    """What came through a socket, and how it ended."""

    lines: list[dict] = field(default_factory=list)
    code: int = 0
    reason: str = ""

    @property
    def scores(self):
        return [line["top"] for line in self.lines if "top" in line]


class Served:
    """A running server; `stop` asks it to end as a signal does."""

    def __init__(self, service, access=None):
        self.service = service
        self._ready = threading.Event()
        self._error = None
        self._access = access
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)
        if self._error is not None:
            raise self._error

    def _run(self):
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - raised by who waits
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self):
        with listen("127.0.0.1", 0) as bound:
            self.port = bound.getsockname()[1]
            async with self.service.running():
                self._server = create_server(self.service, self._access)
                self._ready.set()
                await self._server.serve(sockets=[bound])

    def stop(self):
        self._server.handle_exit(15, None)

    def join(self):
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def get(self, path, **options):
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30, **options)

    def get_ok(self):
        with contextlib.suppress(httpx.HTTPError):
            return self.get("/health").status_code == 200
        return False

    def predict(self, content, query="", **options):
        url = f"http://127.0.0.1:{self.port}/predict{query}"
        return httpx.post(url, content=content, timeout=60, **options)

    def open(self, query="", **options):
        address = f"ws://127.0.0.1:{self.port}/stream{query}"
        return connect(address, compression=None, max_queue=None, **options)

    def stream(self, messages, query=""):
        """Send messages, one after the other, and collect everything until the end."""
        answers = Answers()
        with self.open(query) as socket:
            with contextlib.suppress(ConnectionClosed):
                for message in messages:
                    socket.send(message)
            return read_rest(socket, answers)


def read_rest(socket, answers=None):
    answers = answers or Answers()
    try:
        while True:
            answers.lines.append(json.loads(socket.recv(timeout=30)))
    except ConnectionClosed:
        answers.code, answers.reason = socket.close_code, socket.close_reason
    return answers


@contextlib.contextmanager
def serving(bundle, access=None, top_k=3, engine=ENGINE, **limits):
    service = Service(
        bundle, engine, ServeLimits(**limits), StreamOptions(top_k=top_k), video_workers=1
    )
    served = Served(service, access)
    try:
        yield served
    finally:
        served.stop()
        served.join()


@pytest.fixture(scope="module")
def served(stream_bundle):
    """One server for the tests that need no limit of their own."""
    # Good and hostile clients of a test have one address.
    with serving(stream_bundle, max_connections_per_address=256) as server:
        yield server


def pictures(number, seed=0, height=40, width=48):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(number)]


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session", autouse=True)
def _compiled_ahead(compiled_kernels) -> None:
    """``auto`` takes the compiled engine at once, and no process compiles beside a service."""
