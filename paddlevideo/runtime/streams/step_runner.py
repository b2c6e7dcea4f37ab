"""Run the step program of a bundle: frames in, logits out, the states kept between two steps."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import numpy as np

from paddlevideo.runtime.bundle import MANIFEST_NAME, Bundle
from paddlevideo.runtime.engines import Engine, EngineOptions, open_engine
from paddlevideo.runtime.engines.base import EngineName, EngineTensor
from paddlevideo.runtime.manifest import StateQueue
from paddlevideo.runtime.manifest_check import check_declared, check_input_names
from paddlevideo.runtime.streams.frame_counters import MOST_FRAMES, check_counters, largest_count
from paddlevideo.runtime.streams.row_groups import RowGroups
from paddlevideo.utils.errors import BundleError, DataError

_INTEGERS = ("int32", "int64")


class StepRunner:
    """``batch_size`` streams that go on together, frame by frame.

    The states stay the engine's tensors: a step hands the newest of each queue on and forgets the
    oldest, no frame of the past is copied or moved.

    Args:
        bundle: exported with mode ``stream``.
        options: of the engine.
        batch_size: number of streams.
        engine: that has the step program open already, for instance for another batch size.

    Attributes:
        frame_shape: (3, H, W) of the frames it takes.
        frame_dtype: of the frames.
        num_classes: number of logits.
        labels: names of the classes, or None where they are not known.
        frame_rate: frames a second that the network was made for.

    Raises:
        BundleError: the bundle has no step program, or one of another batch size.
        DeviceError: the engine is not there.
    """

    def __init__(
        self,
        bundle: Bundle,
        options: EngineOptions,
        batch_size: int = 1,
        engine: Engine | None = None,
    ) -> None:
        self._engine = engine or open_engine(bundle.step_files, options)
        step = bundle.manifest.step
        if step is None:  # step_files has said so already; for the reader of types
            raise BundleError(f"{bundle.folder} has no step program")
        frame, logits = step.inputs[0], step.outputs[0]
        if frame.shape[0] not in (-1, batch_size):
            raise BundleError(
                f"{bundle.folder} was exported for {frame.shape[0]} streams at a time, "
                f"{batch_size} are asked for; export with --batch dynamic"
            )
        stated = {frame.name: (frame.shape, frame.dtype)}
        stated.update(
            (n, (queue.shape, queue.dtype)) for queue in step.queues for n in queue.inputs
        )
        where = f"{bundle.folder / MANIFEST_NAME}: step"
        check_input_names(stated, self._engine.input_names, where)
        check_declared(stated, self._engine.declared, where)
        self.batch_size = batch_size
        self.frame_shape: tuple[int, int, int] = (3, frame.shape[2], frame.shape[3])
        self.frame_dtype: np.dtype = np.dtype(frame.dtype)
        self.num_classes: int = logits.shape[1]
        self.labels = bundle.manifest.labels
        self.frame_rate = step.frame_rate
        self._frame, self._logits = frame, logits.name
        self._specs = step.queues
        self._state_names = [name for queue in step.queues for name in queue.inputs]
        self._queues: dict[str, deque[EngineTensor]] = {}
        self._counter_names = [n for q in step.queues if q.dtype in _INTEGERS for n in q.inputs]
        self._counted = 0  # no counter among the states is above it
        self._is_new = True  # all states are zero
        self.reset()

    @property
    def engine_name(self) -> EngineName:
        """The engine that was chosen."""
        return self._engine.name

    def step(self, frames_BCHW: np.ndarray) -> np.ndarray:
        """Go on by one frame for each stream; logits [B, N] of all that each has seen.

        Args:
            frames_BCHW: [B, 3, H, W], RGB, of the dtype the program takes (uint8, or float32 where
                the pipeline scales the values).

        Raises:
            DataError: frames of another shape or dtype; or a stream has had as many frames as its
                counter can hold.
        """
        self._check(frames_BCHW)
        self._go_on_in_successor()
        if self._counted >= MOST_FRAMES:
            self._counted = largest_count(self.snapshot(), self._counter_names)
            check_counters(self._counted)
        self._counted, self._is_new = self._counted + 1, False
        states = chain.from_iterable([self._queues[spec.name] for spec in self._specs])
        inputs = dict(zip(self._state_names, states, strict=True))
        inputs[self._frame.name] = self._engine.tensor(frames_BCHW)
        outputs = self._engine.run_tensors(inputs)
        for spec in self._specs:
            self._queues[spec.name].append(outputs[spec.output])  # of fixed length: drops the first
        return self._engine.array(outputs[self._logits])

    def _go_on_in_successor(self) -> None:
        """Take the states to a faster engine, if one has become ready since the last frame."""
        engine = self._engine.successor()
        if engine is None:
            return
        before, self._engine = self._engine, engine
        self._queues = self._mapped(lambda tensor: engine.tensor(before.array(tensor)))

    def reset(self, rows: Sequence[int] | None = None) -> None:
        """Let the streams ``rows`` begin anew, all by default; the others go on."""
        if rows is None:
            for spec in self._specs:
                # Nothing writes into a state, so one tensor of zeros does for a whole queue.
                zeros = self._engine.tensor(np.zeros(self._shape(spec), spec.dtype))
                self._queues[spec.name] = deque([zeros] * spec.length, maxlen=spec.length)
            self._counted, self._is_new = 0, True
            return
        wrong = [row for row in rows if not 0 <= row < self.batch_size]
        if wrong:
            raise DataError(f"there is no stream {wrong[0]}; they are 0 to {self.batch_size - 1}")
        states = self.snapshot()
        for array in states.values():
            array[list(rows)] = 0
        self.restore(states)

    def snapshot(self) -> dict[str, np.ndarray]:
        """Copies of all states, by the names of the program's inputs."""
        return {
            name: np.array(self._engine.array(tensor))
            for spec in self._specs
            for name, tensor in zip(spec.inputs, self._queues[spec.name], strict=True)
        }

    def restore(self, states: Mapping[str, np.ndarray]) -> None:
        """Go on from what `snapshot` gave; the arrays are copied.

        Raises:
            DataError: the states are of another model, batch or frame size, or a counter among
                them is negative or at its end.
        """
        expected = {name: spec for spec in self._specs for name in spec.inputs}
        if set(states) != set(expected):
            differing = ", ".join(sorted(set(states) ^ set(expected))[:3])
            raise DataError(f"the states are not this model's: {differing} ...")
        for name, spec in expected.items():
            found = np.asarray(states[name])
            if found.shape != self._shape(spec) or found.dtype != np.dtype(spec.dtype):
                raise DataError(
                    f"state {name} is {list(found.shape)} {found.dtype}, expected "
                    f"{list(self._shape(spec))} {spec.dtype}; it is of another batch or frame size"
                )
        counted = largest_count(states, self._counter_names)
        check_counters(counted)
        self._counted, self._is_new = counted, False
        for spec in self._specs:
            tensors = [self._engine.tensor(np.array(states[name])) for name in spec.inputs]
            self._queues[spec.name] = deque(tensors, maxlen=spec.length)

    def apart(self) -> RowGroups | None:
        """As `Stepper.apart`: in the compiled engine, where the program takes batches of any size.

        The states go over; this one begins anew.
        """
        if self._frame.shape[0] != -1:
            return None
        queues = {spec.output: spec.inputs for spec in self._specs}
        rows = self._engine.stream_rows(self._frame.name, self._logits, queues, self.batch_size)
        if rows is None:
            return None
        if not self._is_new:
            rows.load(self.snapshot())
        groups = RowGroups(rows, self.batch_size, self._counted)
        self.reset()
        return groups

    def _mapped(
        self, change: Callable[[EngineTensor], EngineTensor]
    ) -> dict[str, deque[EngineTensor]]:
        """The queues with each tensor changed; one that is in them several times stays one."""
        changed: dict[int, EngineTensor] = {}
        for queue in self._queues.values():
            for tensor in queue:
                if id(tensor) not in changed:
                    changed[id(tensor)] = change(tensor)
        return {
            name: deque([changed[id(tensor)] for tensor in queue], maxlen=len(queue))
            for name, queue in self._queues.items()
        }

    def _shape(self, spec: StateQueue) -> tuple[int, ...]:
        return (self.batch_size, *spec.shape[1:])

    def _check(self, frames_BCHW: np.ndarray) -> None:
        shape, dtype = (self.batch_size, *self.frame_shape), self._frame.dtype
        if frames_BCHW.shape != shape or frames_BCHW.dtype != np.dtype(dtype):
            raise DataError(
                f"a step takes frames {list(shape)} {dtype}, got {list(frames_BCHW.shape)} "
                f"{frames_BCHW.dtype}"
            )
