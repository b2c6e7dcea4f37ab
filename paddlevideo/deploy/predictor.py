"""From a video file to class scores, with an exported bundle and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddlevideo.deploy.bundle import MANIFEST_NAME, Bundle, read_bundle
from paddlevideo.deploy.engines import Engine, EngineOptions, PaddleEngine
from paddlevideo.loader import Pipeline
from paddlevideo.utils.errors import BundleError, DataError


@dataclass(frozen=True)
class ClassScore:
    """One class and its probability.

    Attributes:
        label: the class's name; None where the bundle does not know it.
        index: the class's number.
        score: softmax probability.
    """

    label: str | None
    index: int
    score: float


@dataclass(frozen=True)
class VideoResult:
    """What a video shows: ``top`` holds the classes, best first.

    ``label``, ``index`` and ``score`` are those of the best one.
    """

    path: str
    top: tuple[ClassScore, ...]

    @property
    def label(self) -> str | None:
        """Name of the best class."""
        return self.top[0].label

    @property
    def index(self) -> int:
        """Number of the best class."""
        return self.top[0].index

    @property
    def score(self) -> float:
        """Probability of the best class."""
        return self.top[0].score

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as ``--output results.jsonl`` holds them."""
        return {"file": self.path, "predictions": [vars(item) for item in self.top]}


class VideoPredictor:
    """Classify video files.

    Args:
        pipeline: makes a clip from a file, or a clip for each of several views.
        engine: runs the network.
        input_names: the program's name of the input for each of the pipeline's clips.
        labels: names of the classes, where they are known.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        engine: Engine,
        input_names: Mapping[str, str],
        labels: Sequence[str] | None,
    ) -> None:
        self.pipeline = pipeline
        self.engine = engine
        self.labels = labels
        self._input_names = dict(input_names)

    def __call__(self, path: str | Path, top_k: int = 5) -> VideoResult:
        """Classify one video file.

        Raises:
            DataError: the file cannot be read; the message names it.
        """
        batch = {name: clip[None] for name, clip in self.pipeline.load_views(str(path)).items()}
        return self.classify(batch, [str(path)], top_k)[0]

    def classify(
        self, batch: Mapping[str, np.ndarray], names: Sequence[str], top_k: int
    ) -> list[VideoResult]:
        """Classify what the pipeline has made of the files ``names``.

        Args:
            batch: clips [B, T, 3, H, W] by the pipeline's name, ``clip`` if it has one view.
        """
        if top_k < 1:
            raise DataError(f"top_k is {top_k}, expected at least 1")
        inputs = {self._input_names[name]: clips for name, clips in batch.items()}
        logits_BN = next(iter(self.engine.run(inputs).values()))
        return [
            VideoResult(name, self._best(probabilities, top_k))
            for name, probabilities in zip(names, _softmax(logits_BN), strict=True)
        ]

    def _best(self, probabilities_N: np.ndarray, top_k: int) -> tuple[ClassScore, ...]:
        order = np.argsort(-probabilities_N, kind="stable")[:top_k]
        return tuple(
            ClassScore(
                label=self.labels[index] if self.labels else None,
                index=int(index),
                score=float(probabilities_N[index]),
            )
            for index in order
        )


def load_predictor(
    folder: str | Path, device: str = "auto", cpu_threads: int | None = None, **options: Any
) -> VideoPredictor:
    """Open an exported bundle.

    Args:
        folder: what ``tools/export_model.py`` wrote.
        device, cpu_threads, options: see `EngineOptions`.

    Raises:
        BundleError: the bundle is incomplete, altered or of a newer format.
    """
    engine_options = EngineOptions(device=device, cpu_threads=cpu_threads, **options)  # type: ignore[arg-type]
    return open_predictor(read_bundle(folder), engine_options)


def open_predictor(bundle: Bundle, options: EngineOptions) -> VideoPredictor:
    """Put together pipeline and engine of a bundle that was read."""
    manifest = bundle.manifest
    outputs = [spec.name for spec in manifest.outputs]
    engine = PaddleEngine(bundle.program, bundle.params, outputs, options)
    pipeline = Pipeline(manifest.pipeline, f"{bundle.folder / MANIFEST_NAME}: pipeline")
    names = _input_names(bundle, pipeline, engine)
    return VideoPredictor(pipeline, engine, names, manifest.labels)


def _input_names(bundle: Bundle, pipeline: Pipeline, engine: Engine) -> dict[str, str]:
    """The program's name of the input for each clip; a single input may have any name."""
    clips, inputs = list(pipeline.views), engine.input_names
    if len(clips) == len(inputs) == 1:
        return {clips[0]: inputs[0]}
    if set(clips) != set(inputs):
        raise BundleError(
            f"{bundle.program} takes {', '.join(inputs)}, but its pipeline gives "
            f"{', '.join(clips)}; export the model again"
        )
    return {name: name for name in clips}


def _softmax(logits_BN: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits_BN - logits_BN.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
