"""Recognizers: backbone, head and loss, or several of them, behind the interface of the loop.

May import what ``modeling`` may. Begin reading in `clip_recognizer`.
"""

from paddlevideo.modeling.recognizers.clip_recognizer import ClipRecognizer
from paddlevideo.modeling.recognizers.ensemble import EnsembleRecognizer

__all__ = ["ClipRecognizer", "EnsembleRecognizer"]
