"""Compare bundles of one model: size, time of a step or clip, accuracy, other answers.

Made for the float32, float16 and int8 bundles of the same weights; the first is what the others are
compared with.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from paddlevideo.apps.bulk.prediction import VideoFailure, find_videos, predict_files
from paddlevideo.loader.dataset.class_folders import class_names_of
from paddlevideo.loader.dataset.list_files import read_list
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.class_scores import ClassScore
from paddlevideo.runtime.engines import EngineOptions, open_engine
from paddlevideo.runtime.engines.base import EngineName, Products
from paddlevideo.runtime.engines.open_engine import ENGINES
from paddlevideo.runtime.manifest import Program
from paddlevideo.runtime.predictor import VideoResult, open_predictor
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import BundleError, DataError
from paddlevideo.utils.nodes import Node
from paddlevideo.utils.progress import track
from paddlevideo.video import Pipeline

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
        step_bytes: of the files of the program of one frame that the engine reads; of whole clips
            where the bundles have no other, as are the times.
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
    """What was found of all bundles; the first is the one that the others are compared with.

    Attributes:
        of_clips: whether sizes and times are of the programs of whole clips.
    """

    bundles: tuple[BundleFigures, ...]
    of_clips: bool
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
    """Classify the videos with every bundle, and time a step of each in turns, or a clip.

    Args:
        options: with other ``products`` than float32's, bundles that are not on 8 bits are compared
            once more, so.
        repeats: steps or clips of each bundle that are timed.

    Raises:
        BundleError: the bundles have other classes than the first, or some have a program of one
            frame alone, others one of clips.
        DataError: no video can be read.
    """
    classes = {bundle.manifest.outputs[0].shape for bundle in bundles}
    if len(classes) > 1:
        raise BundleError("the bundles have not the same classes; compare those of one model")
    of_clips = any(bundle.manifest.step is None for bundle in bundles)
    ways = _ways(bundles, options, of_clips)
    runners: list[_Timed] = [_Clips(*way) if of_clips else _Steps(*way) for way in ways]
    times = _times(runners, repeats)
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
                precision=runner.program.precision,
                engine=runner.engine,
                products=how.products,
                step_bytes=_program_bytes(bundle, runner),
                folder_bytes=sum(p.stat().st_size for p in bundle.folder.iterdir() if p.is_file()),
                step_ms=1e3 * seconds,
                step_ratio=seconds / times[0],
                top1=right / len(videos),
                right=right,
                changed=_changes(videos, answers[0], found, bundles[0].manifest.labels),
            )
        )
    return Comparison(tuple(figures), of_clips, len(videos), unreadable)


def _ways(
    bundles: Sequence[Bundle], options: EngineOptions, of_clips: bool
) -> list[tuple[Bundle, EngineOptions]]:
    """The bundles in float32, then those once more that can have other products."""
    ways = [(bundle, replace(options, products="float32")) for bundle in bundles]
    if options.products == "float32":
        return ways
    others = [
        (bundle, options)
        for bundle in bundles
        for program in [bundle.manifest.clip if of_clips else bundle.manifest.step]
        if program is not None and program.precision != "int8"
    ]
    # Where there is none the engine says why.
    return ways + (others or [(bundles[0], options)])


def _answers(
    bundle: Bundle, videos: Sequence[LabelledVideo], options: EngineOptions
) -> list[VideoResult | VideoFailure]:
    predictor = open_predictor(bundle, options)
    found = predict_files(predictor, [video.path for video in videos], 1, 1)
    return list(track(found, len(videos), bundle.folder.name))


class _Timed(ABC):
    """What is timed of a bundle."""

    program: Program
    engine: EngineName

    @abstractmethod
    def run(self, rng: np.random.Generator) -> float:
        """Seconds for random pixels."""


class _Steps(_Timed):
    """Steps of one stream."""

    def __init__(self, bundle: Bundle, options: EngineOptions) -> None:
        self._runner = StepRunner(bundle, options)
        self.engine = self._runner.engine_name
        step = bundle.manifest.step
        if step is None:  # the runner has said so
            raise BundleError(f"{bundle.folder} has no step program")
        self.program = step

    def run(self, rng: np.random.Generator) -> float:
        """As `_Timed`."""
        runner = self._runner
        frame = rng.integers(0, 256, (1, *runner.frame_shape)).astype(runner.frame_dtype)
        start = time.perf_counter()
        runner.step(frame)
        return time.perf_counter() - start


class _Clips(_Timed):
    """Whole clips."""

    def __init__(self, bundle: Bundle, options: EngineOptions) -> None:
        files, clip = bundle.clip_files, bundle.manifest.clip
        if clip is None:  # its files have said so
            raise BundleError(f"{bundle.folder} has no clip program")
        self._opened, self.program = open_engine(files, options), clip
        self.engine = self._opened.name
        length = Pipeline(bundle.manifest.pipeline, "pipeline").input.num_frames
        self._inputs = [
            (spec, (1, length if spec.shape[1] < 0 else spec.shape[1], *spec.shape[2:]))
            for spec in clip.inputs
        ]

    def run(self, rng: np.random.Generator) -> float:
        """As `_Timed`."""
        clips = {
            spec.name: rng.integers(0, 256, shape).astype(spec.dtype)
            for spec, shape in self._inputs
        }
        start = time.perf_counter()
        self._opened.run(clips)
        return time.perf_counter() - start


def _times(runners: Sequence[_Timed], repeats: int) -> list[float]:
    """Median seconds of each; they take turns, so that what slows one slows all."""
    rng = np.random.default_rng(0)
    seconds: list[list[float]] = [[] for _ in runners]
    for number in range(_WARM_UP + repeats):
        for runner, spent in zip(runners, seconds, strict=True):
            taken = runner.run(rng)
            if number >= _WARM_UP:
                spent.append(taken)
    return [float(np.median(spent)) for spent in seconds]


def _program_bytes(bundle: Bundle, runner: _Timed) -> int:
    files = bundle.files_of(runner.program).files.get(ENGINES[runner.engine].format, ())
    return sum(path.stat().st_size for path in files)


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
