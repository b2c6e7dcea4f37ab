"""`StreamSession`: one stream of frames through an exported model, answered frame by frame."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from paddlevideo.runtime.class_scores import softmax
from paddlevideo.runtime.streams.row_groups import RowGroups
from paddlevideo.runtime.streams.session_options import StreamCounts, StreamOptions
from paddlevideo.runtime.streams.snapshot_check import check_states, snapshot_arrays
from paddlevideo.runtime.streams.timeline import Frame, StreamResult, StreamTimeline
from paddlevideo.utils.errors import DataError
from paddlevideo.video import ClipInput

_STATES = "states/"
_TIMELINE = "stream/"


class Stepper(Protocol):
    """What steps a batch of streams and keeps their states: `step_runner.StepRunner`."""

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(3, H, W)."""
        ...

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        ...

    @property
    def labels(self) -> list[str] | None:
        """Names of the classes, where they are known."""
        ...

    @property
    def frame_rate(self) -> float:
        """Frames per second that the model was made for."""
        ...

    def step(self, frames_BCHW: np.ndarray) -> np.ndarray:
        """Logits [B, N] behind one more frame of each stream."""
        ...

    def reset(self, rows: list[int] | None = None) -> None:
        """Let these streams start anew; None: all."""
        ...

    def snapshot(self) -> dict[str, np.ndarray]:
        """The states, each [B, ...]."""
        ...

    def restore(self, states: dict[str, np.ndarray]) -> None:
        """Put back what `snapshot` gave."""
        ...

    def apart(self) -> RowGroups | None:
        """Its streams, where the engine can step them without each other; they go over to that."""
        ...


class FramePreparer:
    """The bundle's own transforms on one frame.

    Args:
        clip_input: of the bundle's pipeline.
        frame_shape: (3, H, W) that the network takes.
    """

    def __init__(self, clip_input: ClipInput, frame_shape: tuple[int, int, int]) -> None:
        self._clip_input = clip_input
        self._frame_shape = tuple(frame_shape)
        # "TCHW" -> how to bring the clip there from the pipeline's layout
        self._axes = tuple(clip_input.output_layout.index(axis) for axis in "TCHW")

    def __call__(self, frame_HWC: np.ndarray) -> np.ndarray:
        """uint8 RGB [H, W, 3] of any size to what the network takes, [3, H, W].

        Raises:
            DataError: the pipeline does not make such a frame of this one.
        """
        clip = self._clip_input.transform(frame_HWC[None])
        frame_CHW: np.ndarray = clip.transpose(self._axes)[0]
        if frame_CHW.shape != self._frame_shape:
            raise DataError(
                f"a frame of {frame_HWC.shape[1]}x{frame_HWC.shape[0]} pixels becomes "
                f"{list(frame_CHW.shape)}, but the model takes {list(self._frame_shape)}; its "
                "pipeline lacks a Scale or crop step"
            )
        return frame_CHW


class StreamSession:
    """One stream: frames in, one at a time, the best classes of all it has shown so far out.

    Made by `VideoPredictor.open_stream`. The states of the network are kept here, so memory does
    not grow, whatever the stream's length. A session is for one thread at a time: a second one
    that calls it meanwhile gets a `DataError`. A frame that fails leaves the stream as it was.

    Args:
        runner: steps a batch of one.
        clip_input: of the bundle's pipeline: its transforms prepare the frames.

    Attributes:
        counts: what happened to the frames so far.
    """

    def __init__(self, runner: Stepper, clip_input: ClipInput, options: StreamOptions) -> None:
        self._runner = runner
        self._prepare = FramePreparer(clip_input, runner.frame_shape)
        self._timeline = StreamTimeline(
            runner.frame_rate, runner.labels, options, runner.num_classes
        )
        self._in_use = threading.Lock()

    @property
    def counts(self) -> StreamCounts:
        """What happened to the frames so far."""
        return self._timeline.counts

    @property
    def labels(self) -> list[str] | None:
        """Names of the classes, where they are known."""
        return self._runner.labels

    @property
    def frame_rate(self) -> float:
        """Frames per second that the model sees."""
        return self._runner.frame_rate

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width) that the network sees; frames of any size are brought there."""
        return self._runner.frame_shape[1:]

    def push(
        self, frame: Frame, timestamp: float | None = None, arrived: float | None = None
    ) -> StreamResult | None:
        """Show the model one more frame.

        Args:
            frame: uint8 RGB [H, W, 3] of any size; or a function that gives it, which is called
                only if the frame is to be seen.
            timestamp: seconds, from any beginning. Frames are chosen by it so that the model sees
                its own frame rate (`FrameClock`). Without it every frame is taken, as one that
                comes at that rate.
            arrived: ``time.perf_counter()`` when the frame arrived, for the latency; default: now.

        Returns:
            The result, or None if the frame was left out to keep the frame rate.

        Raises:
            DataError: not such a frame, or not a time, or another thread is using the session.
        """
        arrived = time.perf_counter() if arrived is None else arrived
        with self._alone():
            mark = self._timeline.mark()
            try:
                return self._push(frame, timestamp, arrived)
            except BaseException:
                self._timeline.rewind(mark)
                raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._in_use.acquire(blocking=False):
            raise DataError(
                "a session is for one thread, and another one is using it; open a session for "
                "each, or a pool (open_pool)"
            )
        try:
            yield
        finally:
            self._in_use.release()

    def _push(self, frame: Frame, timestamp: float | None, arrived: float) -> StreamResult | None:
        admission = self._timeline.admit(frame, timestamp)
        if admission is None:
            return None
        prepared_CHW = self._prepare(admission.frame)
        if admission.starts_anew:
            self._runner.reset()
        probabilities_N = softmax(self._runner.step(prepared_CHW[None]))[0]
        latency = time.perf_counter() - arrived
        return self._timeline.result(
            probabilities_N, admission.time_seconds, admission.starts_anew, latency
        )

    def reset(self) -> None:
        """Start anew: the next frame is the first of another stream. The counts stay."""
        with self._alone():
            self._runner.reset()
            self._timeline.reset()

    def snapshot(self) -> dict[str, np.ndarray]:
        """The stream up to here, time included, as plain arrays (``np.savez`` can keep them)."""
        with self._alone():
            return self._snapshot()

    def _snapshot(self) -> dict[str, np.ndarray]:
        states = {_STATES + name: array for name, array in self._runner.snapshot().items()}
        return {**states, **{_TIMELINE + k: v for k, v in self._timeline.snapshot().items()}}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Go on where `snapshot` was taken, in this session or another of the same bundle.

        Raises:
            DataError: it is not a snapshot of this model; the session is as it was.
        """
        arrays = snapshot_arrays(snapshot)
        strange = [name for name in arrays if not name.startswith((_STATES, _TIMELINE))]
        if strange:
            raise DataError(f"this is no snapshot of a stream: it has {strange[0][:100]}")
        states, timeline = _part(arrays, _STATES), _part(arrays, _TIMELINE)
        with self._alone():
            check_states(states, self._runner.snapshot())
            self._timeline.check(timeline)
            self._runner.restore(states)  # it may still refuse, so it comes first
            self._timeline.restore(timeline)


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
