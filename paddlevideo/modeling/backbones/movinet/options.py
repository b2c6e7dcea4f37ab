"""The options of a MoViNet backbone, checked once and handed to every layer."""

from dataclasses import dataclass
from typing import Literal

from paddlevideo.modeling.layers.activations import activation
from paddlevideo.modeling.layers.convolution import ConvBlock, Convolution
from paddlevideo.utils.errors import ConfigError

ConvType = Literal["3d", "2plus1d", "3d_2plus1d"]
SEType = Literal["3d", "2d", "2plus3d", "none"]
Padding = Literal["same", "paddlevideo"]
PoolingType = Literal["3d", "2d", "none"]


@dataclass(frozen=True)
class MoViNetOptions:
    """What may vary while the table of layers stays the same (docs/movinet.md).

    Attributes:
        causal: convolutions see no future frames, so the network can run frame by frame.
        conv_type: ``3d``: one 3-D kernel; ``2plus1d`` and ``3d_2plus1d`` (two names of one
            network): a spatial kernel, batch norm and activation, then a temporal kernel.
        se_type: what squeeze-excitation pools over: ``3d`` time and space (running mean when
            causal), ``2d`` space, ``2plus3d`` both side by side, ``none`` no such layer.
        activation, gating_activation: of the convolutions, and of the squeeze-excitation gate.
        use_positional_encoding: add the frame's position to the pooled vector (causal only).
        padding: ``same``: TensorFlow's SAME; ``paddlevideo``: the fixed symmetric padding of
            PaddleVideo's A0 network, whose published weights need it.
        average_pooling_type: what the network ends with: ``3d`` the mean over space and all
            frames seen, ``2d`` the mean over space of each frame, ``none`` maps.
        bn_momentum: weight of the old running statistics.
        stochastic_depth: drop rate of the last layer; it grows linearly from the first.
    """

    causal: bool = False
    conv_type: ConvType = "3d"
    se_type: SEType = "3d"
    activation: str = "swish"
    gating_activation: str = "sigmoid"
    use_positional_encoding: bool = False
    padding: Padding = "same"
    average_pooling_type: PoolingType = "3d"
    bn_momentum: float = 0.99
    bn_epsilon: float = 1e-3
    stochastic_depth: float = 0.0

    def __post_init__(self) -> None:
        activation(self.activation)
        activation(self.gating_activation)
        if self.use_positional_encoding and not self.causal:
            raise ConfigError("use_positional_encoding needs causal: true")
        if self.padding == "paddlevideo" and self.causal:
            raise ConfigError("padding: paddlevideo is PaddleVideo's non-causal network")
        if not 0.0 <= self.stochastic_depth < 1.0:
            raise ConfigError(f"stochastic_depth is {self.stochastic_depth}, expected [0, 1)")

    @property
    def factorised(self) -> bool:
        """Whether a kernel with temporal extent is split into a spatial and a temporal one."""
        return self.conv_type != "3d"

    def block(self, convolution: Convolution, linear: bool = False) -> ConvBlock:
        """The convolution with batch norm and, unless ``linear``, the activation."""
        name = None if linear else self.activation
        return ConvBlock(convolution, name, self.bn_momentum, self.bn_epsilon)
