"""Models: backbones, heads, losses and the recognizers made of them, built from a MODEL section.

May import ``utils`` and ``weights`` only. Begin reading in `interfaces`.
"""

from paddlevideo.modeling import backbones, heads, losses, recognizers
from paddlevideo.modeling.builder import (
    build_recognizer,
    list_models,
    model_section,
    number_of_classes,
    resolve_model_section,
)
from paddlevideo.modeling.registry import BACKBONES, HEADS, LOSSES, PRESETS, RECOGNIZERS

__all__ = [
    "BACKBONES",
    "HEADS",
    "LOSSES",
    "PRESETS",
    "RECOGNIZERS",
    "backbones",
    "build_recognizer",
    "heads",
    "list_models",
    "losses",
    "model_section",
    "number_of_classes",
    "recognizers",
    "resolve_model_section",
]
