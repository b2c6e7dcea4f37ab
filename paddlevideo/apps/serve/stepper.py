"""`Stepper`: a thread that steps a pool of streams as their frames come."""

import logging
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from paddlevideo.runtime.streams.pool import PoolStream, StreamPool
from paddlevideo.runtime.streams.timeline import Frame, StreamResult
from paddlevideo.utils.errors import PaddleVideoError

logger = logging.getLogger(__name__)

Answer = Future[StreamResult]


@dataclass
class _Waiter:
    """A frame that is to be answered.

    Attributes:
        before: the stream's result before it.
        dropped: frames of the stream that were dropped before it.
        is_ready: the pool has it.
    """

    answer: Answer
    before: StreamResult | None
    dropped: int
    is_ready: bool = False


class Stepper:
    """Steps a pool whenever frames wait: all of them at a time, one of each stream.

    A step costs nearly as much for a few rows of a batch as for all of them, so streams that had
    a frame in both of the last two steps are waited for: no longer than the last step took, nor
    than ``longest_wait``. A slow stream is not among them, and holds
    nobody up.

    Args:
        pool: stepped by nobody else.
        longest_wait: seconds, of that wait.
        on_step: called after each step with its seconds and the number of streams in it.
    """

    def __init__(
        self, pool: StreamPool, longest_wait: float, on_step: Callable[[float, int], None]
    ) -> None:
        self._pool = pool
        self._longest_wait = longest_wait
        self._on_step = on_step
        self._waiters: dict[PoolStream, _Waiter] = {}
        self._expected: set[PoolStream] = set()
        self._last: set[PoolStream] = set()
        self._last_seconds = 0.0
        self._is_open = True
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="stepper", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether frames are answered."""
        return self._is_open and self._thread.is_alive()

    def show(self, stream: PoolStream, frame: Frame, time_seconds: float | None) -> Answer | None:
        """Hand in a frame; call it again for the stream only when that one is answered.

        The frame is decoded and prepared here, so call it in a thread that may wait.

        Returns:
            The answer to come; None where the frame is left out to keep the frame rate.

        Raises:
            DataError: as `PoolStream.push`.
        """
        waiter = _Waiter(Future(), stream.result, stream.counts.dropped)
        with self._changed:
            self._waiters[stream] = waiter
        is_seen = False
        try:
            is_seen = stream.push(frame, time_seconds)
        finally:
            with self._changed:
                if not is_seen:
                    self._waiters.pop(stream, None)
                waiter.is_ready = is_seen
                self._changed.notify()
        return waiter.answer if is_seen else None

    def forget(self, stream: PoolStream) -> None:
        """Close a stream; nobody waits for its answer."""
        with self._changed:
            self._waiters.pop(stream, None)
            self._expected.discard(stream)
            self._last.discard(stream)
            self._changed.notify()
        stream.close()

    def close(self) -> None:
        """End the thread behind the step it is in, and close the pool."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
        self._thread.join()
        self._pool.close()

    def _run(self) -> None:
        while self._wait_for_frames():
            error: Exception | None = None
            begun = time.perf_counter()
            try:
                self._pool.step()
            except PaddleVideoError as user_error:
                error = user_error
            except Exception as defect:  # noqa: BLE001 - the streams get it, and the log
                error = defect
                logger.error("a step failed:\n%s", traceback.format_exc())
            self._last_seconds = time.perf_counter() - begun
            self._on_step(self._last_seconds, self._hand_out(error))

    def _wait_for_frames(self) -> bool:
        """Wait for a frame, then for those that are expected; False at the end."""
        with self._changed:
            while self._is_open and not self._ready():
                self._changed.wait()
            deadline = time.perf_counter() + min(self._last_seconds, self._longest_wait)
            while self._is_open and not self._expected <= self._ready():
                left = deadline - time.perf_counter()
                if left <= 0:
                    break
                self._changed.wait(left)
            return self._is_open

    def _ready(self) -> set[PoolStream]:
        return {stream for stream, waiter in self._waiters.items() if waiter.is_ready}

    def _hand_out(self, error: Exception | None) -> int:
        """Answer the frames of a step; the number of streams that were in it."""
        with self._changed:
            done = {}
            for stream, waiter in self._waiters.items():
                is_lost = stream.counts.dropped > waiter.dropped
                if is_lost or stream.result is not waiter.before:
                    done[stream] = (waiter, is_lost)
            for stream in done:
                del self._waiters[stream]
            self._expected = self._last & set(done)
            self._last = set(done)
        for stream, (waiter, is_lost) in done.items():
            if not waiter.answer.set_running_or_notify_cancel():
                continue
            if is_lost or stream.result is None:
                waiter.answer.set_exception(error or RuntimeError("a frame was dropped"))
            else:
                waiter.answer.set_result(stream.result)
        return len(done)
