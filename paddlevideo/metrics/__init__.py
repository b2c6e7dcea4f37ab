"""Metrics: exact sums over samples, the same for any number of processes."""

from paddlevideo.metrics.top_k import METRICS, TopKAccuracy

__all__ = ["METRICS", "TopKAccuracy"]
