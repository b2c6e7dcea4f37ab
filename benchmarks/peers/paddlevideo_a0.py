"""PaddleVideo's MoViNet-A0 as plain Paddle layers: the peer of `benchmarks/model.py`.

Written from the facts of its network: one 3-D convolution a layer with fixed symmetric padding,
batch norm, Swish, pooling and squeeze-excitation on five axes, a scalar for every branch. The
tests compare it with tensors that PaddleVideo's own code gave.
"""

from typing import NamedTuple

from paddle import Tensor, nn


class Layer(NamedTuple):
    in_channels: int
    expand: int
    out_channels: int
    kernel: tuple[int, int, int]
    stride: int
    padding: tuple[int, int, int]
    pool_padding: tuple[int, int, int]
    squeeze: int


_LAYERS = [
    Layer(8, 24, 8, (1, 5, 5), 2, (0, 2, 2), (0, 1, 1), 8),
    Layer(8, 80, 32, (3, 3, 3), 2, (1, 0, 0), (0, 0, 0), 24),
    Layer(32, 80, 32, (3, 3, 3), 1, (1, 1, 1), (0, 0, 0), 24),
    Layer(32, 80, 32, (3, 3, 3), 1, (1, 1, 1), (0, 0, 0), 24),
    Layer(32, 184, 56, (5, 3, 3), 2, (2, 0, 0), (0, 0, 0), 48),
    Layer(56, 112, 56, (3, 3, 3), 1, (1, 1, 1), (0, 0, 0), 32),
    Layer(56, 184, 56, (3, 3, 3), 1, (1, 1, 1), (0, 0, 0), 48),
    Layer(56, 184, 56, (5, 3, 3), 1, (2, 1, 1), (0, 0, 0), 48),
    Layer(56, 184, 56, (3, 3, 3), 1, (1, 1, 1), (0, 0, 0), 48),
    Layer(56, 184, 56, (3, 3, 3), 1, (1, 1, 1), (0, 0, 0), 48),
    Layer(56, 184, 56, (3, 3, 3), 1, (1, 1, 1), (0, 0, 0), 48),
    Layer(56, 384, 104, (5, 3, 3), 2, (2, 1, 1), (0, 1, 1), 96),
    Layer(104, 280, 104, (1, 5, 5), 1, (0, 2, 2), (0, 0, 0), 72),
    Layer(104, 280, 104, (1, 5, 5), 1, (0, 2, 2), (0, 0, 0), 72),
    Layer(104, 344, 104, (1, 5, 5), 1, (0, 2, 2), (0, 0, 0), 88),
]


def _block(
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, int, int] = (1, 1, 1),
    stride: int = 1,
    padding: tuple[int, int, int] = (0, 0, 0),
    groups: int = 1,
    swish: bool = True,
) -> nn.Sequential:
    convolution = nn.Conv3D(
        in_channels,
        out_channels,
        list(kernel),
        [1, stride, stride],
        list(padding),
        groups=groups,
        bias_attr=False,
    )
    layers = [convolution, nn.BatchNorm3D(out_channels)]
    return nn.Sequential(*layers, nn.Swish()) if swish else nn.Sequential(*layers)


class _SqueezeExcitation(nn.Layer):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool3D(1)
        self.reduce = nn.Conv3D(channels, hidden, 1)
        self.expand = nn.Conv3D(hidden, channels, 1)
        self.swish, self.sigmoid = nn.Swish(), nn.Sigmoid()

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        gate = self.sigmoid(self.expand(self.swish(self.reduce(self.pool(x_BCTHW)))))
        return gate * x_BCTHW


class _Bottleneck(nn.Layer):
    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.expand = _block(layer.in_channels, layer.expand)
        self.deep = _block(
            layer.expand, layer.expand, layer.kernel, layer.stride, layer.padding, layer.expand
        )
        self.attention = _SqueezeExcitation(layer.expand, layer.squeeze)
        self.project = _block(layer.expand, layer.out_channels, swish=False)
        self.alpha = self.create_parameter([1])
        self.shortcut: nn.Layer | None = None
        if layer.stride > 1:
            pool = nn.AvgPool3D([1, 3, 3], [1, 2, 2], list(layer.pool_padding), exclusive=True)
            project = _block(layer.in_channels, layer.out_channels, swish=False)
            self.shortcut = nn.Sequential(pool, project)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        shortcut = x_BCTHW if self.shortcut is None else self.shortcut(x_BCTHW)
        branch = self.project(self.attention(self.deep(self.expand(x_BCTHW))))
        return shortcut + self.alpha * branch


class PaddleVideoA0(nn.Layer):
    """Clips [B, T, 3, H, W], float32, to logits [B, num_classes]."""

    def __init__(self, num_classes: int = 400) -> None:
        super().__init__()
        self.stem = _block(3, 8, (1, 3, 3), 2, (0, 1, 1))
        self.blocks = nn.Sequential(*(_Bottleneck(layer) for layer in _LAYERS))
        self.project = _block(104, 480)
        self.pool = nn.AdaptiveAvgPool3D(1)
        self.classifier = nn.Sequential(
            nn.Conv3D(480, 2048, 1), nn.Swish(), nn.Dropout(0.2), nn.Conv3D(2048, num_classes, 1)
        )

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        x_BCTHW = clip_BTCHW.transpose([0, 2, 1, 3, 4])
        return self.classifier(self.pool(self.project(self.blocks(self.stem(x_BCTHW))))).flatten(1)
