"""One frame of a causal MoViNet as a network for deployment: the same answer, fewer operations.

Nothing in it has more than four axes, so that every engine and phone runtime takes it. Batch norm
and rezero are folded into the convolutions' weights and biases; a temporal kernel is one depthwise
1x1 convolution for each past frame, added up; a stream buffer is a queue of single frames, of which
a step gives the newest only. All frame counters of a stream are equal, so it has one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.backbones.movinet.attention import PositionalEncoding, SqueezeExcitation
from paddlevideo.modeling.backbones.movinet.bottleneck import Bottleneck
from paddlevideo.modeling.backbones.movinet.conv import same_padding
from paddlevideo.modeling.backbones.movinet.folded_layers import FoldedConvolution, FoldedShortcut
from paddlevideo.modeling.backbones.movinet.pooling import compensated_sum
from paddlevideo.modeling.backbones.movinet.positions import angles, digits_of, rates_of_digits
from paddlevideo.modeling.layers.activations import activation, as_one_operation
from paddlevideo.modeling.layers.folding import affine_of, dense_as_convolution, fixed
from paddlevideo.modeling.states import QueueSpec
from paddlevideo.utils.errors import ConfigError

if TYPE_CHECKING:
    from paddlevideo.modeling.backbones.movinet.backbone import MoViNet

Size = tuple[int, int]

FRAME_COUNT = QueueSpec("frame_count", 1, (1, 1, 1), "int32")


class StepContext:
    """What the layers share during one step: old states by name, new ones, the frame's number."""

    def __init__(self, old: dict[str, list[Tensor]], count_B111: Tensor) -> None:
        self.old = old
        self.new: dict[str, Tensor] = {}
        self._position = count_B111.astype("float32")
        self._digits: list[Tensor] = []
        # Not 1 / x: Paddle asks for the batch size there, which Paddle2ONNX cannot convert.
        self.inverse_count = paddle.reciprocal(self._position + 1.0)

    def digits(self) -> list[Tensor]:
        """Those of the frame's number, made once."""
        self._digits = self._digits or digits_of(self._position)
        return self._digits

    def add(self, sum_name: str, rest_name: str, frame: Tensor) -> Tensor:
        """Add this frame to a running sum and return it; see `RunningMean`."""
        old_sum, old_rest = self.old[sum_name][0], self.old[rest_name][0]
        self.new[sum_name], self.new[rest_name] = compensated_sum(old_sum, old_rest, frame)
        return self.new[sum_name]


class FoldedFeature(nn.Layer):
    """The depthwise convolution of a bottleneck over this frame and the buffered ones."""

    def __init__(self, block: Bottleneck, size: Size, act: str) -> None:
        super().__init__()
        feature = block.feature
        self._activation = activation(act)
        self.spatial: FoldedConvolution | None = None
        last = feature.spatial
        if feature.temporal is not None:
            self.spatial = FoldedConvolution(feature.spatial.conv, feature.spatial.bn, size)
            last = feature.temporal
        scale, shift = affine_of(last.bn)
        kernel = last.conv.weight.numpy() * scale[:, None, None, None, None]
        self.taps = nn.ParameterList(
            [fixed(kernel[:, :, frame]) for frame in range(kernel.shape[2])]
        )
        self.bias = fixed(shift)
        self.stride = last.conv.stride
        rows = same_padding(size[0], kernel.shape[3], self.stride)
        columns = same_padding(size[1], kernel.shape[4], self.stride)
        self.padding = [0, 0, 0, 0] if feature.temporal is not None else [*rows, *columns]
        self.state_name = feature.state_name

    def forward(self, x_BCHW: Tensor, context: StepContext) -> Tensor:
        """Return [B, C, H_out, W_out]."""
        if self.spatial is not None:
            x_BCHW = self._activation(self.spatial(x_BCHW))
        *past, newest = self.taps
        result = self._convolve(x_BCHW, newest, self.bias)
        if past:
            for tap, frame in zip(past, context.old[self.state_name], strict=True):
                result = result + self._convolve(frame, tap, None)
            context.new[self.state_name] = x_BCHW
        return self._activation(result)

    def _convolve(self, x_BCHW: Tensor, tap: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x_BCHW, tap, bias, self.stride, self.padding, groups=tap.shape[0])


class FoldedAttention(nn.Layer):
    """Squeeze-excitation of one frame, without the gate's constant ``gate_factor``.

    Its two dense layers are 1x1 convolutions.
    """

    def __init__(self, attention: SqueezeExcitation, act: str, gate: str) -> None:
        super().__init__()
        self.se_type = attention.se_type
        over_time = attention.over_time
        self.sum_name = None if over_time is None else over_time.sum_name
        self.rest_name = "" if over_time is None else over_time.rest_name
        self.reduce, self.reduce_bias = dense_as_convolution(attention.reduce)
        self.expand, self.expand_bias = dense_as_convolution(attention.expand)
        self._activation = activation(act)
        self._gate, self.gate_factor = as_one_operation(gate)
        encoding = attention.positional_encoding
        self.positions = None if encoding is None else FoldedPositions(encoding)

    def forward(self, x_BCHW: Tensor, context: StepContext) -> Tensor:
        """Return ``x_BCHW`` times its gate."""
        pooled = F.adaptive_avg_pool2d(x_BCHW, 1)
        if self.sum_name is not None:
            total = context.add(self.sum_name, self.rest_name, pooled)
            over_time = total * context.inverse_count
            both = self.se_type == "2plus3d"
            pooled = paddle.concat([over_time, pooled], axis=1) if both else over_time
        if self.positions is not None:
            pooled = pooled + self.positions(context.digits())
        hidden = self._activation(F.conv2d(pooled, self.reduce, self.reduce_bias))
        return x_BCHW * self._gate(F.conv2d(hidden, self.expand, self.expand_bias))


class FoldedPositions(nn.Layer):
    """The positional encoding of one frame, [B, D, 1, 1]."""

    def __init__(self, encoding: PositionalEncoding) -> None:
        super().__init__()
        low, middle, high = rates_of_digits(encoding.channels)[:, None, :, None, None]
        self.low, self.middle, self.high = fixed(low), fixed(middle), fixed(high)
        self.scale = fixed(encoding.scale.numpy().reshape(1, 1, 1, 1))

    def forward(self, digits_B111: Sequence[Tensor]) -> Tensor:
        """Sines, then cosines."""
        angle = angles(digits_B111, (self.low, self.middle, self.high))
        return paddle.concat([paddle.sin(angle), paddle.cos(angle)], axis=1) * self.scale


class FoldedBottleneck(nn.Layer):
    """One bottleneck on one frame; rezero is part of the projection."""

    def __init__(self, block: Bottleneck, size: Size, act: str, gate: str) -> None:
        super().__init__()
        stride = block.spec.stride
        self.out_size = (-(-size[0] // stride), -(-size[1] // stride))
        self.expand = FoldedConvolution(block.expand.conv, block.expand.bn, size)
        self.feature = FoldedFeature(block, size, act)
        self.attention = (
            None if block.attention is None else FoldedAttention(block.attention, act, gate)
        )
        self.project = FoldedConvolution(
            block.project.conv,
            block.project.bn,
            self.out_size,
            factor=float(block.rezero.scale.numpy()[0]),
            input_factor=1.0 if self.attention is None else self.attention.gate_factor,
        )
        self.shortcut = None if block.shortcut is None else FoldedShortcut(block.shortcut, size)
        self._activation = activation(act)

    def forward(self, x_BCHW: Tensor, context: StepContext) -> Tensor:
        """Return [B, C_out, H_out, W_out]."""
        branch = self.feature(self._activation(self.expand(x_BCHW)), context)
        if self.attention is not None:
            branch = self.attention(branch, context)
        shortcut = x_BCHW if self.shortcut is None else self.shortcut(x_BCHW)
        return self.project(branch) + shortcut


class StepNetwork(nn.Layer):
    """One frame [B, 3, H, W] in [0, 1] and queues of states, to the mean over all frames seen.

    Args:
        backbone: causal, with its weights; they are copied.
        height, width: of the frames.

    Raises:
        ConfigError: the backbone is not causal, or does not average over time.
    """

    def __init__(self, backbone: "MoViNet", height: int, width: int) -> None:
        super().__init__()
        options = backbone.options
        if not options.causal:
            raise ConfigError("only a causal network runs frame by frame; export mode: clip")
        if options.average_pooling_type != "3d":
            raise ConfigError("a step needs the mean over all frames: average_pooling_type: 3d")
        act, gate = options.activation, options.gating_activation
        self._activation = activation(act)
        self.stem = FoldedConvolution(backbone.stem.conv, backbone.stem.bn, (height, width))
        size = (-(-height // 2), -(-width // 2))
        self.queues = [FRAME_COUNT]
        self.blocks = nn.LayerList()
        for block in backbone.blocks.values():
            folded = FoldedBottleneck(block, size, act, gate)
            self.queues += _queues_of(folded, block, size)
            self.blocks.append(folded)
            size = folded.out_size
        self.project = FoldedConvolution(backbone.project.conv, backbone.project.bn, size)
        self.head_sum = QueueSpec(backbone.pool.sum_name, 1, (backbone.out_channels, 1, 1))
        self.head_rest = QueueSpec(backbone.pool.rest_name, 1, (backbone.out_channels, 1, 1))
        self.queues += [self.head_sum, self.head_rest]

    def forward(self, x_BCHW: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return [B, C, 1, 1], and the newest tensor of every queue in the order of ``queues``.

        Args:
            states: of each queue, in order, its tensors from the oldest to the newest.
        """
        old, place = {}, 0
        for queue in self.queues:
            old[queue.name] = list(states[place : place + queue.length])
            place += queue.length
        count = old[FRAME_COUNT.name][0]
        context = StepContext(old, count)
        # A tensor, not a number: Paddle Inference names the two outputs of a sum alike.
        context.new[FRAME_COUNT.name] = count + paddle.full([1, 1, 1, 1], 1, "int32")
        x = self._activation(self.stem(x_BCHW))
        for block in self.blocks:
            x = block(x, context)
        pooled = F.adaptive_avg_pool2d(self._activation(self.project(x)), 1)
        total = context.add(self.head_sum.name, self.head_rest.name, pooled)
        return total * context.inverse_count, [context.new[queue.name] for queue in self.queues]


def _queues_of(folded: FoldedBottleneck, block: Bottleneck, size: Size) -> list[QueueSpec]:
    queues = []
    channels = block.spec.expand_channels
    if block.feature.buffer_frames:
        seen = size if block.feature.temporal is None else folded.out_size
        queues.append(
            QueueSpec(block.feature.state_name, block.feature.buffer_frames, (channels, *seen))
        )
    if folded.attention is not None and folded.attention.sum_name is not None:
        queues.append(QueueSpec(folded.attention.sum_name, 1, (channels, 1, 1)))
        queues.append(QueueSpec(folded.attention.rest_name, 1, (channels, 1, 1)))
    return queues
