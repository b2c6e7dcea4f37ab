"""Where live and recorded frames come from: files, cameras, network streams, pipes.

May import ``runtime``, ``video`` and ``utils``, never Paddle. Begin reading in `factory`.
"""

from paddlevideo.apps.sources.factory import SourceOptions, open_source
from paddlevideo.apps.sources.following import follow

__all__ = ["SourceOptions", "follow", "open_source"]
