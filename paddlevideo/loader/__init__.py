"""From a list of videos to batches of clips: decoders -> dataset -> pipelines -> batches."""

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
from paddlevideo.loader.decoders import DECODERS, FrameSource
from paddlevideo.loader.index_sampler import IndexSampler
from paddlevideo.loader.pipelines import (
    SAMPLERS,
    TRANSFORMS,
    ClipView,
    Pipeline,
    described_views,
    for_video_files,
)
from paddlevideo.loader.sample import Record, Sample

__all__ = [
    "DATASETS",
    "DECODERS",
    "SAMPLERS",
    "TRANSFORMS",
    "BatchReader",
    "ClipDataset",
    "ClipLoader",
    "ClipView",
    "FrameSource",
    "IndexSampler",
    "OnUnreadable",
    "Pipeline",
    "ReadingContext",
    "Record",
    "Sample",
    "build_dataset",
    "check_dataset",
    "class_names_of",
    "described_views",
    "for_video_files",
]
