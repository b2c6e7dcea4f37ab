"""`StreamPool`: many streams at a time, stepped in batches on all cores."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from paddlevideo.deploy.streams.pool_batch import PoolBatch, Work
from paddlevideo.deploy.streams.session import FramePreparer, Stepper
from paddlevideo.deploy.streams.session_options import StreamCounts, StreamOptions
from paddlevideo.deploy.streams.session_track import Frame, StreamResult, StreamTrack
from paddlevideo.loader import ClipView
from paddlevideo.utils.errors import ConfigError, DataError


@dataclass
class _Pending:
    """The newest frame of a stream that is due and waits for a step."""

    frame: np.ndarray
    time_seconds: float
    starts_anew: bool
    arrived: float


class PoolStream:
    """One stream of a pool; made by `StreamPool.open`.

    Attributes:
        counts: what happened to its frames so far, its latency included.
        result: the newest result; None before the first.
    """

    def __init__(self, pool: "StreamPool", batch: PoolBatch, row: int, track: StreamTrack) -> None:
        self._pool = pool
        self.batch = batch
        self.row = row
        self.track = track
        self.pending: _Pending | None = None
        self.result: StreamResult | None = None
        self.is_open = True

    @property
    def counts(self) -> StreamCounts:
        """What happened to its frames so far, its latency included."""
        return self.track.counts

    def push(self, frame: Frame, timestamp: float | None = None) -> bool:
        """Hand in one more frame; it is seen by the next `StreamPool.step`.

        A frame that still waits for a step when the next one is due gives way to it and is
        counted as dropped. Threads may push to different streams at the same time.

        Args:
            frame, timestamp: as for `StreamSession.push`.

        Returns:
            Whether the frame is to be seen; False if it was left out to keep the frame rate.

        Raises:
            DataError: not such a frame, not a time, or the stream is closed.
        """
        return self._pool.push(self, frame, timestamp)

    def close(self) -> None:
        """Give the place back; frames that wait are dropped."""
        self._pool.close_stream(self)


class StreamPool:
    """Up to ``max_streams`` streams, each with its own clock and states, stepped together.

    The streams are spread over runners of up to ``together`` rows, made as they are needed; `step`
    computes the runners of several batches at the same time, each on one core, those with the
    oldest frame first. A stream waits with one frame at most, so none can hold up the others.

    Args:
        new_runner: makes a runner of so many rows.
        view: of the bundle's pipeline.
        max_streams: that can be open at a time.
        threads: batches computed at the same time.
        options: of every stream.
        together: rows of a runner at most. A runner computes all its rows even if few of them have
            a frame.

    Raises:
        ConfigError: max_streams or threads below 1.
    """

    def __init__(
        self,
        new_runner: Callable[[int], Stepper],
        view: ClipView,
        max_streams: int,
        threads: int,
        options: StreamOptions,
        together: int = 8,
    ) -> None:
        for name, value in (("max_streams", max_streams), ("threads", threads)):
            if value < 1:
                raise ConfigError(f"{name} is {value}, expected at least 1")
        self.max_streams = max_streams
        self._threads = min(threads, max_streams)
        self._rows = min(together, -(-max_streams // self._threads))
        self._new_runner = new_runner
        self._view = view
        self._options = options
        self._batches: list[PoolBatch] = []
        self._streams: list[PoolStream] = []
        self._lock = threading.Lock()
        self._stepping = threading.Lock()  # a runner takes one step after the other
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="pool")
        self._prepare: FramePreparer | None = None

    @property
    def streams(self) -> list[PoolStream]:
        """The open streams."""
        with self._lock:
            return list(self._streams)

    def open(self) -> PoolStream:
        """Begin a stream; its states are those of a stream that has seen nothing.

        Raises:
            DataError: max_streams are open.
        """
        with self._lock:
            if len(self._streams) >= self.max_streams:
                raise DataError(
                    f"all {self.max_streams} streams of the pool are open; close one, or open the "
                    "pool with a larger max_streams"
                )
            batch = self._batch_with_room()
            row = batch.take_row()
            runner = batch.runner
            self._prepare = self._prepare or FramePreparer(self._view, runner.frame_shape)
            track = StreamTrack(runner.frame_rate, runner.labels, self._options)
            stream = PoolStream(self, batch, row, track)
            self._streams.append(stream)
            return stream

    def _batch_with_room(self) -> PoolBatch:
        """The emptiest batch; a new one while there are fewer than threads, or all are full."""
        emptiest = min(self._batches, key=lambda batch: batch.num_open, default=None)
        use_new = len(self._batches) < self._threads and (emptiest is None or emptiest.num_open)
        if emptiest is None or use_new or emptiest.num_open == self._rows:
            emptiest = PoolBatch(self._new_runner(self._rows), self._rows)
            self._batches.append(emptiest)
        return emptiest

    def push(self, stream: PoolStream, frame: Frame, timestamp: float | None) -> bool:
        """`PoolStream.push`."""
        arrived = time.perf_counter()
        if not stream.is_open or self._prepare is None:
            raise DataError("the stream is closed; open another one")
        admission = stream.track.admit(frame, timestamp)
        if admission is None:
            return False
        frame_CHW = self._prepare(admission.frame)
        with self._lock:
            starts_anew = admission.starts_anew
            if stream.pending is not None:
                stream.counts.dropped += 1
                starts_anew = starts_anew or stream.pending.starts_anew
            stream.pending = _Pending(frame_CHW, admission.time_seconds, starts_anew, arrived)
        return True

    def step(self) -> list[tuple[PoolStream, StreamResult]]:
        """Let the model see the frames that wait, one of each stream that has one.

        Returns:
            A result for each of these streams, the one whose frame waited longest first.
        """
        with self._stepping:
            return self._step()

    def _step(self) -> list[tuple[PoolStream, StreamResult]]:
        with self._lock:
            due = [(s, s.pending) for s in self._streams if s.pending is not None]
            for stream, _ in due:
                stream.pending = None
        due.sort(key=lambda item: item[1].arrived)
        by_batch: dict[PoolBatch, list[tuple[PoolStream, _Pending]]] = {}
        for stream, pending in due:
            by_batch.setdefault(stream.batch, []).append((stream, pending))
        done = self._executor.map(lambda item: self._step_batch(*item), by_batch.items())
        results = {id(stream): result for group in done for stream, result in group}
        return [(stream, results[id(stream)]) for stream, _ in due if id(stream) in results]

    def _step_batch(
        self, batch: PoolBatch, due: list[tuple[PoolStream, _Pending]]
    ) -> list[tuple[PoolStream, StreamResult]]:
        work = [Work(s.row, pending.frame, pending.starts_anew) for s, pending in due]
        logits_BN = batch.step(work)
        now = time.perf_counter()
        answers = []
        for (stream, pending), logits_N in zip(due, logits_BN, strict=True):
            result = stream.track.result(
                logits_N, pending.time_seconds, pending.starts_anew, now - pending.arrived
            )
            stream.result = result
            answers.append((stream, result))
        return answers

    def close_stream(self, stream: PoolStream) -> None:
        """`PoolStream.close`."""
        with self._lock:
            if not stream.is_open:
                return
            stream.is_open = False
            if stream.pending is not None:
                stream.counts.dropped += 1
                stream.pending = None
            self._streams.remove(stream)
            stream.batch.free_row(stream.row)

    def close(self) -> None:
        """Close all streams and end the threads."""
        for stream in self.streams:
            stream.close()
        self._executor.shutdown()
