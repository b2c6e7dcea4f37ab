"""Metrics: exact sums over samples, the same for any number of processes.

May import ``modeling``, ``weights`` and ``utils``. Begin reading in `metric`.
"""

from paddlevideo.metrics.confusion import (
    UNREADABLE,
    ClassFigures,
    Confusion,
    ConfusionMatrix,
    confusion_matrix,
)
from paddlevideo.metrics.metric import METRICS, Metric
from paddlevideo.metrics.top_k import TopKAccuracy

__all__ = [
    "METRICS",
    "UNREADABLE",
    "ClassFigures",
    "Confusion",
    "ConfusionMatrix",
    "Metric",
    "TopKAccuracy",
    "confusion_matrix",
]
