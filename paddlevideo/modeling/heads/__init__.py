"""Classifier heads: a vector per clip becomes logits.

May import what ``modeling`` may. Begin reading in `classifier_head`.
"""

from paddlevideo.modeling.heads.classifier_head import ClassifierHead

__all__ = ["ClassifierHead"]
