"""Open sessions and pools on a stream bundle; its clip program too, if it is wanted."""

import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cached_property

import numpy as np

from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.engines import Engine, EngineOptions, open_engine
from paddlevideo.runtime.engines.base import EngineName, engine_title
from paddlevideo.runtime.manifest_check import check_input_names
from paddlevideo.runtime.streams.pool import StreamPool
from paddlevideo.runtime.streams.session import Stepper, StreamSession
from paddlevideo.runtime.streams.session_options import StreamOptions
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.cpu_threads import available_cores
from paddlevideo.utils.errors import ConfigError, DataError, nearest_hint
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.video import ClipInput

logger = logging.getLogger(__name__)


def stream_options(given: ReadNode) -> StreamOptions:
    """Keyword arguments as `StreamOptions`.

    Raises:
        ConfigError: there is no such option, or its value cannot be.
    """
    known = [field.name for field in fields(StreamOptions)]
    for name in given:
        if name not in known:
            raise ConfigError(f'a stream has no option "{name}"; {nearest_hint(name, known)}')
    return StreamOptions(**given)


class StreamFactory:
    """Makes what runs streams of one bundle; every runner has states of its own.

    Args:
        bundle: exported with mode ``stream``.
        engine_options: of the engine.
        clip_input: of the bundle's pipeline.
    """

    def __init__(
        self, bundle: Bundle, engine_options: EngineOptions, clip_input: ClipInput
    ) -> None:
        self._bundle = bundle
        self._engine_options = engine_options
        self._clip_input = clip_input
        self._shared: dict[int | None, Engine] = {}
        self._said: set[EngineName] = set()

    def _engine(self, cpu_threads: int | None) -> Engine:
        """An engine for a runner: the one there is, if several threads may run it."""
        if cpu_threads not in self._shared:
            engine = open_engine(self._bundle.step_files, self._options(cpu_threads))
            self._say(engine)
            if not engine.thread_safe:
                return engine
            self._shared[cpu_threads] = engine
        engine = self._shared[cpu_threads]
        self._shared[cpu_threads] = engine.successor() or engine
        return self._shared[cpu_threads]

    def _say(self, engine: Engine) -> None:
        if engine.name not in self._said:
            self._said.add(engine.name)
            logger.info("%s answers", engine_title(engine.name))

    def _options(self, cpu_threads: int | None) -> EngineOptions:
        if cpu_threads is None:
            return self._engine_options
        return replace(self._engine_options, cpu_threads=cpu_threads)

    def runner(self, batch_size: int = 1, cpu_threads: int | None = None) -> Stepper:
        """A runner of ``batch_size`` streams.

        Args:
            cpu_threads: in place of the engine options'; None keeps them.
        """
        engine = self._engine(cpu_threads)
        return StepRunner(self._bundle, self._options(cpu_threads), batch_size, engine)

    def session(self, options: StreamOptions) -> StreamSession:
        """One stream."""
        return StreamSession(self.runner(), self._clip_input, options)

    def pool(self, max_streams: int, threads: int | None, options: StreamOptions) -> StreamPool:
        """Many streams; every runner of the pool computes on one core."""
        if threads is None:  # 0 is no default, and refused
            threads = self._engine_options.cpu_threads or available_cores()
        opened = [self._engine(1)]
        max_batch = opened[0].max_batch_per_thread

        def new_runner(rows: int) -> Stepper:
            engine = opened.pop() if opened else self._engine(1)
            return StepRunner(self._bundle, self._options(1), rows, engine)

        return StreamPool(new_runner, self._clip_input, max_streams, threads, options, max_batch)


class LazyClipEngine:
    """The clip program of a stream bundle, opened when the first clip comes.

    Who streams with the bundle does not wait for a program that is not run. Where the bundle has
    no clip program the clip goes through the step program: the answer is the same.
    """

    def __init__(self, bundle: Bundle, options: EngineOptions) -> None:
        self._bundle = bundle
        self._options = options

    @property
    def input_names(self) -> list[str]:
        """The program's inputs, as the bundle says."""
        return [spec.name for spec in self._bundle.manifest.inputs]

    @cached_property
    def _engine(self) -> Engine:
        if self._bundle.manifest.clip is None:
            return open_engine(self._bundle.step_files, self._options)
        engine = open_engine(self._bundle.clip_files, self._options)
        check_input_names(self.input_names, engine.input_names, f"{self._bundle.folder}: clip")
        return engine

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the outputs of one batch of clips [B, T, 3, H, W], all by name.

        Raises:
            BundleError: the program is for other inputs.
            DataError: the same, where clips go through the step program; or they have no frames.
        """
        if self._bundle.manifest.clip is not None:
            return self._engine.run(inputs)
        (clips_BTCHW,) = inputs.values()
        if clips_BTCHW.ndim != 5 or not clips_BTCHW.shape[1]:
            raise DataError(f"a clip is {list(clips_BTCHW.shape)}, expected [B, T, 3, H, W]")
        runner = StepRunner(self._bundle, self._options, len(clips_BTCHW), self._engine)
        for frame in range(clips_BTCHW.shape[1]):
            logits_BN = runner.step(np.ascontiguousarray(clips_BTCHW[:, frame]))
        return {self._bundle.manifest.outputs[0].name: logits_BN}
