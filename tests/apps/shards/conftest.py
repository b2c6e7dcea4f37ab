"""The videos of the tests of the pipeline, and shards of them."""

from loader.shards.conftest import shard_dir
from video.conftest import video_dir, video_list

__all__ = ["shard_dir", "video_dir", "video_list"]
