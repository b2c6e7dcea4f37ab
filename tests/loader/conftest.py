"""The videos of the tests of the pipeline."""

from video.conftest import pipeline, video_dir, video_list

__all__ = ["pipeline", "video_dir", "video_list"]
