"""`VideoWorkers`: videos are decoded and classified by processes of their own.

A file that crashes a decoder, takes all memory or never ends costs its own process, and no other
client anything.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from paddlevideo.apps.serve.limits import ServeLimits
from paddlevideo.apps.serve.refusals import (
    FAILED,
    TOO_LARGE,
    TOOK_TOO_LONG,
    UNREADABLE,
    Refusal,
    RefusedError,
)
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.predictor import VideoPredictor, VideoResult, open_predictor
from paddlevideo.utils.crew import READY, FileWorker, Work
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.limits import LIMITS_VARIABLE, limit
from paddlevideo.utils.processes import end_process
from paddlevideo.video.decoders.containers import first_video_stream, open_file

logger = logging.getLogger(__name__)

PredictorFactory = Callable[[Bundle, EngineOptions], VideoPredictor]

# Opening a bundle takes seconds, compiling it for the first time a minute on a busy machine.
_START_SECONDS = 600.0
_NICENESS = 5  # streams are live; a video has time


@dataclass(frozen=True)
class VideoRefused:
    """In place of a result: the video is refused."""

    refusal: Refusal
    message: str


def start_work(
    bundle: Bundle, options: EngineOptions, limits: ServeLimits, factory: PredictorFactory
) -> Work[VideoResult | VideoRefused]:
    """In the worker process: open the bundle; return what gives all classes of files in order."""
    if os.name == "posix":
        os.nice(_NICENESS)
    own = {"video_frames": limits.max_video_frames, "frame_pixels": limits.max_frame_pixels}
    lowered = [f"{name}={min(value, limit(name)):.17g}" for name, value in own.items()]
    os.environ[LIMITS_VARIABLE] = ",".join([os.environ.get(LIMITS_VARIABLE, ""), *lowered])
    predictor = factory(bundle, options)

    def work(paths: Sequence[Path]) -> Sequence[VideoResult | VideoRefused]:
        return [_classify(predictor, path, limits.max_video_seconds) for path in paths]

    return work


def _classify(
    predictor: VideoPredictor, path: Path, most_seconds: float
) -> VideoResult | VideoRefused:
    try:
        seconds = _seconds(path)
        if seconds > most_seconds:
            return VideoRefused(
                TOO_LARGE,
                f"the video is {seconds:.1f} s long; this service takes {most_seconds:g} s at "
                "most (--max_video_seconds)",
            )
        return predictor(path, top_k=1_000_000)
    except DataError as error:
        return VideoRefused(UNREADABLE, str(error).replace(str(path), "the video"))


def _seconds(path: Path) -> float:
    """The video's length, as its header says; 0 where it does not. Frames are counted anyway."""
    with open_file(str(path)) as container:
        stream = first_video_stream(container)
        if stream is not None and stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return (container.duration or 0) / 1e6


class VideoWorkers:
    """Classifies files, each worker one at a time; a process that dies is replaced.

    Args:
        bundle, options, limits: of the service.
        number: of processes.
        factory: opens the bundle, in the process.
    """

    def __init__(
        self,
        bundle: Bundle,
        options: EngineOptions,
        limits: ServeLimits,
        number: int,
        factory: PredictorFactory = open_predictor,
    ) -> None:
        self._start = partial(start_work, bundle, options, limits, factory)
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="videos")
        self._workers = {self._new_worker() for _ in range(number)}
        self._idle: asyncio.Queue[FileWorker] = asyncio.Queue()

    def _new_worker(self) -> FileWorker:
        return FileWorker(self._start, _START_SECONDS)

    async def ready(self) -> None:
        """Wait until every process has opened the bundle.

        Raises:
            PaddleVideoError: as a process met it.
            DataError: a process ended while it opened the bundle.
        """
        loop = asyncio.get_running_loop()
        for worker in self._workers:
            if not await loop.run_in_executor(self._threads, _has_opened, worker):
                raise DataError("a process for videos ended, or took too long, opening the model")
            self._idle.put_nowait(worker)

    async def classify(self, path: Path, seconds: float) -> VideoResult:
        """The result of a file, all classes in order.

        Args:
            seconds: that it may take, waiting for a process included.

        Raises:
            RefusedError: it cannot be read, takes too long, or a process died of it.
        """
        deadline = time.monotonic() + seconds
        try:
            worker = await asyncio.wait_for(self._idle.get(), seconds)
        except asyncio.TimeoutError:
            raise RefusedError(
                TOOK_TOO_LONG,
                f"no process was free for the video within {seconds:.3g} s; try again later, or "
                "serve with more --video_workers",
            ) from None
        loop = asyncio.get_running_loop()
        working = loop.run_in_executor(self._threads, _ask, worker, path, deadline)
        try:
            # Shielded: where the client goes away, the process still ends what it has begun.
            return await asyncio.shield(working)
        finally:
            if working.done():
                self._give_back(worker)
            else:
                working.add_done_callback(lambda done: self._end_unheard(worker, done))

    def _end_unheard(self, worker: FileWorker, done: "asyncio.Future[VideoResult]") -> None:
        if not done.cancelled():
            done.exception()  # nobody is there to hear of it
        self._give_back(worker)

    def _give_back(self, worker: FileWorker) -> None:
        """Make the worker idle, or put another in the place of one that has ended."""
        if worker not in self._workers:
            return  # closed meanwhile
        if worker.is_ready and worker.process.is_alive():
            self._idle.put_nowait(worker)
            return
        self._workers.discard(worker)
        worker.process.kill()
        end_process(worker.process, 1.0)
        worker.pipe.close()
        another = self._new_worker()
        self._workers.add(another)
        opened = asyncio.get_running_loop().run_in_executor(self._threads, _has_opened, another)
        opened.add_done_callback(lambda done: self._add_opened(another, done))

    def _add_opened(self, worker: FileWorker, opened: "asyncio.Future[bool]") -> None:
        """Let a worker that took another's place have work; without it the others go on."""
        if opened.cancelled() or worker not in self._workers:
            return
        if opened.result():
            self._idle.put_nowait(worker)
        else:
            logger.error("a process for videos could not open the model again")

    def close(self) -> None:
        """End all processes."""
        workers, self._workers = self._workers, set()
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            end_process(worker.process)
            worker.pipe.close()
        self._threads.shutdown()


def _has_opened(worker: FileWorker) -> bool:
    """In a thread: whether a new process has opened the bundle; its error is raised."""
    try:
        message = worker.pipe.recv() if worker.pipe.poll(_START_SECONDS) else None
    except (EOFError, OSError):
        return False
    if isinstance(message, BaseException):
        raise message
    worker.is_ready = message == READY
    return worker.is_ready


def _ask(worker: FileWorker, path: Path, deadline: float) -> VideoResult:
    """In a thread: give the worker the file and wait; a worker that failed is not ready."""
    try:
        worker.is_ready = False
        worker.pipe.send([path])
        message = _received(worker, deadline)
    except (EOFError, OSError):
        raise RefusedError(
            UNREADABLE, "the process that read the video ended: it may take too much memory"
        ) from None
    if isinstance(message, BaseException):
        logger.error("a process for videos failed: %s", message)
        raise RefusedError(FAILED, "the video could not be classified; see the log")
    worker.is_ready = True
    result = message[0] if isinstance(message, list) else message
    if isinstance(result, VideoRefused):
        raise RefusedError(result.refusal, result.message)
    if not isinstance(result, VideoResult):
        raise TypeError(f"a worker process gave {type(result).__name__}")
    return result


def _received(worker: FileWorker, deadline: float) -> object:
    """What the process sends; it is killed where that takes too long."""
    if not worker.pipe.poll(max(0.0, deadline - time.monotonic())):
        worker.process.kill()
        raise RefusedError(TOOK_TOO_LONG, "the video takes too long to read (--request_seconds)")
    message: object = worker.pipe.recv()
    return message
