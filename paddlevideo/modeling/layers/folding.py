"""Layers of a trained network as constants of fewer operations, for exported programs."""

import numpy as np
import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.layers.batch_norm import BatchNorm
from paddlevideo.modeling.layers.input_scaling import InputScaling


def affine_of(norm: BatchNorm) -> tuple[np.ndarray, np.ndarray]:
    """Batch norm with its running statistics as a product and a sum, [C] each."""
    scale = norm.weight.numpy() / np.sqrt(norm._variance.numpy() + norm._epsilon)
    return scale, norm.bias.numpy() - norm._mean.numpy() * scale


def dense_as_convolution(layer: nn.Linear) -> tuple[Tensor, Tensor]:
    """A dense layer as kernel [C_out, C_in, 1, 1] and bias [C_out] of a 1x1 convolution."""
    return fixed(layer.weight.numpy().T[:, :, None, None]), fixed(layer.bias.numpy())


def fold_scaling(scaling: InputScaling, kernel: Tensor) -> Tensor | None:
    """Let a first convolution take pixels [N, 3, H, W] as they are; its ``kernel`` is changed.

    A factor of the pixels is one of the kernel's; an offset is not, as the zeros around a frame
    have none.

    Returns:
        What is to be added to the pixels, [1, 3, 1, 1]; None for nothing.
    """
    factor = scaling.factor.numpy().reshape(1, 3, 1, 1)
    offset = scaling.offset.numpy().reshape(1, 3, 1, 1)
    kernel.set_value(kernel.numpy() * factor)
    return fixed(offset / factor) if np.any(offset != 0.0) else None


def fixed(values: np.ndarray) -> Tensor:
    """A float32 parameter that nothing trains."""
    parameter = paddle.create_parameter(list(values.shape), "float32")
    parameter.set_value(np.ascontiguousarray(values, np.float32))
    parameter.stop_gradient = True
    return parameter
