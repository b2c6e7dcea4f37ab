"""The exported bundle, the engines that run it, and the predictor on top."""

from paddlevideo.deploy.bundle import Bundle, read_bundle
from paddlevideo.deploy.export import ExportOptions, export_clip_model, export_model
from paddlevideo.deploy.predictor import ClassScore, VideoPredictor, VideoResult, load_predictor

__all__ = [
    "Bundle",
    "ClassScore",
    "ExportOptions",
    "VideoPredictor",
    "VideoResult",
    "export_clip_model",
    "export_model",
    "load_predictor",
    "read_bundle",
]
