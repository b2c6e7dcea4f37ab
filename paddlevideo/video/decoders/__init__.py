"""From a path to frames by number: one interface, one file per library.

May import what ``video`` may. Begin reading in `base`.
"""

from paddlevideo.video.decoders.base import DECODERS, Decoder, FrameSource
from paddlevideo.video.decoders.containers import reason
from paddlevideo.video.decoders.decord import DecordSource
from paddlevideo.video.decoders.frames import FrameDecoder, FrameFolder
from paddlevideo.video.decoders.opencv import OpenCVSource
from paddlevideo.video.decoders.pyav import PyAVSource
from paddlevideo.video.decoders.video import VideoDecoder
from paddlevideo.video.decoders.yuv_pictures import RgbConverter

__all__ = [
    "DECODERS",
    "Decoder",
    "DecordSource",
    "FrameDecoder",
    "FrameFolder",
    "FrameSource",
    "OpenCVSource",
    "PyAVSource",
    "RgbConverter",
    "VideoDecoder",
    "reason",
]
