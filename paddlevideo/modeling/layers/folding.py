"""Layers of a trained network as constants of fewer operations, for exported programs."""

import numpy as np
import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.layers.batch_norm import BatchNorm


def affine_of(norm: BatchNorm) -> tuple[np.ndarray, np.ndarray]:
    """Batch norm with its running statistics as a product and a sum, [C] each."""
    scale = norm.weight.numpy() / np.sqrt(norm._variance.numpy() + norm._epsilon)
    return scale, norm.bias.numpy() - norm._mean.numpy() * scale


def dense_as_convolution(layer: nn.Linear) -> tuple[Tensor, Tensor]:
    """A dense layer as kernel [C_out, C_in, 1, 1] and bias [C_out] of a 1x1 convolution."""
    return fixed(layer.weight.numpy().T[:, :, None, None]), fixed(layer.bias.numpy())


def fixed(values: np.ndarray) -> Tensor:
    """A float32 parameter that nothing trains."""
    parameter = paddle.create_parameter(list(values.shape), "float32")
    parameter.set_value(np.ascontiguousarray(values, np.float32))
    parameter.stop_gradient = True
    return parameter
