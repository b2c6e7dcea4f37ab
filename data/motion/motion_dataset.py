"""Write the motion data set: encoded videos, list files, class names, and a manifest.

    OUTPUT/train/<motion>_<index>.mp4|.avi     OUTPUT/train.list     OUTPUT/classes.txt
    OUTPUT/val/<motion>_<index>.mp4|.avi       OUTPUT/val.list       OUTPUT/manifest.json

The drawn frames of a video depend on (seed, split, index) and its motion only. ``manifest.json``
is written last; until then ``unfinished.json`` holds the parameters, so that an interrupted run is
completed by the next one with the same parameters.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from motion_clips import MOTIONS, draw_clip

from paddlevideo.utils.errors import DataError
from paddlevideo.utils.files import atomic_write, write_json, write_text
from paddlevideo.utils.progress import track

SPLITS = ("train", "val")
MANIFEST = "manifest.json"
UNFINISHED = "unfinished.json"
CLASSES = "classes.txt"

# Raised when the drawing or the encoding changes, so that an older data set is not taken for new.
_GENERATOR_VERSION = 1
_VIDEOS_PER_TASK = 4


@dataclass(frozen=True)
class MotionParameters:
    """What the content of a data set depends on.

    Attributes:
        train, val: number of videos of each split.
        seed: of all random numbers.
        size: height and width in pixels, even because of yuv420p.
        frames: frames of each video.
        fps: frames per second.

    Raises:
        DataError: a value is out of range.
    """

    train: int = 480
    val: int = 120
    seed: int = 0
    size: int = 64
    frames: int = 24
    fps: int = 12

    def __post_init__(self) -> None:
        smallest = len(MOTIONS)
        for name, low, high, reason in (
            ("train", smallest, 99_999, "at least one video of each class"),
            ("val", smallest, 99_999, "at least one video of each class"),
            ("seed", 0, 2**32 - 1, "32 bits"),
            ("size", 32, 1024, "shapes are too small below"),
            ("frames", 8, 10_000, "the motion needs 8 frames to show"),
            ("fps", 1, 240, "frames per second"),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise DataError(f"{name} is {value}: must be {low} to {high} ({reason})")
        if self.size % 2:
            raise DataError(
                f"size is {self.size}: must be even, because yuv420p video halves it for colour"
            )


@dataclass(frozen=True)
class VideoTask:
    """One video to write. ``path`` is relative to the folder of the data set."""

    split: str
    index: int
    motion: str
    path: str

    @property
    def label(self) -> int:
        """Line of classes.txt, from 0."""
        return list(MOTIONS).index(self.motion)


@dataclass(frozen=True)
class Outcome:
    """What :func:`generate_dataset` did: videos written now, and videos in the data set."""

    written: int
    total: int


def generate_dataset(
    output: str | Path,
    parameters: MotionParameters | None = None,
    workers: int = 2,
    force: bool = False,
) -> Outcome:
    """Write the data set to ``output``, or what is missing of it.

    Args:
        output: a folder that does not exist, is empty, or was written by this function.
        workers: number of processes; the result does not depend on it. More than one needs the
            usual ``if __name__ == "__main__":`` in the calling script.
        force: overwrite a data set that was written with other parameters.

    Raises:
        DataError: ``output`` is in use for something else, or the videos cannot be written.
    """
    parameters = parameters or MotionParameters()
    if workers < 1:
        raise DataError(f"workers is {workers}: must be 1 or more")
    output = Path(output)
    start = time.time()
    wanted = {"generator": _GENERATOR_VERSION, **asdict(parameters)}
    tasks = plan(parameters)
    sizes = _prepare(output, wanted, force)
    missing = [task for task in tasks if not _is_complete(output / task.path, task, sizes)]
    names = (CLASSES, *(f"{split}.list" for split in SPLITS))
    if sizes and not missing and all((output / name).is_file() for name in names):
        return Outcome(written=0, total=len(tasks))
    _require_encoders()
    for task in missing:  # a damaged video must not pass for a whole one after an interruption
        (output / task.path).unlink(missing_ok=True)
    write_json(output / UNFINISHED, {"parameters": wanted})
    for split in SPLITS:
        (output / split).mkdir(exist_ok=True)
        _remove_leftovers(output / split, start)
    for _ in track(_write_all(output, parameters, missing, workers), len(missing), "videos"):
        pass
    _write_lists(output, tasks)
    files = {task.path: (output / task.path).stat().st_size for task in tasks}
    write_json(output / MANIFEST, {"parameters": wanted, "files": files})
    (output / UNFINISHED).unlink(missing_ok=True)
    return Outcome(written=len(missing), total=len(tasks))


def plan(parameters: MotionParameters) -> list[VideoTask]:
    """All videos of a data set, in the order of the list files; classes take turns.

    Of each round of the eight classes one video is an .avi, of another class each round, so that
    the format tells nothing of the class.
    """
    motions = list(MOTIONS)
    tasks = []
    for split in SPLITS:
        for index in range(getattr(parameters, split)):
            turn, label = divmod(index, len(motions))
            suffix = "avi" if turn % len(motions) == label else "mp4"
            path = f"{split}/{motions[label]}_{index:05}.{suffix}"
            tasks.append(VideoTask(split, index, motions[label], path))
    return tasks


def draw_task(parameters: MotionParameters, task: VideoTask) -> np.ndarray:
    """The frames of one video before encoding: uint8 ``[T, H, W, 3]``, RGB."""
    seed = (parameters.seed, SPLITS.index(task.split), task.index)
    return draw_clip(task.motion, seed, parameters.frames, parameters.size)


def encode_video(path: Path, clip_THWC: np.ndarray, fps: int) -> None:
    """Write uint8 RGB frames atomically: H.264 (crf 20) if ``path`` ends in .mp4, else MPEG-4."""
    is_mp4 = path.suffix == ".mp4"
    with (
        atomic_write(path) as file,
        av.open(file, mode="w", format="mp4" if is_mp4 else "avi") as container,
    ):
        stream = container.add_stream("libx264" if is_mp4 else "mpeg4", rate=fps)
        stream.height, stream.width = clip_THWC.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        if is_mp4:
            # On frames this small x264's macroblock tree (with AVX-512) reads memory it never set:
            # the bytes then differ from run to run. Without it they are repeatable.
            stream.options = {"crf": "20", "preset": "medium", "mbtree": "0"}
        else:
            stream.bit_rate = 2_000_000
            stream.options = {"qmin": "2", "qmax": "5"}
        for image_HWC in clip_THWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_HWC, format="rgb24")))
        container.mux(stream.encode())


def _prepare(output: Path, wanted: dict[str, Any], force: bool) -> dict[str, int]:
    """Make ``output`` ours, or refuse.

    Returns:
        sizes in bytes of the files of a finished data set; empty if it is new or unfinished.
    """
    if output.exists() and not output.is_dir():
        raise DataError(f"{output} is a file: name a folder")
    record = next((output / n for n in (UNFINISHED, MANIFEST) if (output / n).is_file()), None)
    if record is None:
        if output.is_dir() and any(output.iterdir()):
            raise DataError(
                f"{output} is not empty and holds no motion data set: name another folder"
            )
        output.mkdir(parents=True, exist_ok=True)
        return {}
    content = _read_record(record)
    found = content["parameters"]
    differences = ", ".join(
        f"{key} {found.get(key)} instead of {value}"
        for key, value in wanted.items()
        if found.get(key) != value
    )
    if not differences:
        return content.get("files", {})
    if not force:
        raise DataError(
            f"{output} holds a data set with other parameters ({differences}): "
            "name another folder, or overwrite it with --force"
        )
    _remove(output)
    return {}


def _read_record(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({error}): delete the folder and run again"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("parameters"), dict):
        raise DataError(f"{path} is not a record of a motion data set: name another folder")
    return content


def _remove(output: Path) -> None:
    """Delete what a run wrote, and nothing else; the record goes last."""
    for split in SPLITS:
        for motion in MOTIONS:
            for video in (output / split).glob(f"{motion}_[0-9]*.*"):
                video.unlink()
        _remove_leftovers(output / split, time.time())
        with contextlib.suppress(OSError):  # somebody else's file in it, or not there
            (output / split).rmdir()
    for name in (CLASSES, *(f"{split}.list" for split in SPLITS), MANIFEST, UNFINISHED):
        (output / name).unlink(missing_ok=True)


def _remove_leftovers(folder: Path, before: float) -> None:
    """Delete the temporary files of killed runs: those last written before a time of the clock."""
    for motion in MOTIONS:
        for path in folder.glob(f".{motion}_*.tmp"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()


def _is_complete(path: Path, task: VideoTask, sizes: dict[str, int]) -> bool:
    """Whether a video needs no writing. Files appear whole, so an unfinished run's are trusted."""
    if not path.is_file():
        return False
    return not sizes or path.stat().st_size == sizes.get(task.path)


def _require_encoders() -> None:
    missing = {"libx264", "mpeg4"} - av.codecs_available
    if missing:
        raise DataError(
            f"this build of PyAV cannot write {', '.join(sorted(missing))}: "
            "install the wheel of the package index (pip install --force-reinstall av)"
        )


def _write_all(
    output: Path, parameters: MotionParameters, tasks: Sequence[VideoTask], workers: int
) -> Iterator[VideoTask]:
    """Write videos, in this process or in several; yields each one when it is done."""
    if workers == 1 or len(tasks) <= _VIDEOS_PER_TASK:
        for task in tasks:
            yield _write_one(output, parameters, task)
        return
    pool = ProcessPoolExecutor(
        min(workers, len(tasks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    try:
        repeat = ([output] * len(tasks), [parameters] * len(tasks))
        yield from pool.map(_write_one, *repeat, tasks, chunksize=_VIDEOS_PER_TASK)
    except BrokenProcessPool as error:
        raise DataError("a worker process was killed: run again to write the rest") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent and the cores to the other workers; end when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_one(output: Path, parameters: MotionParameters, task: VideoTask) -> VideoTask:
    encode_video(output / task.path, draw_task(parameters, task), parameters.fps)
    return task


def _write_lists(output: Path, tasks: Sequence[VideoTask]) -> None:
    """List files in VideoDataset's format, paths relative to ``output``; and the class names."""
    for split in SPLITS:
        lines = [f"{task.path} {task.label}\n" for task in tasks if task.split == split]
        write_text(output / f"{split}.list", "".join(lines))
    write_text(output / CLASSES, "".join(f"{motion}\n" for motion in MOTIONS))
