"""Losses: logits and labels become one number.

May import what ``modeling`` may. Begin reading in `cross_entropy`.
"""

from paddlevideo.modeling.losses.both_labels import loss_of_labels
from paddlevideo.modeling.losses.class_weights import TakesClassCounts, give_class_counts
from paddlevideo.modeling.losses.cross_entropy import CrossEntropyLoss

__all__ = ["CrossEntropyLoss", "TakesClassCounts", "give_class_counts", "loss_of_labels"]
