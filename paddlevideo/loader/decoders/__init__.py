"""From a path to frames by number: one interface, one file per library."""

from paddlevideo.loader.decoders.base import DECODERS, Decoder, FrameSource
from paddlevideo.loader.decoders.containers import reason
from paddlevideo.loader.decoders.decord import DecordSource
from paddlevideo.loader.decoders.frames import FrameDecoder, FrameFolder
from paddlevideo.loader.decoders.opencv import OpenCVSource
from paddlevideo.loader.decoders.pyav import PyAVSource, RgbConverter
from paddlevideo.loader.decoders.video import VideoDecoder

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
