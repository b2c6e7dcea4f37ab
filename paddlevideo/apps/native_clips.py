"""Clips of video files as a network was designed for them."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import paddle
from paddle import Tensor

from paddlevideo.modeling.input_spec import InputSpec
from paddlevideo.utils.clip_names import CLIP
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.nodes import Node
from paddlevideo.utils.progress import track
from paddlevideo.video import Pipeline

logger = logging.getLogger(__name__)

_SOURCE_FPS = 25.0  # of the videos that a native stride counts frames of
_LARGEST_VALUE = 255.0


def native_description(spec: InputSpec) -> Node:
    """The pipeline of evaluation for a native clip: middle of the video, centre of the frame."""
    short_side = spec.short_side or min(spec.height, spec.width)
    return {
        "decode": {"name": "VideoDecoder"},
        "sample": {
            "name": "StridedSampler",
            "num_frames": spec.num_frames,
            "stride": spec.stride_frames,
            "stride_fps": _SOURCE_FPS,
        },
        "transform": [
            {"Scale": {"short_size": short_side, "fixed_ratio": False, "backend": "cv2"}},
            {"CenterCrop": {"target_size": spec.height}},
            {"Image2Array": None},
        ],
    }


def native_clips(spec: InputSpec, paths: Sequence[Path]) -> Iterator[Tensor]:
    """Yield a clip [1, T, 3, H, W] of each video, values in [0, 1].

    Videos that cannot be read are left out, with a warning for each.

    Raises:
        DataError: none can be read.
    """
    pipeline = Pipeline(native_description(spec), "the model's own pipeline")
    num_read = 0
    for path in track(paths, len(paths), "clips"):
        try:
            clip_TCHW = pipeline.load_clips(str(path))[CLIP]
        except DataError as error:
            logger.warning("left out: %s", error)
            continue
        num_read += 1
        yield paddle.to_tensor(clip_TCHW[None].astype(np.float32) / _LARGEST_VALUE)
    if not num_read:
        raise DataError(f"none of the {len(paths)} videos can be read; see above")
