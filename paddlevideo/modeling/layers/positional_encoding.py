"""The positional encoding of frames (docs/movinet.md), for clips and streams."""

import numpy as np
import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.layers.deployment import Deployment, StepContext
from paddlevideo.modeling.layers.folding import fixed
from paddlevideo.modeling.layers.initializers import constant
from paddlevideo.modeling.layers.positions import angles, digits_of, rates, rates_of_digits
from paddlevideo.modeling.states import StateExchange, StateSpec


class PositionalEncoding(nn.Layer):
    """Add ``scale * [sines, cosines]`` of the frame's position; ``scale`` starts at 0."""

    def __init__(self, channels: int, state_prefix: str) -> None:
        super().__init__()
        self.count_name = f"{state_prefix}_pos_enc_frame_count"
        self.scale = self.create_parameter([1], attr=constant(0.0))
        self.channels = channels
        digit_rates = paddle.to_tensor(rates_of_digits(channels)[:, None, :, None])
        self.register_buffer("digit_rates", digit_rates, persistable=False)

    def state_specs(self) -> list[StateSpec]:
        """The frame counter [B]."""
        return [StateSpec(self.count_name, (), "int32")]

    def forward(self, y_BCT: Tensor, exchange: StateExchange | None) -> Tensor:
        """Return ``y_BCT`` with the positions of its frames added."""
        num_frames = y_BCT.shape[2]
        position = paddle.arange(num_frames, dtype="int32").reshape([1, 1, -1])
        if exchange is not None:
            count = exchange.take(self.count_name)
            position = position + count.reshape([-1, 1, 1])
            exchange.put(self.count_name, count + paddle.full([1], num_frames, "int32"))
        angle = angles(digits_of(position.astype("float32")), paddle.unbind(self.digit_rates))
        encoding = paddle.concat([paddle.sin(angle), paddle.cos(angle)], axis=1)
        return y_BCT + self.scale * encoding.astype(y_BCT.dtype)

    def deployed(self, deployment: Deployment) -> nn.Layer:
        """The encoding of what `Deployment.by_frame` gives."""
        if deployment.num_frames is None:
            return _StepPositions(self)
        return _ClipPositions(self, deployment.num_frames)


class _ClipPositions(nn.Layer):
    """The constant encoding [1, T, C] of a clip's frames."""

    def __init__(self, encoding: PositionalEncoding, num_frames: int) -> None:
        super().__init__()
        angle = np.arange(num_frames)[:, None] * rates(encoding.channels)
        both = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
        self.encoding = fixed(encoding.scale.numpy() * both[None])

    def forward(self, pooled_BTC: Tensor, _context: None) -> Tensor:
        return pooled_BTC + self.encoding


class _StepPositions(nn.Layer):
    """The encoding of one frame, [B, C, 1, 1]."""

    def __init__(self, encoding: PositionalEncoding) -> None:
        super().__init__()
        low, middle, high = rates_of_digits(encoding.channels)[:, None, :, None, None]
        self.low, self.middle, self.high = fixed(low), fixed(middle), fixed(high)
        self.scale = fixed(encoding.scale.numpy().reshape(1, 1, 1, 1))

    def forward(self, pooled_BC11: Tensor, context: StepContext) -> Tensor:
        angle = angles(context.digits(), (self.low, self.middle, self.high))
        encoding = paddle.concat([paddle.sin(angle), paddle.cos(angle)], axis=1)
        return pooled_BC11 + encoding * self.scale
