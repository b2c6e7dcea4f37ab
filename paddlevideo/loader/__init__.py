"""From lists of videos to batches of clips: data sets, batches, worker processes.

May import ``video`` and ``utils`` only. Begin reading in `dataset.base`.
"""

from paddlevideo.loader.batches import BatchReader, OnUnreadable
from paddlevideo.loader.clip_loader import ClipLoader
from paddlevideo.loader.dataset import (
    DATASETS,
    ClipDataset,
    ReadingContext,
    build_dataset,
    check_dataset,
    class_names_of,
)
from paddlevideo.loader.index_sampler import IndexSampler
from paddlevideo.loader.watch import Patience

__all__ = [
    "DATASETS",
    "BatchReader",
    "ClipDataset",
    "ClipLoader",
    "IndexSampler",
    "OnUnreadable",
    "Patience",
    "ReadingContext",
    "build_dataset",
    "check_dataset",
    "class_names_of",
]
