"""Synthetic footage: things that move over a background, and files of it."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from paddlevideo.apps.own_videos import VideoRecord


def footage(seed: int, num_frames: int, background: int | None = None) -> np.ndarray:
    """Frames uint8 RGB [T, 120, 160, 3]: four discs of their own ways over a still background."""
    rng = np.random.default_rng(1000 + (seed if background is None else background))
    coarse = rng.integers(40, 216, (6, 8, 3)).astype(np.uint8)
    still = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(seed)
    speed = rng.uniform(0.03, 0.12, (4, 2))
    phase = rng.uniform(0, 6.3, (4, 2))
    colour = rng.integers(0, 256, (4, 3))
    frames = []
    for number in range(num_frames):
        image = still.copy()
        for disc in range(4):
            x, y = np.sin(speed[disc] * number + phase[disc])
            centre = (int(80 + 60 * x), int(60 + 40 * y))
            cv2.circle(image, centre, 16, colour[disc].tolist(), -1)
        frames.append(image)
    return np.stack(frames)


def write(
    path: Path,
    frames: np.ndarray,
    rate: float = 25,
    scale: float = 1.0,
    bit_rate: int = 2_000_000,
) -> Path:
    """Write frames as MPEG-4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = (int(side * scale) // 2 * 2 for side in frames.shape[1:3])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(rate).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = bit_rate
        for image in frames:
            scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scaled, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def records_of(*paths: Path) -> list[VideoRecord]:
    """A record for each file, its class the folder that it is in."""
    return [VideoRecord(path, path.parent.name) for path in paths]
