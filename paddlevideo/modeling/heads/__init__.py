"""Classifier heads: a vector per clip becomes logits."""

from paddlevideo.modeling.heads.classifier_head import ClassifierHead

__all__ = ["ClassifierHead"]
