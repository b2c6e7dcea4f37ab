"""Where compiled CPU kernels can be used, and how they see a tensor."""

import importlib
import logging
from functools import lru_cache
from types import ModuleType

import numpy as np
import paddle
from paddle import Tensor

logger = logging.getLogger(__name__)


def kernels_for(name: str, *tensors: Tensor) -> ModuleType | None:
    """The module ``name`` of kernels if it can work on all of ``tensors``, else None.

    It works on float32 tensors of the CPU, in eager execution.
    """
    usable = paddle.in_dynamic_mode() and all(
        tensor.place.is_cpu_place() and tensor.dtype == paddle.float32 and tensor.size
        for tensor in tensors
    )
    return _load(name) if usable else None


def needs_gradient(*tensors: Tensor) -> bool:
    """Whether an operation on ``tensors`` is part of a graph of gradients."""
    return paddle.is_grad_enabled() and not all(tensor.stop_gradient for tensor in tensors)


def memory_of(tensor: Tensor) -> np.ndarray:
    """The tensor's own memory as an array (a copy of it where it is not contiguous)."""
    return np.from_dlpack(tensor.detach().contiguous())


@lru_cache(maxsize=8)
def _load(name: str) -> ModuleType | None:
    """The kernels, or None where numba cannot be had (a Python newer than it knows)."""
    try:
        return importlib.import_module(f"paddlevideo.modeling.layers.{name}")
    except ImportError as error:
        logger.warning("%s: Paddle's slower kernel is used: %s", name, error)
        return None
