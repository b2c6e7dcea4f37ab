"""`prepare`: annotations and videos of a public data set become lists, class names and a summary.

Written into the output folder: ``classes.txt``; for each split ``<split>_videos.list`` with lines
``path label`` or, where frames were made, ``<split>.list`` with ``folder num_frames label``;
``left_out.jsonl``, a line for each sample that is missing, damaged or impossible; and
``prepared.json``, the numbers.
"""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from paddlevideo.apps.prepare.activitynet import read_activitynet
from paddlevideo.apps.prepare.annotations import SPLITS, Annotated, Annotations, Reader
from paddlevideo.apps.prepare.found_videos import FoundVideos
from paddlevideo.apps.prepare.hmdb51 import read_hmdb51
from paddlevideo.apps.prepare.kinetics import read_kinetics
from paddlevideo.apps.prepare.something_something import read_something_something
from paddlevideo.apps.prepare.ucf101 import read_ucf101
from paddlevideo.apps.prepare.video_work import Made, Options, Target, start_work
from paddlevideo.loader.dataset.list_files import check_path
from paddlevideo.utils.cpu_threads import available_cores
from paddlevideo.utils.crew import CrewOptions, Died, for_each_file
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.files import write_json, write_text
from paddlevideo.utils.progress import track

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataSet:
    """A data set that is known by name.

    Attributes:
        read: reads its annotations.
        num_classes: that the publisher states.
        folds: that the publisher made.
        has_windows: whether its samples are windows of longer videos, which are cut.
    """

    read: Reader
    num_classes: int
    folds: int = 1
    has_windows: bool = False


DATA_SETS: Mapping[str, DataSet] = {
    "kinetics400": DataSet(read_kinetics, 400),
    "kinetics600": DataSet(read_kinetics, 600),
    "kinetics700": DataSet(read_kinetics, 700),
    "ucf101": DataSet(read_ucf101, 101, folds=3),
    "hmdb51": DataSet(read_hmdb51, 51, folds=3),
    "something-something-v2": DataSet(read_something_something, 174),
    "activitynet": DataSet(read_activitynet, 200, has_windows=True),
}
_CLIPS, _FRAMES = "clips", "frames"


@dataclass
class Prepared:
    """What was found and written.

    Attributes:
        class_names: in the order of their numbers.
        usable, missing, damaged: samples by split.
        without_label: samples by split that the annotations give no class, and that are left out.
        frames_lost: damaged frames in usable videos that were decoded whole.
        lists: files that were written, by split.
        root: folder that the paths of the lists are relative to.
    """

    class_names: list[str]
    usable: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    damaged: Counter[str] = field(default_factory=Counter)
    without_label: dict[str, int] = field(default_factory=dict)
    frames_lost: int = 0
    lists: dict[str, Path] = field(default_factory=dict)
    root: Path = Path()


def prepare(
    name: str,
    annotations: Sequence[Path],
    videos: Path,
    output: Path,
    options: Options,
    fold: int = 1,
    workers: int | None = None,
) -> Prepared:
    """Make the lists of a data set; see the module. What an earlier call made is used again.

    Args:
        name: of `DATA_SETS`.
        annotations: the publisher's files, or folders with them.
        videos: folder that the videos lie in, however deep.
        output: folder for the lists and for what is made.
        options: how videos are treated; with a short side or images, they are made.
        workers: processes; None: one for each core.

    Raises:
        DataError: annotations or videos cannot be read, no video is usable, or something cannot
            be written.
    """
    data_set = DATA_SETS[name]
    read = data_set.read(annotations, fold)
    if len(read.class_names) != data_set.num_classes:
        logger.warning(
            "%s has %d classes, and the annotations name %d", name, data_set.num_classes,
            len(read.class_names),
        )  # fmt: skip
    found = FoundVideos(videos)
    logger.info("%s: %d samples, %d videos", name, len(read.samples), len(found))
    makes_frames = options.image_name is not None
    makes_clips = data_set.has_windows or options.short_side is not None
    root = output / (_FRAMES if makes_frames else _CLIPS) if makes_frames or makes_clips else videos
    plan = _Plan(read, found, None if root is videos else root, makes_frames)
    made = _treat_all(plan.jobs, options, workers)
    return _write(plan, made, output, root, makes_frames)


class _Plan:
    """Which file is each sample's, and what is to be made of each file."""

    def __init__(
        self, read: Annotations, found: FoundVideos, root: Path | None, makes_frames: bool
    ) -> None:
        self.annotations = read
        self.folder = found.folder
        self.files = [found.of(sample) for sample in read.samples]
        self.targets: list[Target | None] = []
        self.jobs: dict[Path, list[Target]] = defaultdict(list)
        for sample, file in zip(read.samples, self.files, strict=True):
            target = None
            if file is not None:
                jobs = self.jobs[file]
                if root is not None:
                    name = _target_name(sample, file, makes_frames)
                    target = Target(root / sample.split / name, sample.window_seconds)
                    if target not in jobs:
                        jobs.append(target)
            self.targets.append(target)


def _target_name(sample: Annotated, file: Path, is_folder: bool) -> str:
    ending = "" if is_folder else ".mp4"
    if sample.window_seconds is None:
        return f"{file.stem}{ending}"
    start, end = (round(1000 * seconds) for seconds in sample.window_seconds)
    return f"{file.stem}_{start:09d}_{end:09d}{ending}"  # milliseconds


def _treat_all(
    jobs: Mapping[Path, Sequence[Target]], options: Options, workers: int | None
) -> dict[Path, Made]:
    if options.check == "none" and not any(jobs.values()):
        return dict.fromkeys(jobs, Made())
    paths = list(jobs)
    crew = CrewOptions(workers or available_cores(), batch_size=1, opening="imported the package")
    start = partial(start_work, dict(jobs), options)
    made: dict[Path, Made] = {}
    for index, result in track(for_each_file(start, paths, crew), len(paths), "videos"):
        made[paths[index]] = Made(result.reason) if isinstance(result, Died) else result
    return made


def _write(
    plan: _Plan, made: Mapping[Path, Made], output: Path, root: Path, makes_frames: bool
) -> Prepared:
    read = plan.annotations
    result = Prepared(read.class_names, without_label=read.without_label, root=root)
    numbers = {name: number for number, name in enumerate(read.class_names)}
    lines: dict[str, list[str]] = defaultdict(list)
    left_out: list[str] = []
    for sample, file, target in zip(read.samples, plan.files, plan.targets, strict=True):
        entry, reason = "", "no video of this name"
        if file is not None:
            entry, reason = _entry(file, target, plan.jobs[file], made[file], root)
        if reason:
            (result.missing if file is None else result.damaged)[sample.split] += 1
            record = {"where": sample.where, "name": sample.names[0], "split": sample.split,
                      "path": file and str(file), "reason": reason}  # fmt: skip
            left_out.append(json.dumps(record, ensure_ascii=False))
            continue
        result.usable[sample.split] += 1
        lines[sample.split].append(f"{entry} {numbers[sample.label]}")
    result.frames_lost = sum(each.frames_lost for each in made.values())
    if not lines:
        raise DataError(
            f"none of the {len(read.samples)} samples has a usable video below {plan.folder}; "
            f"the first: {left_out[0][:300] if left_out else 'there are no samples'}"
        )
    for split in SPLITS:
        if lines[split]:
            result.lists[split] = output / (
                f"{split}.list" if makes_frames else f"{split}_videos.list"
            )
            write_text(result.lists[split], "".join(f"{line}\n" for line in lines[split]))
    write_text(output / "classes.txt", "".join(f"{name}\n" for name in read.class_names))
    write_text(output / "left_out.jsonl", "".join(f"{line}\n" for line in left_out))
    write_json(output / "prepared.json", _summary(result))
    return result


def _entry(
    file: Path, target: Target | None, targets: Sequence[Target], made: Made, root: Path
) -> tuple[str, str]:
    """What stands in the list in front of the label, and why it stands there not."""
    if made.reason:
        return "", made.reason
    text = str((file if target is None else target.path).relative_to(root))
    try:
        check_path(text, "its name")
    except DataError as error:
        return "", str(error)
    if target is None:
        return text, ""
    num_frames = made.num_frames[targets.index(target)]
    if num_frames is None:
        return "", f"it has no frames in the window {target.window_seconds}"
    return (f"{text} {num_frames}" if num_frames else text), ""


def _summary(result: Prepared) -> dict[str, object]:
    return {
        "classes": len(result.class_names),
        "root": str(result.root),
        "frames_lost": result.frames_lost,
        "splits": {
            split: {
                "usable": result.usable[split],
                "missing": result.missing[split],
                "damaged": result.damaged[split],
                "without_label": result.without_label.get(split, 0),
            }
            for split in SPLITS
        },
    }
