"""The exported bundle, the engines that run it, and the predictor on top."""

from paddlevideo.deploy.bundle import Bundle, read_bundle
from paddlevideo.deploy.export import ExportOptions, export_clip_model, export_model
from paddlevideo.deploy.pool import StreamPool
from paddlevideo.deploy.predictor import ClassScore, VideoPredictor, VideoResult, load_predictor
from paddlevideo.deploy.session import StreamSession
from paddlevideo.deploy.session_track import StreamResult
from paddlevideo.deploy.sources import SourceOptions, open_source

__all__ = [
    "Bundle",
    "ClassScore",
    "ExportOptions",
    "SourceOptions",
    "StreamPool",
    "StreamResult",
    "StreamSession",
    "VideoPredictor",
    "VideoResult",
    "export_clip_model",
    "export_model",
    "load_predictor",
    "open_source",
    "read_bundle",
]
