"""The one interface of everything that gives frames by number, and the registry of decoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from paddlevideo.utils.errors import DataError
from paddlevideo.utils.registry import Registry
from paddlevideo.video.decoders.containers import decoding_errors
from paddlevideo.video.decoders.sizes import check_clip_size
from paddlevideo.video.media import FileMedia
from paddlevideo.video.pictures import Picture, PictureStack, RgbPicture

if TYPE_CHECKING:
    from typing_extensions import Self

    from paddlevideo.video.sample import Sample

Kind = Literal["video", "frames"]

# Decoded frames of one video are kept up to this size, so that counting and reading are one pass.
KEEP_BYTES = 256 * 2**20


class IndexRefutedError(DataError):
    """Frames are not those that a file's index promised; opened anew, it is decoded whole."""


class FrameSource(ABC):
    """An open video or folder of images.

    Attributes:
        path: what was opened, or its name, for messages.
        num_frames: exact number of frames that can be read, at least 1.
        fps: average frames per second; None where unknown.
        kind: ``video`` or ``frames`` (a folder).
        times_seconds: presentation time of each frame, float64 [num_frames], never decreasing; 0 is
            the first frame, or the first of the packets that were lost in front of it. None where
            frames have no times (a folder of images).
        frames_lost: frames that the file holds and that could not be decoded.
    """

    kind: ClassVar[Kind] = "video"
    path: str
    num_frames: int
    fps: float | None
    times_seconds: np.ndarray | None = None
    frames_lost: int = 0

    def read(self, indices_T: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the frames with these 0-based numbers, in this order, repeats allowed.

        Each different frame is decoded once, in one pass.

        Returns:
            uint8 RGB [T, H, W, 3].

        Raises:
            IndexError: a number outside 0 .. num_frames - 1.
            DataError: a frame cannot be read.
        """
        indices = np.asarray(indices_T, dtype=np.int64).reshape(-1)
        if indices.size == 0 or indices.min() < 0 or indices.max() >= self.num_frames:
            raise IndexError(f"{self.path}: frames {indices} of 0..{self.num_frames - 1}")
        wanted, position = np.unique(indices, return_inverse=True)
        position = position.reshape(-1)
        in_order = bool(np.array_equal(wanted, indices))
        clip_THWC: np.ndarray | None = None
        done = 0
        with decoding_errors(self.path, "its frames cannot be read"):
            for image_HWC in self._decode(wanted):
                if image_HWC.ndim != 3 or image_HWC.shape[2] != 3:
                    raise DataError(f"{self.path}: frames of shape {image_HWC.shape}, not RGB")
                if clip_THWC is None:
                    check_clip_size(self.path, len(indices), *image_HWC.shape[:2])
                    clip_THWC = np.empty((len(indices), *image_HWC.shape), np.uint8)
                elif image_HWC.shape != clip_THWC.shape[1:]:
                    raise DataError(
                        f"{self.path}: frame {wanted[done]} has another size than those before it"
                    )
                clip_THWC[done if in_order else position == done] = image_HWC
                done += 1
        if clip_THWC is None or done < len(wanted):
            raise DataError(f"{self.path}: decoded {done} of {len(wanted)} frames the second time")
        return clip_THWC

    def read_shaped(self, requests: Sequence[ShapedClip]) -> list[np.ndarray]:
        """Return clips of finished pictures; every different frame is decoded once for all.

        Returns:
            uint8 RGB, one for each request, in its layout.

        Raises:
            IndexError: a number outside 0 .. num_frames - 1.
            DataError: a frame cannot be read, or does not fit a request's crop.
        """
        indices = np.concatenate([request.indices_T for request in requests])
        if indices.size == 0 or indices.min() < 0 or indices.max() >= self.num_frames:
            raise IndexError(f"{self.path}: frames {indices} of 0..{self.num_frames - 1}")
        wanted = np.unique(indices)
        done = 0
        with decoding_errors(self.path, "its frames cannot be read"):
            for number, picture in zip(wanted.tolist(), self._pictures(wanted), strict=False):
                for request in requests:
                    request.take(number, picture)
                done += 1
        if done < len(wanted):
            raise DataError(f"{self.path}: decoded {done} of {len(wanted)} frames the second time")
        return [request.finished() for request in requests]

    def _pictures(self, wanted: np.ndarray) -> Iterator[Picture]:
        """Yield the frames ``wanted`` (ascending, no repeats), all of one size."""
        first_HWC: np.ndarray | None = None
        for number, image_HWC in zip(wanted.tolist(), self._decode(wanted), strict=False):
            first_HWC = image_HWC if first_HWC is None else first_HWC
            if image_HWC.shape != first_HWC.shape or image_HWC.shape[2:] != (3,):
                raise DataError(
                    f"{self.path}: frame {number} has another size than those before it"
                )
            yield RgbPicture(image_HWC)

    @abstractmethod
    def _decode(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the frames ``wanted`` (ascending, no repeats) as uint8 RGB [H, W, 3]."""

    def close(self) -> None:  # noqa: B027 - most sources hold nothing that must be closed
        """Let go of the file and of kept frames. Reading afterwards is an error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()


class ShapedClip:
    """A clip that is to be made of finished pictures, as they come.

    Args:
        indices_T: 0-based numbers of its frames, in its order, repeats allowed.
        stack_for: makes room for the pictures of frames of a (height, width); called once, with
            the first.
    """

    def __init__(
        self, indices_T: np.ndarray, stack_for: Callable[[int, int], PictureStack]
    ) -> None:
        self.indices_T: np.ndarray = np.asarray(indices_T, np.int64).reshape(-1)
        self._stack_for = stack_for
        self._stack: PictureStack | None = None
        self._positions: dict[int, list[int]] = {}
        for position, number in enumerate(self.indices_T.tolist()):
            self._positions.setdefault(number, []).append(position)

    def take(self, number: int, picture: Picture) -> None:
        """Take frame ``number``, if it is one of the clip's."""
        positions = self._positions.get(number)
        if positions is None:
            return
        if self._stack is None:
            self._stack = self._stack_for(*picture.size)
        self._stack.put(positions, picture)

    def finished(self) -> np.ndarray:
        """Return the clip; every frame was taken."""
        assert self._stack is not None
        return self._stack.clip


class Decoder(ABC):
    """A pipeline's decode step: opens the frame source of a sample.

    Attributes:
        kind: the kind of sample it opens, ``video`` files or folders of ``frames``.
    """

    kind: ClassVar[Kind]

    @abstractmethod
    def open(self, sample: Sample) -> FrameSource:
        """Open ``sample.media``, or what is at ``sample.path``.

        Raises:
            DataError: it is missing, empty, unreadable, or holds no frames.
        """


DECODERS: Registry[Decoder] = Registry("decoder", Decoder)


def check_is_file(path: str) -> None:
    """Raise `DataError` in plain words for what a video library reports in codes."""
    FileMedia(path).check()
