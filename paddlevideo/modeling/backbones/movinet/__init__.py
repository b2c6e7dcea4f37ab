"""MoViNet: tables (`specs`), layers, and the backbone."""

from paddlevideo.modeling.backbones.movinet.backbone import MoViNet

__all__ = ["MoViNet"]
