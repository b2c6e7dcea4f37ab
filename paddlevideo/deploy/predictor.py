"""From a video file to class scores, with an exported bundle and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddlevideo.deploy.bundle import MANIFEST_NAME, Bundle, read_bundle
from paddlevideo.deploy.engines import Engine, EngineOptions, PaddleEngine
from paddlevideo.loader import Pipeline
from paddlevideo.utils.errors import DataError


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
        pipeline: makes a clip from a file.
        engine: runs the network.
        input_name: of the program.
        labels: names of the classes, where they are known.
    """

    def __init__(
        self, pipeline: Pipeline, engine: Engine, input_name: str, labels: Sequence[str] | None
    ) -> None:
        self.pipeline = pipeline
        self.engine = engine
        self.labels = labels
        self._input_name = input_name

    def __call__(self, path: str | Path, top_k: int = 5) -> VideoResult:
        """Classify one video file.

        Raises:
            DataError: the file cannot be read; the message names it.
        """
        return self.classify(self.pipeline.load(str(path))[None], [str(path)], top_k)[0]

    def classify(self, clips: np.ndarray, names: Sequence[str], top_k: int) -> list[VideoResult]:
        """Classify clips [B, T, 3, H, W] that the pipeline has made; ``names`` are their files."""
        if top_k < 1:
            raise DataError(f"top_k is {top_k}, expected at least 1")
        logits_BN = next(iter(self.engine.run({self._input_name: clips}).values()))
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
    return VideoPredictor(pipeline, engine, engine.input_names[0], manifest.labels)


def _softmax(logits_BN: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits_BN - logits_BN.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
