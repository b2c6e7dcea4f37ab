"""The input that a model was designed for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class InputSpec:
    """One clip of a batch, [T, 3, H, W], RGB.

    Attributes:
        num_frames, height, width: the size the network was designed for; others work too.
        stride_frames: temporal stride on 25 fps video that it was designed for.
        dtype: ``uint8`` where value scaling is a layer of the model, else ``float32``.
        short_side: what the short side is scaled to before the centre crop; None if not stated.
    """

    num_frames: int
    height: int
    width: int
    stride_frames: int
    dtype: str = "float32"
    short_side: int | None = None
