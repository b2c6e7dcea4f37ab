"""Losses: logits and labels become one number."""

from paddlevideo.modeling.losses.cross_entropy import CrossEntropyLoss

__all__ = ["CrossEntropyLoss"]
