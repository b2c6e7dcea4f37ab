"""Recognizers: backbone, head and loss, or several of them, behind the interface of the loop."""

from paddlevideo.modeling.recognizers.clip_recognizer import ClipRecognizer
from paddlevideo.modeling.recognizers.ensemble import EnsembleRecognizer

__all__ = ["ClipRecognizer", "EnsembleRecognizer"]
