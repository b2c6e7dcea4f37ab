"""`Service`: a bundle that is served: its pool of streams, its video workers, who is connected."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from paddlevideo.apps.serve.limits import ServeLimits
from paddlevideo.apps.serve.metrics import Metrics
from paddlevideo.apps.serve.refusals import CLOSING, FULL, NO_STREAMS, RefusedError
from paddlevideo.apps.serve.stepper import Stepper
from paddlevideo.apps.serve.videos import VideoWorkers
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.predictor import VideoPredictor, open_predictor
from paddlevideo.runtime.streams.pool import PoolStream
from paddlevideo.runtime.streams.session_options import StreamOptions
from paddlevideo.utils.cpu_threads import available_cores

_TICK_SECONDS = 0.02


class Connection(Protocol):
    """A stream's connection, as far as the service's end concerns it."""

    def end_soon(self) -> None:
        """Answer the frame at hand, then close with `CLOSING`."""
        ...


class Service:
    """What the handlers of requests share.

    Args:
        bundle: that is served.
        engine_options: of its programs; the CPU's cores are shared by streams and videos.
        limits: of what a client may ask for.
        stream_options: of every stream.
        video_workers: processes for videos.
        predictor: of the bundle, where it is open already.

    Attributes:
        limits, stream_options, bundle: as given.
        metrics: what was counted.
        decoders: threads that decode frames: one for each core, so at most as many are decoded at
            the same time, whatever the number of clients.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine_options: EngineOptions,
        limits: ServeLimits,
        stream_options: StreamOptions,
        video_workers: int = 1,
        predictor: VideoPredictor | None = None,
    ) -> None:
        self.bundle = bundle
        self.limits = limits
        self.stream_options = stream_options
        self.metrics = Metrics()
        self.started = time.time()
        self.is_closing = False
        self._engine_options = engine_options
        self._num_workers = video_workers
        self._predictor = predictor
        self._connections: set[Connection] = set()
        self._num_videos = 0
        self._stepper: Stepper | None = None
        self._videos: VideoWorkers | None = None
        cores = engine_options.cpu_threads or available_cores()
        self.decoders = ThreadPoolExecutor(cores, thread_name_prefix="frames")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the model and the workers; close them at the end, with all files.

        Raises:
            PaddleVideoError: the bundle cannot be opened.
        """
        with tempfile.TemporaryDirectory(prefix="paddlevideo-serve-") as folder:
            self._folder = Path(folder)
            self._videos = VideoWorkers(
                self.bundle, self._engine_options, self.limits, self._num_workers
            )
            try:
                if self.has_streams:
                    self._open_pool()
                await self._videos.ready()
                yield
            finally:
                self.is_closing = True
                await asyncio.to_thread(self._videos.close)
                if self._stepper is not None:
                    await asyncio.to_thread(self._stepper.close)
                self.decoders.shutdown(cancel_futures=True)

    def _open_pool(self) -> None:
        predictor = self._predictor or open_predictor(self.bundle, self._engine_options)
        pool = predictor.open_pool(self.limits.max_streams, **vars(self.stream_options))
        pool.open().close()  # the engine, and the first runner, before the first client
        self._stepper = Stepper(pool, 1 / self.frame_rate, self._note_step)
        self._pool = pool

    def _note_step(self, seconds: float, num_streams: int) -> None:
        self.metrics.step_seconds.observe(seconds)
        self.metrics.step_streams.observe(num_streams)

    @property
    def has_streams(self) -> bool:
        """Whether the bundle is for streams."""
        return self.bundle.manifest.step is not None

    @property
    def frame_rate(self) -> float:
        """Frames a second that the model sees of a stream."""
        step = self.bundle.manifest.step
        return 0.0 if step is None else step.frame_rate

    @property
    def num_classes(self) -> int:
        """Classes of the model."""
        return self.bundle.manifest.outputs[0].shape[1]

    @property
    def stepper(self) -> Stepper:
        """Steps the streams.

        Raises:
            RefusedError: the bundle is for whole clips.
        """
        if self._stepper is None:
            raise RefusedError(
                NO_STREAMS, "this model is for whole videos, not for streams: POST them to /predict"
            )
        return self._stepper

    @property
    def videos(self) -> VideoWorkers:
        """Classify videos; there while the service runs."""
        if self._videos is None:
            raise RefusedError(CLOSING, "the service is not running")
        return self._videos

    @property
    def is_healthy(self) -> bool:
        """Whether it takes work, and its threads are alive."""
        return not self.is_closing and (self._stepper is None or self._stepper.is_alive)

    @property
    def num_streams(self) -> int:
        """Streams that are open."""
        return len(self._connections)

    @property
    def num_videos(self) -> int:
        """Videos that are sent, wait or are computed."""
        return self._num_videos

    def check_open(self) -> None:
        """Raise `RefusedError` where the service is about to end."""
        if self.is_closing:
            raise RefusedError(CLOSING, "the service is shutting down; try again later")

    async def open_stream(self, connection: Connection) -> PoolStream:
        """A stream of the pool for a connection, until `close_stream`.

        Raises:
            RefusedError: all places are taken, or the bundle has no streams.
        """
        self.check_open()
        stepper = self.stepper
        if len(self._connections) >= self.limits.max_streams:
            raise RefusedError(
                FULL,
                f"all {self.limits.max_streams} streams are taken; try again later (--max_streams)",
            )
        self._connections.add(connection)
        try:
            opening = asyncio.to_thread(self._pool.open)  # it may make a runner
            stream = await opening
        except BaseException:
            self._connections.discard(connection)
            raise
        if connection not in self._connections:  # gone meanwhile
            stepper.forget(stream)
        self.metrics.streams_total.inc()
        self.metrics.streams.set(len(self._connections))
        return stream

    def close_stream(self, connection: Connection, stream: PoolStream | None) -> None:
        """Give a connection's place back."""
        if stream is not None:
            self.stepper.forget(stream)
        self._connections.discard(connection)
        self.metrics.streams.set(len(self._connections))

    @contextlib.contextmanager
    def video_place(self) -> Iterator[Path]:
        """A place among the videos, and a name for its file, which is gone at the end.

        Raises:
            RefusedError: all places are taken.
        """
        self.check_open()
        if self._num_videos >= self.limits.max_videos:
            raise RefusedError(
                FULL,
                f"{self._num_videos} videos are being sent or computed; try again later "
                "(--max_videos)",
            )
        self._num_videos += 1
        try:
            handle, name = tempfile.mkstemp(dir=self._folder, suffix=".video")
            try:
                with open(handle, "wb"):  # noqa: PTH123 - a handle, not a path
                    pass
                yield Path(name)
            finally:
                Path(name).unlink(missing_ok=True)
        finally:
            self._num_videos -= 1

    async def drain(self, seconds: float) -> bool:
        """Take nothing new, and wait for what runs; whether all of it has ended in time."""
        self.is_closing = True
        for connection in list(self._connections):
            connection.end_soon()
        deadline = time.monotonic() + seconds
        while (self._connections or self._num_videos) and time.monotonic() < deadline:
            await asyncio.sleep(_TICK_SECONDS)
        return not (self._connections or self._num_videos)
