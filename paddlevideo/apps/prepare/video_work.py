"""What is done with one video file, in a worker process: looked at, re-encoded, cut, unpacked.

A target has its name only when it is whole, so a run that was stopped goes on where it was: what is
there is not made again.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import av
import cv2
import numpy as np

from paddlevideo.utils.crew import Work
from paddlevideo.utils.errors import DataError
from paddlevideo.video.decoders.base import check_is_file
from paddlevideo.video.decoders.containers import decoding_errors, open_file
from paddlevideo.video.decoders.packets import ReadingTime, VideoFrames
from paddlevideo.video.decoders.pyav import RgbConverter
from paddlevideo.video.decoders.times import FrameTimes
from paddlevideo.video.video_writer import VideoWriter

Check = Literal["open", "full", "none"]


@dataclass(frozen=True)
class Target:
    """What is made of a video, or of a window of it.

    Attributes:
        path: a video file, or a folder of images.
        window_seconds: begin and end; None: the whole video.
    """

    path: Path
    window_seconds: tuple[float, float] | None = None

    def holds(self, seconds: float) -> bool:
        """Whether a frame at this time belongs to it."""
        if self.window_seconds is None:
            return True
        return self.window_seconds[0] <= seconds < self.window_seconds[1]


@dataclass(frozen=True)
class Options:
    """How videos are treated.

    Attributes:
        check: of a video of which nothing is made: decode its first frame, all of it, or nothing.
        short_side: of what is made, in pixels; None: as the video. Smaller ones stay as they are.
        image_name: pattern of the names of images, as ``img_{:05}.jpg``; None: videos are made.
        start_index: number of a folder's first image.
    """

    check: Check = "open"
    short_side: int | None = None
    image_name: str | None = None
    start_index: int = 1


@dataclass(frozen=True)
class Made:
    """What became of one video.

    Attributes:
        reason: why it cannot be used; empty if it can be.
        frames_lost: frames that are damaged, where it was decoded whole.
        num_frames: of each target that is a folder of images, in their order; None where it could
            not be made, for instance since its window begins behind the end.
    """

    reason: str = ""
    frames_lost: int = 0
    num_frames: tuple[int | None, ...] = ()


class _Output(Protocol):
    """Takes the frames of a target."""

    num_frames: int

    def add(self, image_HWC: np.ndarray, seconds: float) -> None: ...

    def finish(self) -> None: ...


def start_work(jobs: Mapping[Path, Sequence[Target]], options: Options) -> Work[Made]:
    """In a worker process: treat one video after the other."""
    cv2.setNumThreads(1)

    def work(paths: Sequence[Path]) -> Sequence[Made]:
        return [treat(path, jobs.get(path, ()), options) for path in paths]

    return work


def treat(path: Path, targets: Sequence[Target], options: Options) -> Made:
    """Check a video, or make what is missing of its targets.

    Never raises for the video's sake: what is wrong is in ``reason``. A target that cannot be
    written is an error.

    Raises:
        DataError: a target cannot be written.
    """
    missing = [target for target in targets if not target.path.exists()]
    if targets and not missing:
        return Made(num_frames=tuple(_frames_there(target, options) for target in targets))
    if not targets and options.check == "none":
        return Made()
    try:
        check_is_file(str(path))
    except DataError as error:
        return Made(_without_name(error, path))
    with ExitStack() as outputs:
        opened: dict[Target, _Output] = {}

        def output_of(target: Target, image_HWC: np.ndarray) -> _Output:
            if target not in opened:
                opened[target] = _open(target, image_HWC, options, outputs)
            return opened[target]

        try:
            lost = _decode(path, missing, options, output_of)
        except DataError as error:
            if isinstance(error, _CannotWriteError):
                raise
            return Made(_without_name(error, path))
        with _writing():
            for output in opened.values():
                output.finish()
    there = tuple(_frames_there(target, options) for target in targets)
    return Made(frames_lost=lost, num_frames=there)


class _CannotWriteError(DataError):
    """The disk's fault, not the video's."""


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _CannotWriteError(f"{error.filename}: cannot be written: {error.strerror}") from None
    except DataError as error:
        raise _CannotWriteError(str(error)) from None


def _decode(
    path: Path,
    targets: Sequence[Target],
    options: Options,
    output_of: Callable[[Target, np.ndarray], _Output],
) -> int:
    """Give every target its frames; return how many frames of the video are damaged."""
    name = str(path)
    converter = RgbConverter()
    with decoding_errors(name), open_file(name) as container:
        frames = VideoFrames(container, name, FrameTimes(name, None), ReadingTime(name))
        for frame, seconds in frames:
            if not targets and options.check == "open":
                return 0
            wanting = [target for target in targets if target.holds(seconds)]
            if not wanting:
                continue
            image_HWC = _scaled(converter, frame, options.short_side)
            with _writing():
                for target in wanting:
                    start = target.window_seconds[0] if target.window_seconds else 0.0
                    output_of(target, image_HWC).add(image_HWC, seconds - start)
        frames.check_losses()
        return frames.frames_lost


def _scaled(converter: RgbConverter, frame: av.VideoFrame, short_side: int | None) -> np.ndarray:
    """Upright RGB of even sides, which H.264 asks for."""
    image_HWC = converter.upright(frame)
    height, width = image_HWC.shape[:2]
    factor = 1.0 if short_side is None else min(1.0, short_side / min(height, width))
    size = [max(2, round(side * factor / 2) * 2) for side in (height, width)]
    if size == [height, width]:
        return image_HWC
    scaled: np.ndarray = cv2.resize(image_HWC, size[::-1], interpolation=cv2.INTER_AREA)
    return scaled


def _open(target: Target, image_HWC: np.ndarray, options: Options, stack: ExitStack) -> _Output:
    target.path.parent.mkdir(parents=True, exist_ok=True)
    if options.image_name is not None:
        return _ImageFolder(target.path, options.image_name, options.start_index, stack)
    height, width = image_HWC.shape[:2]
    return _VideoFile(target.path, (width, height), stack)


class _VideoFile:
    def __init__(self, path: Path, size: tuple[int, int], stack: ExitStack) -> None:
        self.num_frames = 0
        self._writer = VideoWriter(path, size, key_frame_seconds=1.0)
        stack.callback(self._writer.discard)

    def add(self, image_HWC: np.ndarray, seconds: float) -> None:
        self._writer.write(image_HWC, seconds)
        self.num_frames += 1

    def finish(self) -> None:
        self._writer.close()


class _ImageFolder:
    def __init__(self, path: Path, name: str, start_index: int, stack: ExitStack) -> None:
        self.num_frames = 0
        self._path, self._name, self._start_index = path, name, start_index
        self._folder = Path(
            tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        )
        stack.callback(shutil.rmtree, self._folder, ignore_errors=True)

    def add(self, image_HWC: np.ndarray, seconds: float) -> None:
        file = self._folder / self._name.format(self._start_index + self.num_frames)
        _, content = cv2.imencode(file.suffix, image_HWC[..., ::-1])
        file.write_bytes(content.tobytes())
        self.num_frames += 1

    def finish(self) -> None:
        self._folder.chmod(0o755)
        self._folder.replace(self._path)


def _frames_there(target: Target, options: Options) -> int | None:
    """Images of a folder; 0 of a video, which counts its own; None where there is neither."""
    if not target.path.exists():
        return None
    if options.image_name is None:
        return 0
    count = 0
    while (target.path / options.image_name.format(options.start_index + count)).is_file():
        count += 1
    return count


def _without_name(error: DataError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")
