"""`ServeLimits`: what a client of the service may ask for."""

import dataclasses
import math
from dataclasses import dataclass
from typing import TypeVar

from paddlevideo.utils.errors import ConfigError, shown

Number = TypeVar("Number", int, float)


def _limit(default: Number, least: float, most: float, what: str) -> Number:
    """A limit with its range, and what it bounds, for the command's help."""
    limit: Number = dataclasses.field(
        default=default, metadata={"least": least, "most": most, "what": what}
    )
    return limit


@dataclass(frozen=True)
class ServeLimits:
    """What a client may ask for; each is a flag of ``paddlevideo serve`` (docs/serving.md).

    Raises:
        ConfigError: a value out of its range, or more streams than connections.
    """

    max_upload_mb: float = _limit(64.0, 0.001, 1e5, "MB of one video that is sent")
    max_video_seconds: float = _limit(300.0, 0.1, 1e6, "length of a video, as its file says")
    max_video_frames: int = _limit(20_000, 1, 1e9, "frames of a video")
    max_frame_pixels: float = _limit(8.9e6, 64, 1e9, "pixels of one frame: 4K has 8.8 million")
    max_videos: int = _limit(8, 1, 10_000, "videos at a time: sent, waiting and computed")
    max_streams: int = _limit(64, 1, 10_000, "streams at a time")
    max_connections: int = _limit(256, 1, 60_000, "connections at a time, of any kind")
    max_connections_per_address: int = _limit(
        128, 1, 60_000, "connections of one client address at a time"
    )
    max_message_mb: float = _limit(8.0, 0.001, 1000, "MB of one WebSocket message: a frame")
    queue_frames: int = _limit(2, 1, 1000, "frames of a stream that wait; then its client does")
    request_seconds: float = _limit(60.0, 0.1, 86_400, "for a video, its sending included; a frame")
    idle_seconds: float = _limit(30.0, 0.1, 86_400, "between two messages, or for a request's head")
    shutdown_seconds: float = _limit(10.0, 0.1, 3600, "that running answers have at the end")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = vars(self)[field.name]
            least, most = field.metadata["least"], field.metadata["most"]
            kinds = (int,) if isinstance(field.default, int) else (int, float)
            is_number = isinstance(value, kinds) and not isinstance(value, bool)
            if not is_number or not math.isfinite(value) or not least <= value <= most:
                whole = "whole " if kinds == (int,) else ""
                raise ConfigError(
                    f"--{field.name} is {shown(value)}, expected a {whole}number from {least:g} "
                    f"to {most:g}"
                )
        if self.max_streams > self.max_connections:
            raise ConfigError(
                f"--max_streams {self.max_streams} is above --max_connections "
                f"{self.max_connections}: some could never connect; raise the second"
            )

    @property
    def upload_bytes(self) -> int:
        """Bytes of one video at most."""
        return int(self.max_upload_mb * 1e6)

    @property
    def message_bytes(self) -> int:
        """Bytes of one message at most."""
        return int(self.max_message_mb * 1e6)
