"""Losses: logits and labels become one number.

May import what ``modeling`` may. Begin reading in `cross_entropy`.
"""

from paddlevideo.modeling.losses.cross_entropy import CrossEntropyLoss

__all__ = ["CrossEntropyLoss"]
