"""Compare bundles of one model: size, time of a step, accuracy, and which answers differ.

Made for the float32, float16 and int8 bundles of the same weights; the first is what the others are
compared with.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from paddlevideo.apps.bulk.prediction import VideoFailure, find_videos, predict_files
from paddlevideo.loader.dataset.class_folders import class_names_of
from paddlevideo.loader.dataset.list_files import read_list
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.class_scores import ClassScore
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.base import EngineName, Products
from paddlevideo.runtime.engines.open_engine import ENGINES
from paddlevideo.runtime.predictor import VideoResult, open_predictor
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import BundleError, DataError
from paddlevideo.utils.nodes import Node
from paddlevideo.utils.progress import track

_WARM_UP = 5


@dataclass(frozen=True)
class LabelledVideo:
    """A video file and the number of its class."""

    path: Path
    label: int


@dataclass(frozen=True)
class Change:
    """A video to which a bundle gives another class than the first bundle does."""

    file: str
    true_label: str
    before: ClassScore
    after: ClassScore


@dataclass(frozen=True)
class BundleFigures:
    """What was found of one bundle.

    Attributes:
        products: what its matrix products multiply, see `EngineOptions`.
        step_bytes: of the files of the program of one frame that the engine reads.
        folder_bytes: of all files.
        step_ms: median time of a step of one stream in one thread.
        step_ratio: that, over the first bundle's in the same run.
        top1: share of all videos whose best class is right; one that cannot be read is wrong.
        changed: against the first bundle.
    """

    folder: str
    precision: str
    engine: str
    products: Products
    step_bytes: int
    folder_bytes: int
    step_ms: float
    step_ratio: float
    top1: float
    right: int
    changed: tuple[Change, ...]


@dataclass(frozen=True)
class Comparison:
    """What was found of all bundles; the first is the one that the others are compared with."""

    bundles: tuple[BundleFigures, ...]
    num_videos: int
    unreadable: tuple[str, ...]

    def as_dict(self) -> Node:
        """Plain values, for JSON."""
        return asdict(self)


def labelled_videos(source: Path, labels: Sequence[str] | None) -> list[LabelledVideo]:
    """The videos of a folder of class folders, or of a list file of ``path label`` lines.

    Args:
        labels: of the bundle: the folders' names are looked up in them. Without labels the folders
            are numbered as in training.

    Raises:
        DataError: no videos, a folder that is no class, or a line without a label.
    """
    if not source.is_dir():
        records = read_list(source, None)
        paths = [Path(record.path) for record in records]
        beside = [source.parent / path for path in paths]
        found = [ours if ours.is_file() else path for path, ours in zip(paths, beside, strict=True)]
        return [LabelledVideo(p, r.label) for p, r in zip(found, records, strict=True)]
    names = list(labels) if labels is not None else class_names_of(source)
    videos = []
    for path in find_videos(source):
        name = path.relative_to(source).parts[0]
        if name not in names:
            raise DataError(
                f"{path}: {name} is no class of the bundle ({', '.join(names[:8])} ...)"
            )
        videos.append(LabelledVideo(path, names.index(name)))
    return videos


def compare_bundles(
    bundles: Sequence[Bundle],
    videos: Sequence[LabelledVideo],
    options: EngineOptions,
    repeats: int = 100,
) -> Comparison:
    """Classify the videos with every bundle, and time a step of each in turns.

    Args:
        options: with other ``products`` than float32's, bundles that are not on 8 bits are compared
            once more, so.
        repeats: steps of each bundle that are timed.

    Raises:
        BundleError: the bundles have other classes than the first, or no program of one frame.
        DataError: no video can be read.
    """
    classes = {bundle.manifest.outputs[0].shape for bundle in bundles}
    if len(classes) > 1:
        raise BundleError("the bundles have not the same classes; compare those of one model")
    ways = _ways(bundles, options)
    runners = [StepRunner(*way) for way in ways]
    times = _step_times(runners, repeats)
    answers = [_answers(bundle, videos, how) for bundle, how in ways]
    unreadable = tuple(item.path for item in answers[0] if isinstance(item, VideoFailure))
    if len(unreadable) == len(videos):
        raise DataError(f"none of the {len(videos)} videos can be read, {unreadable[0]} and on")
    figures = []
    for (bundle, how), runner, seconds, found in zip(ways, runners, times, answers, strict=True):
        right = sum(
            isinstance(item, VideoResult) and item.index == video.label
            for item, video in zip(found, videos, strict=True)
        )
        figures.append(
            BundleFigures(
                folder=str(bundle.folder),
                precision=_step_precision(bundle),
                engine=runner.engine_name,
                products=how.products,
                step_bytes=_step_bytes(bundle, runner.engine_name),
                folder_bytes=sum(p.stat().st_size for p in bundle.folder.iterdir() if p.is_file()),
                step_ms=1e3 * seconds,
                step_ratio=seconds / times[0],
                top1=right / len(videos),
                right=right,
                changed=_changes(videos, answers[0], found, bundles[0].manifest.labels),
            )
        )
    return Comparison(tuple(figures), len(videos), unreadable)


def _ways(bundles: Sequence[Bundle], options: EngineOptions) -> list[tuple[Bundle, EngineOptions]]:
    """The bundles in float32, then those once more that can have other products."""
    ways = [(bundle, replace(options, products="float32")) for bundle in bundles]
    if options.products == "float32":
        return ways
    others = [(bundle, options) for bundle in bundles if _step_precision(bundle) != "int8"]
    # Where there is none the engine says why.
    return ways + (others or [(bundles[0], options)])


def _answers(
    bundle: Bundle, videos: Sequence[LabelledVideo], options: EngineOptions
) -> list[VideoResult | VideoFailure]:
    predictor = open_predictor(bundle, options)
    found = predict_files(predictor, [video.path for video in videos], 1, 1)
    return list(track(found, len(videos), bundle.folder.name))


def _step_times(runners: Sequence[StepRunner], repeats: int) -> list[float]:
    """Median seconds of a step of each; they take turns, so that what slows one slows all."""
    rng = np.random.default_rng(0)
    seconds: list[list[float]] = [[] for _ in runners]
    for number in range(_WARM_UP + repeats):
        for runner, spent in zip(runners, seconds, strict=True):
            frame = rng.integers(0, 256, (1, *runner.frame_shape)).astype(runner.frame_dtype)
            start = time.perf_counter()
            runner.step(frame)
            if number >= _WARM_UP:
                spent.append(time.perf_counter() - start)
    return [float(np.median(spent)) for spent in seconds]


def _step_bytes(bundle: Bundle, engine: EngineName) -> int:
    files = bundle.step_files.files.get(ENGINES[engine].format, ())
    return sum(path.stat().st_size for path in files)


def _step_precision(bundle: Bundle) -> str:
    step = bundle.manifest.step
    return "" if step is None else step.precision  # the runner has said that there is none


def _changes(
    videos: Sequence[LabelledVideo],
    before: Sequence[VideoResult | VideoFailure],
    after: Sequence[VideoResult | VideoFailure],
    labels: Sequence[str] | None,
) -> tuple[Change, ...]:
    return tuple(
        Change(
            str(video.path),
            labels[video.label] if labels else str(video.label),
            old.top[0],
            new.top[0],
        )
        for video, old, new in zip(videos, before, after, strict=True)
        if isinstance(old, VideoResult) and isinstance(new, VideoResult) and old.index != new.index
    )
