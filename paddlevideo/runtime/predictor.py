"""From a video file to class scores, with an exported bundle and nothing else."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from paddlevideo.runtime.bundle import MANIFEST_NAME, Bundle, read_bundle
from paddlevideo.runtime.class_scores import BestClass, ClassScore, best_classes, softmax
from paddlevideo.runtime.engines import EngineOptions, open_engine
from paddlevideo.runtime.engines.base import ClipEngine
from paddlevideo.runtime.manifest_check import check_pipeline, check_step_size
from paddlevideo.runtime.streams.factory import LazyClipEngine, StreamFactory, stream_options
from paddlevideo.runtime.streams.pool import StreamPool
from paddlevideo.runtime.streams.session import StreamSession
from paddlevideo.utils.errors import BundleError, ConfigError, DataError, nearest_hint
from paddlevideo.video import Pipeline

__all__ = ["ClassScore", "VideoPredictor", "VideoResult", "load_predictor", "open_predictor"]


@dataclass(frozen=True)
class VideoResult(BestClass):
    """What a video shows: ``top`` holds the classes, best first.

    ``label``, ``index`` and ``score`` are those of the best one.

    Attributes:
        frames_read: frames of the video that could be decoded; None where clips were given.
        frames_lost: frames that the file holds and that could not be.
    """

    path: str
    top: tuple[ClassScore, ...]
    frames_read: int | None = None
    frames_lost: int | None = None

    def as_dict(self) -> dict[str, object]:
        """Plain values, as ``--output results.jsonl`` holds them."""
        return {
            "file": self.path,
            "frames_read": self.frames_read,
            "frames_lost": self.frames_lost,
            "predictions": [vars(item) for item in self.top],
        }


class VideoPredictor:
    """Classify video files.

    Args:
        pipeline: makes a clip from a file, or a clip for each of several inputs.
        engine: runs the network.
        input_names: the program's name of the input for each of the pipeline's clips.
        labels: names of the classes, where they are known.
        streams: opens streams; None where the bundle is for whole clips.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        engine: ClipEngine,
        input_names: Mapping[str, str],
        labels: Sequence[str] | None,
        streams: StreamFactory | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.engine = engine
        self.labels = labels
        self._input_names = dict(input_names)
        self._streams = streams

    def __call__(self, path: str | Path, top_k: int = 5) -> VideoResult:
        """Classify one video file.

        Raises:
            DataError: the file cannot be read; the message names it. Or it is no name of a file.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise DataError(
                f"a predictor takes the path of a video file, got {type(path).__name__}; frames in "
                "memory go to open_stream, one by one, and batches of clips to classify"
            )
        sample = self.pipeline.load_sample(os.fspath(path))
        batch = {name: clip[None] for name, clip in sample.clips.items()}
        (result,) = self.classify(batch, [sample.path], top_k)
        return replace(result, frames_read=sample.num_frames, frames_lost=sample.frames_lost)

    def classify(
        self, batch: Mapping[str, np.ndarray], names: Sequence[str], top_k: int
    ) -> list[VideoResult]:
        """Classify what the pipeline has made of the files ``names``.

        Args:
            batch: clips [B, T, 3, H, W] by the pipeline's name, ``clip`` if it has one input.
        """
        if top_k < 1:
            raise DataError(f"top_k is {top_k}, expected at least 1")
        inputs = {self._input_names[name]: clips for name, clips in batch.items()}
        logits_BN = next(iter(self.engine.run(inputs).values()))
        return [
            VideoResult(name, best_classes(probabilities, self.labels, top_k))
            for name, probabilities in zip(names, softmax(logits_BN), strict=True)
        ]

    def open_stream(self, **options: object) -> StreamSession:
        """Begin a stream of frames; each session has states of its own.

        Args:
            options: see `StreamOptions`: ``top_k``, ``window_seconds``, ``reset_on_cut``,
                ``smooth_seconds``.

        Raises:
            BundleError: the bundle was exported for whole clips.
            ConfigError: a wrong option.
        """
        return self._stream_factory().session(stream_options(options))

    def open_pool(
        self, max_streams: int = 64, threads: int | None = None, **options: object
    ) -> StreamPool:
        """Prepare for many streams at a time, stepped in batches.

        Args:
            max_streams: how many can be open at a time.
            threads: batches that are stepped at the same time; default: one for each CPU core,
                or the engine's ``cpu_threads``. Each runs on one core.
            options: as for `open_stream`, for every stream.

        Raises:
            BundleError: the bundle was exported for whole clips.
            ConfigError: a wrong option.
        """
        return self._stream_factory().pool(max_streams, threads, stream_options(options))

    def _stream_factory(self) -> StreamFactory:
        if self._streams is None:
            raise BundleError(
                "the bundle was exported for whole clips, not for streams; export a causal model "
                "with tools/export_model.py --mode stream"
            )
        return self._streams


def load_predictor(
    folder: str | Path, device: str = "auto", cpu_threads: int | None = None, **options: object
) -> VideoPredictor:
    """Open an exported bundle.

    Args:
        folder: what ``tools/export_model.py`` wrote.
        device, cpu_threads, options: see `EngineOptions`.

    Raises:
        BundleError: the bundle is incomplete, altered or of a newer format.
    """
    known = [field.name for field in fields(EngineOptions)]
    for name in options:
        if name not in known:
            raise ConfigError(f'unknown option "{name}"; {nearest_hint(name, known)}')
    engine_options = EngineOptions(device=device, cpu_threads=cpu_threads, **options)  # type: ignore[arg-type]
    return open_predictor(read_bundle(folder), engine_options)


def open_predictor(bundle: Bundle, options: EngineOptions) -> VideoPredictor:
    """Put together pipeline and engine of a bundle that was read."""
    manifest = bundle.manifest
    where = str(bundle.folder / MANIFEST_NAME)
    pipeline = Pipeline(manifest.pipeline, f"{where}: pipeline")
    check_pipeline(manifest.inputs, pipeline.inputs, where)
    if manifest.step is None:
        engine: ClipEngine = open_engine(bundle.clip_files, options)
        streams = None
    else:
        check_step_size(manifest.step, pipeline.input, where)
        engine = LazyClipEngine(bundle, options)
        streams = StreamFactory(bundle, options, pipeline.input)
    names = _input_names(bundle, pipeline, engine)
    return VideoPredictor(pipeline, engine, names, manifest.labels, streams)


def _input_names(bundle: Bundle, pipeline: Pipeline, engine: ClipEngine) -> dict[str, str]:
    """The program's name of the input for each clip; a single input may have any name."""
    clips, inputs = list(pipeline.inputs), engine.input_names
    if len(clips) == len(inputs) == 1:
        return {clips[0]: inputs[0]}
    if set(clips) != set(inputs):
        raise BundleError(
            f"{bundle.program} takes {', '.join(inputs)}, but its pipeline gives "
            f"{', '.join(clips)}; export the model again"
        )
    return {name: name for name in clips}
