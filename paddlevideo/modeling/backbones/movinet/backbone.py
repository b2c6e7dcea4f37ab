"""The MoViNet backbone: stem, bottlenecks, head projection, mean over what was seen.

Paper: Kondratyuk et al., "MoViNets: Mobile Video Networks for Efficient Video Recognition",
arXiv 2103.11511. Axes: B batch, C channels, T frames, H height, W width.
"""

from collections import OrderedDict

import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.backbones.movinet.bottleneck import Bottleneck
from paddlevideo.modeling.backbones.movinet.clip_network import ClipNetwork
from paddlevideo.modeling.backbones.movinet.conv import ConvBlock, Convolution, pointwise_block
from paddlevideo.modeling.backbones.movinet.multiply_adds import (
    bottleneck_cost,
    convolution_cost,
    output_size,
)
from paddlevideo.modeling.backbones.movinet.options import (
    ConvType,
    MoViNetOptions,
    Padding,
    PoolingType,
    SEType,
)
from paddlevideo.modeling.backbones.movinet.pooling import RunningMean, spatial_mean
from paddlevideo.modeling.backbones.movinet.specs import spec_of
from paddlevideo.modeling.backbones.movinet.step_network import StepNetwork
from paddlevideo.modeling.clip_spec import ClipSpec
from paddlevideo.modeling.layers.recompute import run_with_recompute
from paddlevideo.modeling.registry import BACKBONES
from paddlevideo.modeling.states import StateExchange, StateSpec
from paddlevideo.utils.errors import ConfigError


@BACKBONES.register
class MoViNet(nn.Layer):
    """Clip [B, 3, T, H, W] to one vector per clip, [B, ``out_channels``].

    Other poolings give one vector per frame, or maps: see ``out_axes``.

    Args:
        model_type: A0 to A5, or T0.
        causal, conv_type, se_type, activation, gating_activation: see `MoViNetOptions`, as for
            all others up to ``stochastic_depth``.
        recompute: train with less memory and more time: of each bottleneck only the input is
            kept for the backward pass. Nothing else changes.

    A causal network also runs in steps: `state_specs` says what it keeps between two calls and
    `forward` takes and fills a `StateExchange`.
    """

    def __init__(
        self,
        model_type: str = "A0",
        causal: bool = False,
        conv_type: ConvType = "3d",
        se_type: SEType = "3d",
        activation: str = "swish",
        gating_activation: str = "sigmoid",
        use_positional_encoding: bool = False,
        padding: Padding = "same",
        average_pooling_type: PoolingType = "3d",
        bn_momentum: float = 0.99,
        bn_epsilon: float = 1e-3,
        stochastic_depth: float = 0.0,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        if padding == "paddlevideo" and model_type.upper() != "A0":
            raise ConfigError(f"padding: paddlevideo exists for A0 only, not {model_type}")
        self.model_type = model_type.upper()
        self.spec = spec_of(model_type)
        self.recompute = recompute
        self.options = MoViNetOptions(
            causal=causal,
            conv_type=conv_type,
            se_type=se_type,
            activation=activation,
            gating_activation=gating_activation,
            use_positional_encoding=use_positional_encoding,
            padding=padding,
            average_pooling_type=average_pooling_type,
            bn_momentum=bn_momentum,
            bn_epsilon=bn_epsilon,
            stochastic_depth=stochastic_depth,
        )
        options = self.options
        self.stem = ConvBlock(
            Convolution(
                3,
                self.spec.stem_channels,
                (1, 3, 3),
                stride=2,
                symmetric_padding=None if padding == "same" else 1,
            ),
            options,
            options.activation,
        )
        layers = list(self.spec.layers())
        self.blocks = nn.LayerDict(
            {
                layer.name: Bottleneck(layer, options, stochastic_depth * number / len(layers))
                for number, layer in enumerate(layers, start=1)
            }
        )
        self.project = pointwise_block(
            layers[-1].out_channels, self.spec.project_channels, options, options.activation
        )
        self.pool = RunningMean(self.spec.project_channels, "state_head", per_frame=False)

    @property
    def out_channels(self) -> int:
        """Length of the vector per clip."""
        return self.spec.project_channels

    @property
    def out_axes(self) -> str:
        """Axes of the result: one vector per clip, one per frame, or maps."""
        return {"3d": "BC", "2d": "BTC", "none": "BCTHW"}[self.options.average_pooling_type]

    def stages(self) -> OrderedDict[str, list[nn.Layer]]:
        """The stem and the blocks, in order."""
        stages = OrderedDict(stem=[self.stem])
        for block in self.blocks.values():
            stages.setdefault(f"block{block.spec.block}", []).append(block)
        return stages

    def native_clip(self) -> ClipSpec:
        """The clip of the paper's evaluation (spec section 1.2)."""
        spec = self.spec
        return ClipSpec(
            spec.num_frames, spec.size, spec.size, spec.stride_frames, short_side=spec.short_side
        )

    def multiply_adds(self, num_frames: int, height: int, width: int) -> int:
        """Multiply-adds of one clip (see `multiply_adds.py` for what is counted)."""
        size = (height, width)
        total = num_frames * convolution_cost(self.stem.conv, size)
        size = output_size(self.stem.conv, size)
        for block in self.blocks.values():
            cost, size = bottleneck_cost(block, num_frames, size)
            total += cost
        return total + num_frames * convolution_cost(self.project.conv, size)

    @property
    def receptive_field(self) -> int:
        """How many frames an output of the last convolution sees (pooling sees them all)."""
        return 1 + sum(block.spec.kernel[0] - 1 for block in self.blocks.values())

    @property
    def min_size(self) -> int:
        """Least height and width: fixed padding loses pixels in some layers, SAME in none."""
        if self.options.padding == "same":
            return 1
        layers = [block.feature.spatial.conv for block in self.blocks.values()]
        size = 1
        for conv in (*reversed(layers), self.stem.conv):
            size = max(1, (size - 1) * conv.stride + conv.kernel[1] - 2 * conv.symmetric_padding)
        return size

    @property
    def causal(self) -> bool:
        """Whether the network can run frame by frame."""
        return self.options.causal

    @property
    def has_step_network(self) -> bool:
        """Whether `step_network` exists: one vector for all frames seen, none of the future."""
        return self.causal and self.options.average_pooling_type == "3d"

    def step_network(self, height: int, width: int) -> StepNetwork:
        """One step as a network of its own, for frames of one size; the weights are copied."""
        return StepNetwork(self, height, width)

    @property
    def has_clip_network(self) -> bool:
        """Whether `clip_network` exists: one vector for the whole clip."""
        return self.options.average_pooling_type == "3d"

    def clip_network(self, num_frames: int, height: int, width: int) -> ClipNetwork:
        """The network for clips of one size, folded to be exported; the weights are copied."""
        return ClipNetwork(self, num_frames, height, width)

    def forward(
        self,
        x_BCTHW: Tensor,
        exchange: StateExchange | None = None,
        endpoints: OrderedDict[str, Tensor] | None = None,
    ) -> Tensor:
        """Return [B, ``out_channels``], the mean over all frames seen; or as ``out_axes`` says.

        Args:
            exchange: states of the streams to go on with; None starts and ends with this clip.
            endpoints: filled with the output of the stem, of each layer and of the head.
        """
        x = self.stem(x_BCTHW)
        if endpoints is not None:
            endpoints["stem"] = x
        for name, block in self.blocks.items():
            if self.recompute and exchange is None and block.training and paddle.is_grad_enabled():
                x = run_with_recompute(block, x)
            else:
                x = block(x, exchange)
            if endpoints is not None:
                endpoints[name] = x
        x = self._pooled(self.project(x), exchange)
        if endpoints is not None:
            endpoints["head"] = x
        return x

    def _pooled(self, x_BCTHW: Tensor, exchange: StateExchange | None) -> Tensor:
        """The result; without the mean over time the states of the head pass through (2.13)."""
        kind = self.options.average_pooling_type
        if kind == "3d":
            return self.pool(spatial_mean(x_BCTHW), exchange).squeeze(2)
        if exchange is not None:
            for spec in self.pool.state_specs():
                exchange.put(spec.name, exchange.take(spec.name))
        return spatial_mean(x_BCTHW).transpose([0, 2, 1]) if kind == "2d" else x_BCTHW

    def state_specs(self, height: int, width: int) -> list[StateSpec]:
        """Names, shapes and dtypes of the states of one stream (spec section 2.13)."""
        if not self.causal:
            raise ConfigError("only a causal network has states; set backbone.causal: true")
        size = (-(-height // 2), -(-width // 2))
        specs = []
        for block in self.blocks.values():
            stride = block.spec.stride
            out_size = (-(-size[0] // stride), -(-size[1] // stride))
            specs += block.state_specs(size, out_size)
            size = out_size
        return specs + self.pool.state_specs()
