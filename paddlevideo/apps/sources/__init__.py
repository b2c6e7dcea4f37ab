"""Where live and recorded frames come from: files, cameras, network streams, pipes."""

from paddlevideo.apps.sources.following import follow
from paddlevideo.apps.sources.open_source import SourceOptions, open_source

__all__ = ["SourceOptions", "follow", "open_source"]
