"""Backbones. Each package registers its classes and the names of its well-known models.

May import what ``modeling`` may. Begin reading in `movinet`.
"""

from paddlevideo.modeling.backbones.movinet import MoViNet, presets

__all__ = ["MoViNet", "presets"]
