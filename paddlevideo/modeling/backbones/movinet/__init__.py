"""MoViNet: tables (`specs`), layers, and the backbone.

May import what ``modeling`` may. Begin reading in `backbone`; docs/movinet.md is its specification.
"""

from paddlevideo.modeling.backbones.movinet.backbone import MoViNet

__all__ = ["MoViNet"]
