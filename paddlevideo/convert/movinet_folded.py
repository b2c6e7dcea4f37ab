"""Folded layers as weights of ours: batch norms that only add a bias."""

from collections.abc import Iterator

import numpy as np

# Of the batch norms that take the folded ones' place: the default, here and in TensorFlow.
FOLDED_EPSILON = 1e-3


def convolution(
    prefix: str, kernel: np.ndarray, bias: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """A kernel [C_out, C_in, T, H, W] and the batch norm that only adds ``bias``."""
    ones = np.ones_like(bias)
    yield f"{prefix}.conv.weight", np.ascontiguousarray(kernel)
    yield f"{prefix}.bn.weight", ones * np.float32(np.sqrt(1.0 + FOLDED_EPSILON))
    yield f"{prefix}.bn.bias", bias
    yield f"{prefix}.bn._mean", np.zeros_like(bias)
    yield f"{prefix}.bn._variance", ones


def dense(prefix: str, kernel: np.ndarray, bias: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """A dense layer from a kernel [C_out, C_in]."""
    yield f"{prefix}.weight", np.ascontiguousarray(kernel.T)
    yield f"{prefix}.bias", bias
