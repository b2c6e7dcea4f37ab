"""Backbones. Each package registers its classes and the names of its well-known models."""

from paddlevideo.modeling.backbones.movinet import MoViNet, presets

__all__ = ["MoViNet", "presets"]
