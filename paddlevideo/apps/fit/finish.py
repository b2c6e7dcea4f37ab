"""Test, export, prove, time and report what was trained."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.apps.reports import write_report
from paddlevideo.apps.reports.parts import NextCommand, Timeline, write_part
from paddlevideo.apps.sources import follow, open_source
from paddlevideo.export import ExportOptions, export_model, usable_formats
from paddlevideo.runtime import load_predictor
from paddlevideo.runtime.predictor import VideoPredictor
from paddlevideo.tasks.checkpoint import Checkpoints
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.test import test_model
from paddlevideo.utils.errors import PaddleVideoError
from paddlevideo.utils.files import write_json
from paddlevideo.utils.nodes import Node, ReadNode

logger = logging.getLogger(__name__)

_BUNDLE = "bundle"
_TIMELINES, _TIMELINE_CLASSES = 3, 5
_TIMED_STEPS = 60


@dataclass(frozen=True)
class Finished:
    """What a fit leaves.

    Attributes:
        folder: the run.
        bundle, report: in it.
        accuracy: top-1 on the test videos, or on val where there are none.
        num_videos: that it was tested on.
        tested_on: ``test`` or ``val``.
        step_ms: milliseconds for a frame of a stream on this machine; None: no stream.
        frame_rate: of the stream.
    """

    folder: str
    bundle: str
    report: str
    accuracy: float
    num_videos: int
    tested_on: str
    step_ms: float | None
    frame_rate: float | None

    def as_dict(self) -> Node:
        """For the record."""
        return asdict(self)

    @classmethod
    def of(cls, folder: Path, result: ReadNode) -> "Finished":
        """From a record, wherever the run's folder is now."""
        moved = {"folder": str(folder), "bundle": str(folder / _BUNDLE)}
        return cls(**{**result, **moved, "report": str(folder / "report.html")})


def finish(run: Path, config: Path, facts: ReadNode, share: Callable[[float], None]) -> Finished:
    """Test the best weights, export them with ONNX where it can be written, and report.

    Args:
        config: of the training.
        facts: of the record: class names, counts.
        share: takes the share that is done.
    """
    recipe = open_recipe(config)
    names: list[str] = list(facts["class_names"])
    weights = Checkpoints(run, recipe.model_name).best_weights
    model = open_model(recipe, str(weights))
    model.eval()
    result = test_model(recipe, model, str(weights))
    share(0.3)
    bundle = export_model(
        model,
        recipe.inference_description(),
        run / _BUNDLE,
        recipe.model_name,
        names,
        ExportOptions(formats=usable_formats("onnx"), verify=True),
        recipe.PIPELINE.train,
    )
    share(0.7)
    predictor = load_predictor(bundle.folder)
    step = bundle.manifest.step
    step_ms = None if step is None else _step_ms(predictor)
    tested_on = "test" if facts["counts"].get("test") else "val"
    if step is not None:
        write_part(run / "timelines.json", _timelines(recipe, predictor))
    finished = Finished(
        str(run),
        str(bundle.folder),
        str(run / "report.html"),
        float(result["top1"]),
        int(result["samples"]),
        tested_on,
        step_ms,
        None if step is None else step.frame_rate,
    )
    write_part(run / "next_commands.json", next_commands(finished))
    write_json(run / "summary.json", finished.as_dict())
    share(0.9)
    write_report(run)
    return finished


def next_commands(finished: Finished) -> list[NextCommand]:
    """What to do with the model."""
    bundle = _quoted(finished.bundle)
    commands = [
        NextCommand("Classify a video or a folder", f"paddlevideo predict FILE --bundle {bundle}")
    ]
    if finished.step_ms is not None:
        commands += [
            NextCommand("Run it on a camera", f"paddlevideo stream 0 --bundle {bundle}"),
            NextCommand(
                "Draw it over a video",
                f"paddlevideo stream FILE --bundle {bundle} --save_video out.mp4",
            ),
        ]
    folder = _quoted(finished.folder)
    commands.append(NextCommand("Write this page again", f"paddlevideo report {folder}"))
    return commands


def _quoted(path: str) -> str:
    return json.dumps(path, ensure_ascii=False) if " " in path else path


def _step_ms(predictor: VideoPredictor) -> float:
    """Median of a frame's time, preprocessing included, at 640x480."""
    session = predictor.open_stream()
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    taken = []
    for number in range(_TIMED_STEPS):
        begun = time.perf_counter()
        session.push(frame, number / session.frame_rate)
        taken.append(1e3 * (time.perf_counter() - begun))
    return float(np.median(taken[_TIMED_STEPS // 3 :]))


def _timelines(recipe: Recipe, predictor: VideoPredictor) -> list[Timeline]:
    """Probabilities over a few of the tested videos, of different classes."""
    split = recipe.DATASET and recipe.DATASET.test
    lines = Path(str((split or {})["file_path"])).read_text(encoding="utf-8").splitlines()
    by_class: dict[str, str] = {}
    for line in lines:
        path, _, label = line.rpartition(" ")
        by_class.setdefault(label, path)
    names = predictor.labels or []
    timelines = []
    for label, path in list(by_class.items())[:_TIMELINES]:
        try:
            timelines.append(_timeline(predictor, path, names[int(label)]))
        except PaddleVideoError as error:
            logger.warning("no timeline of %s: %s", path, error)
    return timelines


def _timeline(predictor: VideoPredictor, path: str, label: str) -> Timeline:
    names: Sequence[str] = predictor.labels or []
    session = predictor.open_stream(top_k=len(names))
    times: list[float] = []
    rows: list[list[float]] = []
    for step in follow(session, open_source(path), name=path):
        for result in step.results:
            times.append(result.time_seconds)
            scores = [0.0] * len(names)
            for item in result.top:
                scores[item.index] = float(item.score)
            rows.append(scores)
    scores_TN = np.clip(np.array(rows), 0.0, 1.0)
    best = np.argsort(-scores_TN.max(axis=0))[:_TIMELINE_CLASSES]
    shown = Path(path)
    return Timeline(
        f"{shown.parent.name}/{shown.name}",
        label,
        times,
        [names[index] for index in best],
        [scores_TN[:, index].tolist() for index in best],
    )
