"""PaddleVideo's `Sampler`: segments of a video, by its formulas (docs/paddlevideo.md).

F is the number of frames of the source, S ``num_seg``, L ``seg_len``, d = floor(F / S).
"""

import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.decoders.base import Kind
from paddlevideo.video.steps import SAMPLERS, FrameSampler, check_positive

_DENSE_SPAN_FRAMES = 64
_DENSE_CLIPS = 10


@SAMPLERS.register
class Sampler(FrameSampler):
    """Chooses S segments of L frames with PaddleVideo's formulas.

    Default: with d >= L a segment starts at i*d + a draw from 0 .. d-L (training), or
    i*d + floor((d-1)/2) (``valid_mode``); with d >= 1 at i*d; else at i. The last F - S*d frames
    are never used; `UniformSampler` covers the whole video.

    Numbers beyond the end: wrapped around for a video. For a folder of frames PaddleVideo would
    ask for images that do not exist; here they become the last frame.

    Random draws have PaddleVideo's distribution and come from the sample's generator.

    Args:
        num_seg: S.
        seg_len: L, consecutive frames per segment (``frame_interval`` apart, if given).
        frame_interval: g: windows of L frames, g apart (SlowFast, MoViNet's relatives).
        valid_mode: the fixed choice of evaluation instead of a random one.
        select_left: TSM's rule; one frame per segment.
        dense_sample: PP-TSM's rule: S frames, 64 // S apart, in a window of 64; ``valid_mode``
            takes 10 windows, each a clip of its own. (PaddleVideo is one frame late on videos
            here; this is not imitated.)
        linspace_sample: S frames evenly from the first to the last.
        segments_are_clips: each of the S segments is a clip of L frames by itself, for testing:
            with ``frame_interval`` the ``num_clips`` of SlowFast's and mmaction2's tests.

    Raises:
        ArgumentError: arguments that exclude one another.
    """

    def __init__(
        self,
        num_seg: int,
        seg_len: int = 1,
        frame_interval: int | None = None,
        valid_mode: bool = False,
        select_left: bool = False,
        dense_sample: bool = False,
        linspace_sample: bool = False,
        segments_are_clips: bool = False,
    ) -> None:
        check_positive(num_seg=num_seg, seg_len=seg_len)
        if frame_interval is not None:
            check_positive(frame_interval=frame_interval)
        # PaddleVideo's files write select_left beside dense_sample; dense is the one that acts.
        select_left = select_left and not dense_sample
        rules = {
            "frame_interval": frame_interval is not None,
            "select_left": select_left,
            "dense_sample": dense_sample,
            "linspace_sample": linspace_sample,
        }
        chosen = [name for name, given in rules.items() if given]
        if len(chosen) > 1:
            raise ArgumentError(f"{' and '.join(chosen)} exclude one another; give one")
        if seg_len != 1 and chosen and chosen != ["frame_interval"]:
            raise ArgumentError(f"{chosen[0]} takes one frame per segment; seg_len must be 1")
        if dense_sample and num_seg > _DENSE_SPAN_FRAMES:
            raise ArgumentError(f"dense_sample takes at most {_DENSE_SPAN_FRAMES} segments")
        self.num_seg = num_seg
        self.seg_len = seg_len
        self.frame_interval = frame_interval
        self.valid_mode = valid_mode
        self.rule = chosen[0] if chosen else "default"
        if segments_are_clips and self.rule not in ("default", "frame_interval"):
            raise ArgumentError(
                f"segments_are_clips: the segments of {self.rule} are single frames"
            )
        self.num_clips = _DENSE_CLIPS if dense_sample and valid_mode else 1
        self.num_frames = num_seg * seg_len
        if segments_are_clips:
            self.num_clips, self.num_frames = num_seg, seg_len

    def indices(
        self,
        num_frames: int,
        rng: np.random.Generator,
        training: bool,
        kind: Kind = "video",
        times_seconds: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the frame numbers; ``valid_mode``, not ``training``, decides about drawing."""
        rule = {
            "default": self._default,
            "frame_interval": self._windows,
            "select_left": self._left,
            "dense_sample": self._dense,
            "linspace_sample": self._linspace,
        }[self.rule]
        frames: np.ndarray = rule(num_frames, rng).astype(np.int64).reshape(-1)
        if kind == "frames" and self.rule == "default":
            return np.minimum(frames, num_frames - 1)
        return frames % num_frames

    def _default(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        segments = np.arange(self.num_seg)
        length = num_frames // self.num_seg
        if length >= self.seg_len and not self.valid_mode:
            starts = segments * length + rng.integers(length - self.seg_len + 1, size=self.num_seg)
        elif length >= self.seg_len:
            starts = segments * length + (length - 1) // 2
        elif length >= 1:
            starts = segments * length
        else:
            starts = segments
        return starts[:, None] + np.arange(self.seg_len)

    def _windows(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        interval = self.frame_interval or 1
        span = self.seg_len * interval
        segments = np.arange(self.num_seg)
        free = num_frames - span + 1
        if self.valid_mode:
            spacing = free / self.num_seg
            starts = (
                (segments * spacing + spacing / 2).astype(np.int64) if free > 0 else segments * 0
            )
        elif free // self.num_seg > 0:
            spacing_frames = free // self.num_seg
            starts = segments * spacing_frames + rng.integers(spacing_frames, size=self.num_seg)
        elif num_frames > max(self.num_seg, span):
            starts = np.sort(rng.integers(free, size=self.num_seg))
        elif free // self.num_seg == 0:
            starts = np.around(segments * (free / self.num_seg)).astype(np.int64)
        else:
            starts = segments * 0
        return starts[:, None] + np.arange(self.seg_len) * interval

    def _left(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        segments = np.arange(self.num_seg)
        length = num_frames // self.num_seg
        if not self.valid_mode and length > 0:
            return segments * length + rng.integers(length, size=self.num_seg)
        if self.valid_mode and num_frames > self.num_seg:
            spacing = num_frames / self.num_seg
            return (spacing / 2 + spacing * segments).astype(np.int64)
        return segments * 0

    def _dense(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        positions = max(1, num_frames - _DENSE_SPAN_FRAMES + 1)
        steps: np.ndarray = np.arange(self.num_seg) * (_DENSE_SPAN_FRAMES // self.num_seg)
        if self.valid_mode:
            starts = np.linspace(0, positions - 1, _DENSE_CLIPS).astype(np.int64)
        else:
            starts = np.array([0 if positions == 1 else rng.integers(positions - 1)])
        return starts[:, None] + steps

    def _linspace(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        return np.linspace(0, num_frames - 1, self.num_seg).astype(np.int64)
