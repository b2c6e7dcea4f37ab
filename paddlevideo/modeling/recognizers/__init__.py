"""Recognizers: a backbone, a head and a loss behind the one interface the loop knows."""

from paddlevideo.modeling.recognizers.clip_recognizer import ClipRecognizer

__all__ = ["ClipRecognizer"]
