"""The exported bundle, the engines that run it, and the predictor on top."""

from paddlevideo.deploy.bundle import Bundle, read_bundle
from paddlevideo.deploy.export import ExportOptions, export_clip_model, export_model
from paddlevideo.deploy.predictor import ClassScore, VideoPredictor, VideoResult, load_predictor
from paddlevideo.deploy.sources.open_source import SourceOptions, open_source
from paddlevideo.deploy.streams.following import follow
from paddlevideo.deploy.streams.pool import StreamPool
from paddlevideo.deploy.streams.session import StreamSession
from paddlevideo.deploy.streams.session_track import StreamResult

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
    "follow",
    "load_predictor",
    "open_source",
    "read_bundle",
]
