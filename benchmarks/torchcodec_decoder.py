"""Videos through torchcodec, registered as a decoder; for `loader.py`, which measures it.

It is no decoder of the package (docs/data_speed.md says why). A decoder of your own is added in the
same way: a class, registered, its module named under ``imports`` of a config.
"""

from collections.abc import Callable, Iterator

import numpy as np

from paddlevideo.utils.errors import ConfigError
from paddlevideo.video.decoders.base import DECODERS, Decoder, FrameSource
from paddlevideo.video.sample import Sample


def check_is_installed() -> None:
    """Raise `ConfigError` where torchcodec, PyTorch or FFmpeg's libraries are missing."""
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        why = str(error).strip().splitlines()[0]
        raise ConfigError(f"torchcodec cannot be imported: {why}") from None


class TorchcodecSource(FrameSource):
    """Frames by torchcodec's own index, decoded by one thread, the wanted ones in one call."""

    def __init__(self, path: str) -> None:
        from torchcodec.decoders import VideoDecoder

        self.path = path
        self._decoder = VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=1)
        self.num_frames = len(self._decoder)
        self.fps = self._decoder.metadata.average_fps
        self.times_seconds = np.arange(self.num_frames) / (self.fps or 25.0)

    def _decode(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        yield from self._decoder.get_frames_at(wanted.tolist()).data.numpy()


@DECODERS.register
class TorchcodecDecoder(Decoder):
    """Opens the file of a sample."""

    kind = "video"

    def open(self, sample: Sample) -> FrameSource:
        """Open ``sample.path``."""
        return TorchcodecSource(sample.path)


def own_resize(video: str, frames: int, side: int) -> Callable[[], object]:
    """The frames resized and cut by torchcodec while it decodes: nothing of the package runs."""
    import torch
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import CenterCrop, Resize

    torch.set_num_threads(1)  # as in a worker; more take five times the CPU time
    metadata = VideoDecoder(video).metadata
    scale = side / min(metadata.height, metadata.width)
    size = (round(metadata.height * scale), round(metadata.width * scale))

    def run() -> np.ndarray:
        decoder = VideoDecoder(
            video, num_ffmpeg_threads=1, transforms=[Resize(size), CenterCrop((side, side))]
        )
        indices = np.linspace(0, len(decoder) - 1, frames).round().astype(int).tolist()
        clip_TCHW: np.ndarray = decoder.get_frames_at(indices).data.numpy()
        return np.ascontiguousarray(clip_TCHW)

    return run
