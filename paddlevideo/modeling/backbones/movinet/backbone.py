"""The MoViNet backbone: stem, bottlenecks, head projection, mean over what was seen.

Paper: Kondratyuk et al., "MoViNets: Mobile Video Networks for Efficient Video Recognition",
arXiv 2103.11511; the network down to its paddings: docs/movinet.md. Axes: B batch, C channels, T
frames, H height, W width.
"""

from collections import OrderedDict
from collections.abc import Iterator

import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.backbones.movinet.bottleneck import Bottleneck
from paddlevideo.modeling.backbones.movinet.deployed import DeployedMoViNet
from paddlevideo.modeling.backbones.movinet.options import (
    ConvType,
    MoViNetOptions,
    Padding,
    PoolingType,
    SEType,
)
from paddlevideo.modeling.backbones.movinet.specs import spec_of
from paddlevideo.modeling.input_spec import InputSpec
from paddlevideo.modeling.interfaces import ClipSize, StreamingBackbone
from paddlevideo.modeling.layers.convolution import Convolution
from paddlevideo.modeling.layers.deployment import Deployment, FoldedStep
from paddlevideo.modeling.layers.input_scaling import InputScaling
from paddlevideo.modeling.layers.padding import Size
from paddlevideo.modeling.layers.recompute import run_with_recompute
from paddlevideo.modeling.layers.rounding import Quantization
from paddlevideo.modeling.layers.running_mean import RunningMean, spatial_mean
from paddlevideo.modeling.registry import BACKBONES
from paddlevideo.modeling.states import StateExchange, StateSpec
from paddlevideo.utils.errors import ConfigError

_OUT_AXES = {"3d": "BC", "2d": "BTC", "none": "BCTHW"}


@BACKBONES.register
class MoViNet(StreamingBackbone):
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
        spec = spec_of(model_type)
        super().__init__(spec.project_channels)
        if padding == "paddlevideo" and model_type.upper() != "A0":
            raise ConfigError(f"padding: paddlevideo exists for A0 only, not {model_type}")
        self.spec, self.model_type = spec, model_type.upper()
        self.recompute = recompute
        self.causal, self.out_axes = causal, _OUT_AXES[average_pooling_type]
        options = self.options = MoViNetOptions(
            causal, conv_type, se_type, activation, gating_activation, use_positional_encoding,
            padding, average_pooling_type, bn_momentum, bn_epsilon, stochastic_depth
        )  # fmt: skip
        fixed_padding = None if padding == "same" else 1
        self.stem = options.block(
            Convolution(3, spec.stem_channels, (1, 3, 3), stride=2, symmetric_padding=fixed_padding)
        )
        layers = list(spec.layers())
        self.blocks = nn.LayerDict(
            {
                layer.name: Bottleneck(layer, options, stochastic_depth * number / len(layers))
                for number, layer in enumerate(layers, start=1)
            }
        )
        self.project = options.block(Convolution(layers[-1].out_channels, self.out_channels))
        self.pool = RunningMean(self.out_channels, "state_head", per_frame=False)

    def stages(self) -> OrderedDict[str, list[nn.Layer]]:
        """The stem and the blocks, in order."""
        stages = OrderedDict(stem=[self.stem])
        for block in self.blocks.values():
            stages.setdefault(f"block{block.spec.block}", []).append(block)
        return stages

    def input_spec(self) -> InputSpec:
        """The clip of the paper's evaluation (docs/movinet.md)."""
        spec = self.spec
        return InputSpec(
            spec.num_frames, spec.size, spec.size, spec.stride_frames, short_side=spec.short_side
        )

    def built_with(self) -> dict[str, object]:
        """Name, variant and options; both names of a factorised convolution are one network."""
        conv_type = "2plus1d" if self.options.factorised else self.options.conv_type
        options = {**vars(self.options), "conv_type": conv_type}
        return {**super().built_with(), "model_type": self.model_type, **options}

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

    def walk(self, size: Size) -> Iterator[tuple[nn.Layer, Size]]:
        """The stem, the bottlenecks and the projection, each with the height and width it gets."""
        yield self.stem, size
        size = self.stem.conv.out_size(size)
        for block in self.blocks.values():
            yield block, size
            size = block.out_size(size)
        yield self.project, size

    def quantize(self, quantization: Quantization, scaling: InputScaling) -> None:
        """As in `Backbone`: every convolution, sum and gate; means over time are not rounded.

        Raises:
            ConfigError: the network runs with `recompute`, or gives no vector for a whole clip.
        """
        if self.recompute:
            raise ConfigError(
                "recompute computes a layer twice, and ranges would move twice: set "
                "MODEL.backbone.recompute: false with QUANTIZE"
            )
        if not self.has_step_network:
            super().quantize(quantization, scaling)
        self.stem.quantize(quantization, scaling)
        for layer in (*self.blocks.values(), self.project):
            layer.quantize(quantization)

    def multiply_adds(self, num_frames: int, height: int, width: int) -> int:
        """Multiply-adds of one clip: of convolutions and dense layers.

        Not counted, as in the published numbers: batch norm, activations, pooling, the product with
        a gate, sums and scalars.
        """
        (stem, size), *blocks, (project, last_size) = self.walk((height, width))
        outer = stem.conv.multiply_adds(size) + project.conv.multiply_adds(last_size)
        inner = sum(block.multiply_adds(num_frames, at) for block, at in blocks)
        return int(num_frames * outer + inner)

    def state_specs(self, height: int, width: int) -> list[StateSpec]:
        """Names, shapes and dtypes of the states of one stream (docs/movinet.md)."""
        if not self.causal:
            return super(StreamingBackbone, self).state_specs(height, width)
        _, *blocks, _ = self.walk((height, width))
        return [s for block, at in blocks for s in block.state_specs(at)] + self.pool.state_specs()

    def clip_network(self, size: ClipSize, scaling: InputScaling) -> nn.Layer | None:
        """The network for clips of one size, if it gives one vector for the whole clip."""
        if self.out_axes != "BC":
            return None
        return DeployedMoViNet(self, Deployment(size[0]), size[1:], scaling)

    def step_network(self, height: int, width: int, scaling: InputScaling) -> nn.Layer:
        """One step as a network of its own: see `StreamingBackbone`."""
        if not self.causal:
            return super().step_network(height, width, scaling)
        if self.out_axes != "BC":
            raise ConfigError("a step needs the mean over all frames: average_pooling_type: 3d")
        network = DeployedMoViNet(self, Deployment(), (height, width), scaling)
        return FoldedStep(network, self.state_specs(height, width))

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
        """The result; without the mean over time the states of the head pass through."""
        if self.out_axes == "BC":
            return self.pool(spatial_mean(x_BCTHW), exchange).squeeze(2)
        if exchange is not None:
            for spec in self.pool.state_specs():
                exchange.put(spec.name, exchange.take(spec.name))
        per_frame = self.out_axes == "BTC"
        return spatial_mean(x_BCTHW).transpose([0, 2, 1]) if per_frame else x_BCTHW
