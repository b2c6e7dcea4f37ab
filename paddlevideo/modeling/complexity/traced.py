"""Multiply-adds of any network, from the shapes of its traced program. Nothing is computed."""

import math
from collections.abc import Sequence
from typing import Any

import paddle
from paddle import Tensor, nn

_CONVOLUTIONS = ("conv2d", "conv3d", "depthwise_conv2d")
_TRANSPOSED = ("conv2d_transpose", "conv3d_transpose", "depthwise_conv2d_transpose")


class _Program(nn.Layer):
    """A layer as it is: without `not_to_static` Paddle would rewrite its source first."""

    def __init__(self, layer: nn.Layer) -> None:
        super().__init__()
        self.layer = layer

    @paddle.jit.not_to_static
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def traced_multiply_adds(layer: nn.Layer, shape: Sequence[int], dtype: str = "float32") -> int:
    """Multiply-adds of ``layer`` on one input of ``shape``, in evaluation mode.

    Counted: convolutions and matrix products, by the shapes that Paddle infers. The layer keeps
    the mode it had. Takes some 10 ms a layer of the network, whatever the shape.
    """
    was_training = layer.training
    layer.eval()
    spec = paddle.static.InputSpec(list(shape), dtype, "x")
    try:
        traced = paddle.jit.to_static(_Program(layer), input_spec=[spec], full_graph=True)
        program = traced.forward.concrete_program.main_program
    finally:
        if was_training:
            layer.train()
    return sum(_cost(operation) for operation in program.global_block().ops)


def _cost(operation: Any) -> int:
    """Multiply-adds of one operation of a program; 0 for a kind that is not counted."""
    kind = operation.name().removeprefix("pd_op.")
    if kind in _CONVOLUTIONS:  # kernel [out, in / groups, ...]: each output sees one row of it
        return _size(operation.result(0)) * math.prod(operation.operand_source(1).shape[1:])
    if kind in _TRANSPOSED:  # kernel [in, out / groups, ...]: each input is spread by one row
        return _size(operation.operand_source(0)) * math.prod(operation.operand_source(1).shape[1:])
    if kind in ("matmul", "bmm"):
        shape = operation.operand_source(0).shape
        transposed = kind == "matmul" and operation.attrs()["transpose_x"]
        return _size(operation.result(0)) * shape[-2 if transposed and len(shape) > 1 else -1]
    return 0


def _size(value: Any) -> int:
    return math.prod(value.shape)
