"""Open sessions and pools on a stream bundle, and step through whole clips with it."""

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from paddlevideo.deploy.bundle import Bundle
from paddlevideo.deploy.engines import EngineOptions
from paddlevideo.deploy.pool import StreamPool
from paddlevideo.deploy.session import Stepper, StreamSession
from paddlevideo.deploy.session_options import StreamOptions
from paddlevideo.loader import ClipView
from paddlevideo.utils.errors import ConfigError, nearest_hint

STREAM_MODE = "stream"


def stream_options(given: Mapping[str, Any]) -> StreamOptions:
    """Keyword arguments as `StreamOptions`.

    Raises:
        ConfigError: there is no such option, or its value cannot be.
    """
    known = [field.name for field in fields(StreamOptions)]
    for name in given:
        if name not in known:
            raise ConfigError(f'a stream has no option "{name}"; {nearest_hint(name, known)}')
    return StreamOptions(**given)


class StreamOpener:
    """Makes what runs streams of one bundle; every runner has states of its own.

    Args:
        bundle: exported with mode ``stream``.
        engine_options: of the engine.
        view: of the bundle's pipeline.
    """

    def __init__(self, bundle: Bundle, engine_options: EngineOptions, view: ClipView) -> None:
        self._bundle = bundle
        self._engine_options = engine_options
        self._view = view

    def runner(self, batch_size: int = 1, cpu_threads: int | None = None) -> Stepper:
        """A runner of ``batch_size`` streams.

        Args:
            cpu_threads: in place of the engine options'; None keeps them.
        """
        # Here, not above: the engine's library is needed only where something is run.
        from paddlevideo.deploy.step_runner import StepRunner

        options = self._engine_options
        if cpu_threads is not None:
            options = replace(options, cpu_threads=cpu_threads)
        return StepRunner(self._bundle, options, batch_size)

    def session(self, options: StreamOptions) -> StreamSession:
        """One stream."""
        return StreamSession(self.runner(), self._view, options)

    def pool(self, max_streams: int, threads: int | None, options: StreamOptions) -> StreamPool:
        """Many streams; every runner of the pool computes on one core."""
        threads = threads or self._engine_options.cpu_threads or os.cpu_count() or 1
        return StreamPool(
            lambda rows: self.runner(rows, cpu_threads=1), self._view, max_streams, threads, options
        )


class SteppedClips:
    """An engine for whole clips that steps through them frame by frame: the same answer.

    Args:
        name: of the pipeline's clip.
    """

    def __init__(self, streams: StreamOpener, name: str) -> None:
        self._streams = streams
        self._name = name

    @property
    def input_names(self) -> list[str]:
        """The one clip."""
        return [self._name]

    @cached_property
    def _runner(self) -> Stepper:
        return self._streams.runner()

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Logits [B, N] behind the last frame of each clip [B, T, 3, H, W]."""
        return {"logits": np.stack([self._step_through(clip) for clip in inputs[self._name]])}

    def _step_through(self, clip_TCHW: np.ndarray) -> np.ndarray:
        self._runner.reset()
        for frame_CHW in clip_TCHW:
            logits_BN = self._runner.step(frame_CHW[None])
        last_N: np.ndarray = logits_BN[0]
        return last_N
