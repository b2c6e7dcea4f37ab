"""Classifier heads: a vector per clip becomes logits."""

from paddlevideo.modeling.heads.movinet_head import MoViNetHead

__all__ = ["MoViNetHead"]
