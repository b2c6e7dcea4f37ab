"""`StreamPool`: many streams at a time, stepped in batches on all cores."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain

import numpy as np

from paddlevideo.runtime.class_scores import softmax
from paddlevideo.runtime.streams.pool_batch import PoolBatch, Work
from paddlevideo.runtime.streams.session import FramePreparer, Stepper
from paddlevideo.runtime.streams.session_options import StreamCounts, StreamOptions, check_whole
from paddlevideo.runtime.streams.timeline import Frame, StreamResult, StreamTimeline
from paddlevideo.utils.errors import DataError
from paddlevideo.video import ClipInput

_CLOSED = "the stream is closed; open another one"


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

    def __init__(
        self, pool: "StreamPool", batch: PoolBatch, row: int, timeline: StreamTimeline
    ) -> None:
        self._pool = pool
        self.batch = batch
        self.row = row
        self.timeline = timeline
        self.pending: _Pending | None = None
        self.result: StreamResult | None = None
        self.is_open = True
        self.owes_new_start = False  # its next frame is a first one: a step failed, or a reset
        self.pushing = threading.Lock()  # one thread at a time

    @property
    def counts(self) -> StreamCounts:
        """What happened to its frames so far, its latency included."""
        return self.timeline.counts

    def push(self, frame: Frame, timestamp: float | None = None) -> bool:
        """Hand in one more frame; it is seen by the next `StreamPool.step`.

        A frame that still waits for a step when the next one is due gives way to it and is
        counted as dropped. Threads may push to different streams at the same time.

        Args:
            frame, timestamp: as for `StreamSession.push`.

        Returns:
            Whether the frame is to be seen; False if it was left out to keep the frame rate.

        Raises:
            DataError: not such a frame, not a time, the stream is closed, or another thread is
                pushing to it.
        """
        return self._pool.push(self, frame, timestamp)

    def reset(self) -> None:
        """Start anew: the next frame is the first of another stream. The counts stay.

        Raises:
            DataError: the stream is closed, or a thread is pushing to it.
        """
        self._pool.reset_stream(self)

    def close(self) -> None:
        """Give the row back; frames that wait are dropped."""
        self._pool.close_stream(self)


_Due = tuple[PoolStream, _Pending]
_Answers = list[tuple[PoolStream, StreamResult]]


class StreamPool:
    """Up to ``max_streams`` streams, each with its own clock and states, stepped together.

    The streams are spread over runners of up to ``max_batch_per_thread`` rows, made as they are
    needed; `step` computes the runners of several batches at the same time, each on one core, those
    with the oldest frame first. A stream waits with one frame at most, so none can hold up the
    others.

    Streams may be opened, pushed to and closed by any thread while `step` runs. The row of a
    stream that is closed meanwhile stays taken until the step is over, so nobody else gets its
    frame, states or result.

    Args:
        new_runner: makes a runner of so many rows.
        clip_input: of the bundle's pipeline.
        max_streams: that can be open at a time.
        threads: batches computed at the same time.
        options: of every stream.
        max_batch_per_thread: rows of a runner at most. A runner computes all its rows even if few
            of them have a frame.

    Raises:
        ConfigError: max_streams or threads are no whole numbers of at least 1.
    """

    def __init__(
        self,
        new_runner: Callable[[int], Stepper],
        clip_input: ClipInput,
        max_streams: int,
        threads: int,
        options: StreamOptions,
        max_batch_per_thread: int = 8,
    ) -> None:
        for name, value in (("max_streams", max_streams), ("threads", threads)):
            check_whole(name, value)
        self.max_streams = max_streams
        self._threads = min(threads, max_streams)
        self._rows = min(max_batch_per_thread, -(-max_streams // self._threads))
        self._new_runner = new_runner
        self._clip_input = clip_input
        self._options = options
        self._batches: list[PoolBatch] = []
        self._streams: list[PoolStream] = []
        self._lock = threading.Lock()
        self._is_open = True
        self._in_step: set[PoolStream] = set()  # whose rows the step at hand uses
        self._stepping = threading.Lock()  # a runner takes one step after the other
        self._executor: ThreadPoolExecutor | None = None
        if self._threads > 1:  # who calls `step` is one of them
            self._executor = ThreadPoolExecutor(self._threads - 1, thread_name_prefix="pool")
        self._prepare: FramePreparer | None = None

    @property
    def streams(self) -> list[PoolStream]:
        """The open streams."""
        with self._lock:
            return list(self._streams)

    def open(self) -> PoolStream:
        """Begin a stream; its states are those of a stream that has seen nothing.

        Raises:
            DataError: max_streams are open, or the pool is closed.
        """
        with self._lock:
            self._check_open()
            if len(self._streams) >= self.max_streams:
                raise DataError(
                    f"all {self.max_streams} streams of the pool are open; close one, or open the "
                    "pool with a larger max_streams"
                )
            batch = self._batch_with_room()
            row = batch.take_row()
            runner = batch.runner
            self._prepare = self._prepare or FramePreparer(self._clip_input, runner.frame_shape)
            timeline = StreamTimeline(
                runner.frame_rate, runner.labels, self._options, runner.num_classes
            )
            stream = PoolStream(self, batch, row, timeline)
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

    def _check_open(self) -> None:
        if not self._is_open:
            raise DataError("the pool is closed; open another one with open_pool")

    def push(self, stream: PoolStream, frame: Frame, timestamp: float | None) -> bool:
        """`PoolStream.push`."""
        arrived = time.perf_counter()
        if not stream.pushing.acquire(blocking=False):
            raise DataError(
                "two threads push to one stream of a pool at the same time; give each thread a "
                "stream of its own"
            )
        try:
            return self._push(stream, frame, timestamp, arrived)
        finally:
            stream.pushing.release()

    def _push(
        self, stream: PoolStream, frame: Frame, timestamp: float | None, arrived: float
    ) -> bool:
        prepare = self._prepare
        if not stream.is_open or prepare is None:
            raise DataError(_CLOSED)
        mark = stream.timeline.mark()
        try:
            admission = stream.timeline.admit(frame, timestamp)
            if admission is None:
                return False
            frame_CHW = prepare(admission.frame)
        except BaseException:
            stream.timeline.rewind(mark)
            raise
        with self._lock:
            if not stream.is_open:  # by another thread, since the look above
                stream.counts.dropped += 1
                raise DataError(_CLOSED)
            starts_anew = admission.starts_anew or stream.owes_new_start
            stream.owes_new_start = False
            if stream.pending is not None:
                stream.counts.dropped += 1
                starts_anew = starts_anew or stream.pending.starts_anew
            stream.pending = _Pending(frame_CHW, admission.time_seconds, starts_anew, arrived)
        return True

    def step(self) -> _Answers:
        """Let the model see the frames that wait, one of each stream that has one.

        If the engine fails for a batch, its frames are dropped, the other batches are stepped all
        the same (their results are in `PoolStream.result`) and the pool goes on with the next
        step.

        Returns:
            A result for each of these streams that is still open, the one whose frame waited
            longest first.

        Raises:
            DataError: the pool is closed.
        """
        with self._stepping:
            with self._lock:
                self._check_open()
                due = [(s, s.pending) for s in self._streams if s.pending is not None]
                for stream, _ in due:
                    stream.pending = None
                self._in_step = {stream for stream, _ in due}
            try:
                return self._step(due)
            finally:
                self._end_step()

    def _step(self, due: list[_Due]) -> _Answers:
        due.sort(key=lambda item: item[1].arrived)
        by_batch: dict[PoolBatch, list[_Due]] = {}
        for stream, pending in due:
            by_batch.setdefault(stream.batch, []).append((stream, pending))
        results = dict(chain.from_iterable(self._step_batches(list(by_batch.items()))))
        return [(stream, results[stream]) for stream, _ in due if stream in results]

    def _step_batches(self, batches: Sequence[tuple[PoolBatch, list[_Due]]]) -> list[_Answers]:
        """The answers of all batches; an error once all are done, as rows are given back then.

        This thread takes part: to hand a step over, and to be told of its end, takes a while.
        """
        answers: list[_Answers] = []

        def run(batch: PoolBatch, due: list[_Due]) -> None:
            answers.append(self._step_batch(batch, due))

        def take(batch: PoolBatch, due: list[_Due], step: Future[None] | None) -> None:
            if step is None or step.cancel():  # nobody has begun it
                run(batch, due)

        def join(step: Future[None]) -> None:
            if not step.cancelled():
                step.result()

        steps: list[Future[None] | None] = [None] * len(batches)
        if self._executor is not None:
            steps[1:] = [self._executor.submit(run, *item) for item in batches[1:]]
        with ExitStack() as every:  # it calls the last one first, and all, whatever one raises
            for step in reversed(steps):
                if step is not None:
                    every.callback(join, step)
            for (batch, due), step in reversed(list(zip(batches, steps, strict=True))):
                every.callback(take, batch, due, step)
        return answers

    def _end_step(self) -> None:
        """Give back the rows of streams that were closed during the step."""
        with self._lock:
            for stream in self._in_step:
                if not stream.is_open:
                    stream.batch.free_row(stream.row)
            self._in_step = set()

    def _step_batch(self, batch: PoolBatch, due: list[_Due]) -> _Answers:
        try:
            logits_BN = batch.step([Work(s.row, p.frame, p.starts_anew) for s, p in due])
            probabilities_BN = softmax(logits_BN)
        except BaseException:
            self._drop(due)
            raise
        now = time.perf_counter()
        answers = []
        for (stream, pending), probabilities_N in zip(due, probabilities_BN, strict=True):
            if not stream.is_open:
                stream.counts.dropped += 1
                continue
            result = stream.timeline.result(
                probabilities_N, pending.time_seconds, pending.starts_anew, now - pending.arrived
            )
            stream.result = result
            answers.append((stream, result))
        return answers

    def _drop(self, due: list[_Due]) -> None:
        """Count frames of a step that failed; what was to start anew does so with the next one."""
        with self._lock:
            for stream, lost in due:
                stream.counts.dropped += 1
                if lost.starts_anew and stream.pending is not None:
                    stream.pending.starts_anew = True
                elif lost.starts_anew:
                    stream.owes_new_start = True

    def reset_stream(self, stream: PoolStream) -> None:
        """`PoolStream.reset`."""
        if not stream.pushing.acquire(blocking=False):
            raise DataError("a thread is pushing to the stream; start it anew behind that")
        try:
            with self._lock:
                if not stream.is_open:
                    raise DataError(_CLOSED)
                if stream.pending is not None:
                    stream.counts.dropped += 1
                    stream.pending = None
                stream.owes_new_start = True
            stream.timeline.reset()
        finally:
            stream.pushing.release()

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
            if stream not in self._in_step:
                stream.batch.free_row(stream.row)

    def close(self) -> None:
        """Close all streams and end the threads; waits for a step that runs."""
        with self._lock:
            self._is_open = False
        for stream in self.streams:
            stream.close()
        with self._stepping:
            if self._executor is not None:
                self._executor.shutdown()
