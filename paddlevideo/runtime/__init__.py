"""The exported bundle, the engines that run it, and the predictor on top.

May import ``video`` and ``utils``, never Paddle. Begin reading in `predictor`.
"""

from paddlevideo.runtime.bundle import Bundle, read_bundle
from paddlevideo.runtime.predictor import ClassScore, VideoPredictor, VideoResult, load_predictor
from paddlevideo.runtime.streams.pool import StreamPool
from paddlevideo.runtime.streams.session import StreamSession
from paddlevideo.runtime.streams.timeline import StreamResult

__all__ = [
    "Bundle",
    "ClassScore",
    "StreamPool",
    "StreamResult",
    "StreamSession",
    "VideoPredictor",
    "VideoResult",
    "load_predictor",
    "read_bundle",
]
