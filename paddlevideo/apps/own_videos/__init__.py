"""A user's own videos, from a folder or a list to a checked and split data set.

May import what ``apps`` may. Begin reading in `check`: `check_videos` does all of it: `read_videos`
lists the files, `scan` decodes each of them once, `find_sources` finds which are of the same
footage, `split` keeps that on one side, and `DataCheck` says what was found.
"""

from paddlevideo.apps.own_videos.advice import (
    ClipChoice,
    choose_clip,
    class_weights,
    flip_is_safe,
    needs_balancing,
)
from paddlevideo.apps.own_videos.check import check_videos
from paddlevideo.apps.own_videos.data_check import DataCheck
from paddlevideo.apps.own_videos.file_scan import FileScan
from paddlevideo.apps.own_videos.reading import read_videos
from paddlevideo.apps.own_videos.records import OwnVideos, VideoRecord
from paddlevideo.apps.own_videos.scanning import scan
from paddlevideo.apps.own_videos.sources import Sources, find_sources
from paddlevideo.apps.own_videos.splitting import Split, split

__all__ = [
    "ClipChoice",
    "DataCheck",
    "FileScan",
    "OwnVideos",
    "Sources",
    "Split",
    "VideoRecord",
    "check_videos",
    "choose_clip",
    "class_weights",
    "find_sources",
    "flip_is_safe",
    "needs_balancing",
    "read_videos",
    "scan",
    "split",
]
