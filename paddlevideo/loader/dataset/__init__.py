"""Which samples there are, and what happens to those that cannot be read.

May import what ``loader`` may. Begin reading in `base`.
"""

from paddlevideo.loader.dataset.base import DATASETS, ClipDataset, ReadingContext
from paddlevideo.loader.dataset.build import build_dataset, check_dataset
from paddlevideo.loader.dataset.class_folders import class_names_of
from paddlevideo.loader.dataset.folder import FolderDataset
from paddlevideo.loader.dataset.frame import FrameDataset
from paddlevideo.loader.dataset.list_files import read_list
from paddlevideo.loader.dataset.shard import ShardDataset
from paddlevideo.loader.dataset.video import VideoDataset

__all__ = [
    "DATASETS",
    "ClipDataset",
    "FolderDataset",
    "FrameDataset",
    "ReadingContext",
    "ShardDataset",
    "VideoDataset",
    "build_dataset",
    "check_dataset",
    "class_names_of",
    "read_list",
]
