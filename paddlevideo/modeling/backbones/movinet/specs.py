"""The MoViNet family as tables (arXiv 2103.11511; final numbers and T0 as in TF Model Garden).

A layer is written ``expand/K`` with K the depthwise kernel: 13 is 1x3x3, 15 is 1x5x5, 33 is
3x3x3, 53 is 5x3x3 (frames x height x width). Channel counts are final: nothing is scaled or
rounded when a network is built.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from paddlevideo.modeling.layers.convolution import Kernel
from paddlevideo.utils.errors import ConfigError, nearest_hint

_KERNELS: dict[str, Kernel] = {"13": (1, 3, 3), "15": (1, 5, 5), "33": (3, 3, 3), "53": (5, 3, 3)}

# The first layer of these blocks halves height and width; block 3 keeps the size of block 2.
_DOWNSAMPLING_BLOCKS = (0, 1, 2, 4)


@dataclass(frozen=True)
class LayerSpec:
    """One inverted bottleneck layer."""

    block: int
    layer: int
    in_channels: int
    expand_channels: int
    out_channels: int
    kernel: Kernel
    stride: int

    @property
    def name(self) -> str:
        """``block1_layer0``: the name of its endpoint and the stem of its states' names."""
        return f"block{self.block}_layer{self.layer}"


@dataclass(frozen=True)
class MoViNetSpec:
    """One network of the family and the input it was designed for.

    Attributes:
        num_frames, stride_frames: evaluation clip, and temporal stride on 25 fps video.
        size: height and width of the input in pixels.
        short_side: what the short side is scaled to before the centre crop.
        dropout: of the classifier head of the base model; ``stream_dropout`` of the stream model.
        positional_encoding: whether the stream model uses it.
    """

    stem_channels: int
    blocks: tuple[tuple[int, str], ...]
    project_channels: int
    hidden_channels: int
    num_frames: int
    stride_frames: int
    size: int
    short_side: int
    dropout: float
    stream_dropout: float
    positional_encoding: bool = False

    def layers(self) -> Iterator[LayerSpec]:
        """Yield every bottleneck layer in order."""
        in_channels = self.stem_channels
        for block, (out_channels, text) in enumerate(self.blocks):
            for layer, item in enumerate(text.split()):
                expand, kernel = item.split("/")
                downsamples = layer == 0 and block in _DOWNSAMPLING_BLOCKS
                yield LayerSpec(
                    block=block,
                    layer=layer,
                    in_channels=in_channels,
                    expand_channels=int(expand),
                    out_channels=out_channels,
                    kernel=_KERNELS[kernel],
                    stride=2 if downsamples else 1,
                )
                in_channels = out_channels


# The channels of stem, head projection and hidden layer; frames, stride, size, short side of the
# input; dropout of the base and the stream model; whether the stream model encodes positions.
_OUTER: dict[str, tuple[int, int, int, int, int, int, int, float, float, bool]] = {
    #      stem  project  hidden  frames  stride  size  short  dropout  stream  positions
    "T0": (   8,     240,   1024,     25,     10,  160,   176,     0.2,    0.2,     False),
    "A0": (   8,     480,   2048,     50,      5,  172,   192,     0.2,    0.2,     False),
    "A1": (  16,     600,   2048,     50,      5,  172,   192,     0.5,    0.2,     False),
    "A2": (  16,     640,   2048,     50,      5,  224,   256,     0.5,    0.5,     False),
    "A3": (  16,     744,   2048,    120,      2,  256,   288,     0.5,    0.5,      True),
    "A4": (  24,     856,   2048,     80,      3,  290,   320,     0.5,    0.5,      True),
    "A5": (  24,     992,   2048,    120,      2,  320,   368,     0.5,    0.5,      True),
}  # fmt: skip

# The bottleneck layers of each block, after the number of channels that it gives.
_BLOCKS: dict[str, tuple[tuple[int, str], ...]] = {
    "T0": (
        (8, "16/15"),
        (32, "72/33 72/15"),
        (56, "112/53 112/15 112/33"),
        (56, "184/53 184/15 184/33 184/33"),
        (104, "344/53 344/15 344/15 344/33"),
    ),
    "A0": (
        (8, "24/15"),
        (32, "80/33 80/33 80/33"),
        (56, "184/53 112/33 184/33"),
        (56, "184/53 184/33 184/33 184/33"),
        (104, "384/53 280/15 280/15 344/15"),
    ),
    "A1": (
        (16, "40/15 40/33"),
        (40, "96/33 120/33 96/33 96/33"),
        (64, "216/53 128/33 216/33 168/33 216/33"),
        (64, "216/53 216/33 216/33 128/33 128/15 216/33"),
        (136, "456/53 360/15 360/15 360/15 456/15 456/33 544/13"),
    ),
    "A2": (
        (16, "40/15 40/33 64/33"),
        (40, "96/33 120/33 96/33 96/33 120/33"),
        (72, "240/53 160/33 240/33 192/33 240/33"),
        (72, "240/53 240/33 240/33 240/33 144/15 240/33"),
        (144, "480/53 384/15 384/15 480/15 480/15 480/33 576/13"),
    ),
    "A3": (
        (16, "40/15 40/33 64/33 40/33"),
        (48, "112/33 144/33 112/33 112/15 144/33 144/33"),
        (80, "240/53 152/33 240/33 192/33 240/33"),
        (88, "264/53 264/33 264/33 264/33 160/15 264/33 264/33 264/33"),
        (168, "560/53 448/15 448/15 560/15 560/15 560/33 448/15 448/15 560/33 672/13"),
    ),
    "A4": (
        (24, "64/15 64/33 96/33 64/33 96/33 64/33"),
        (56, "168/33 168/33 136/33 136/33 168/33 168/33 168/33 136/15 136/33"),
        (96, "320/53 160/33 320/33 192/33 320/33 160/33 320/33 256/33 320/33"),
        (96, "320/53 320/33 320/33 320/33 192/15 320/33 320/33 192/33 320/33 320/33"),
        (192, "640/53 512/15 512/15 640/15 640/15 640/33 512/15 512/15 640/15 768/15 640/15 "
         "640/33 768/33"),
    ),
    "A5": (
        (24, "64/15 64/15 96/33 64/33 96/33 64/33"),
        (64, "192/53 152/33 152/33 152/33 192/33 192/33 192/33 152/33 152/33 192/33 192/33"),
        (112, "376/53 224/33 376/33 376/33 296/33 376/33 224/33 376/33 376/33 296/33 376/33 "
         "376/33 376/33"),
        (120, "376/53 376/33 376/33 376/33 224/15 376/33 376/33 224/33 376/33 376/33 376/33"),
        (224, "744/53 744/33 600/15 600/15 744/15 744/15 744/33 896/15 600/15 600/15 896/15 "
         "744/15 744/33 896/15 600/15 600/15 744/15 744/33"),
    ),
}  # fmt: skip


SPECS = {name: MoViNetSpec(row[0], _BLOCKS[name], *row[1:]) for name, row in _OUTER.items()}


def spec_of(model_type: str) -> MoViNetSpec:
    """Return the table of one variant; raise `ConfigError` for an unknown name."""
    try:
        return SPECS[model_type.upper()]
    except KeyError:
        hint = nearest_hint(model_type, SPECS)
        raise ConfigError(f'MoViNet has no model_type "{model_type}"; {hint}') from None
