"""Batch normalisation and the activation after it, in one operation where that can be had."""

from types import ModuleType
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn
from paddle.autograd import PyLayer

from paddlevideo.modeling.distributed import world_size
from paddlevideo.modeling.layers.activations import activation
from paddlevideo.modeling.layers.compiled import kernels_for, memory_of, needs_gradient
from paddlevideo.modeling.layers.synchronised_norm import SynchronisedNorm
from paddlevideo.utils.cpu_threads import CPU_THREADS

_COMPILED = ("identity", "swish", "hard_swish")


class BatchNorm(nn.BatchNorm3D):
    """Batch norm over [B, C, T, H, W], then an activation.

    Normalises with the biased batch variance and keeps the *unbiased* one as running variance,
    as TensorFlow's fused kernel and cuDNN do; Paddle's CPU kernel keeps the biased one
    (docs/movinet.md). ``momentum`` is the weight of the old value.

    Args:
        activation_name: of `activations`.

    Attributes:
        synchronised: whether training normalises by the batches of all processes.
    """

    synchronised: bool = False

    def __init__(
        self,
        num_channels: int,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        activation_name: str = "identity",
    ) -> None:
        super().__init__(num_channels, momentum=momentum, epsilon=epsilon)
        self.activation_name = activation_name
        self._activation = activation(activation_name)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Normalise and activate; in training also update the running statistics."""
        if self.synchronised and self.training and world_size() > 1:
            return self._activation(self._normalise_together(x_BCTHW))
        if self.activation_name in _COMPILED:
            kernels = kernels_for("batch_norm_kernels", x_BCTHW, self.weight)
            # Paddle does not normalise a single value: it has no variance.
            if kernels is not None and not (self.training and _num_values(x_BCTHW) == 1):
                if needs_gradient(x_BCTHW, self.weight, self.bias):
                    return _CompiledNorm.apply(x_BCTHW, self.weight, self.bias, self, kernels)
                return _Affine(x_BCTHW, self, kernels).apply(x_BCTHW)
        if not self.training or not x_BCTHW.place.is_cpu_place():
            return self._activation(self._normalise(x_BCTHW))
        old_share = self._variance * self._momentum
        y_BCTHW = self._normalise(x_BCTHW)
        num_values = _num_values(x_BCTHW)
        if num_values > 1:
            with paddle.no_grad():
                batch_share = self._variance - old_share
                self._variance.set_value(self._variance + batch_share / (num_values - 1))
        return self._activation(y_BCTHW)

    def affine(self, x_BCTHW: Tensor) -> Tensor:
        """Normalise by the running statistics and leave the activation out."""
        self.eval()
        return self._normalise(x_BCTHW)

    def activate(self, x_BCTHW: Tensor) -> Tensor:
        """The activation alone."""
        return self._activation(x_BCTHW)

    def moments(self, x_BCN: np.ndarray, kernels: ModuleType) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance [C] to normalise with; in training those of the batch, remembered."""
        running_mean, running_variance = memory_of(self._mean), memory_of(self._variance)
        if not self.training:
            return running_mean.copy(), running_variance.copy()
        batch, channels, size = x_BCN.shape
        mean, variance = np.empty(channels, np.float32), np.empty(channels, np.float32)

        def work(first: int, last: int) -> None:
            kernels.moments(x_BCN, mean, variance, first, last)

        CPU_THREADS.share_out(channels, work)
        new_share = 1.0 - self._momentum
        unbiased = variance * (batch * size / (batch * size - 1))
        for running, value in ((running_mean, mean), (running_variance, unbiased)):
            running *= self._momentum
            running += np.float32(new_share) * value
        return mean, variance

    def _normalise_together(self, x_BCTHW: Tensor) -> Tensor:
        """Normalise by the statistics of all processes, which become running ones."""
        x_BCN = x_BCTHW.flatten(2)
        y_BCN, mean_C, variance_C, total = SynchronisedNorm.apply(
            x_BCN, self.weight, self.bias, self._epsilon
        )
        with paddle.no_grad():
            unbiased_C = variance_C * (total / paddle.clip(total - 1.0, min=1.0)).astype("float32")
            for running, value in ((self._mean, mean_C), (self._variance, unbiased_C)):
                running.set_value(self._momentum * running + (1.0 - self._momentum) * value)
        return y_BCN.reshape(x_BCTHW.shape)

    def _normalise(self, x_BCTHW: Tensor) -> Tensor:
        """The base class's forward, without its warning at every first training step."""
        return F.batch_norm(
            x_BCTHW,
            self._mean,
            self._variance,
            weight=self.weight,
            bias=self.bias,
            training=self.training,
            momentum=self._momentum,
            epsilon=self._epsilon,
            data_format=self._data_format,
        )


class _Affine:
    """What batch norm does to a batch: a product and a sum for every channel, then an activation.

    Attributes:
        constants: scale, shift, mean and 1 / deviation, [C] each.
    """

    def __init__(self, x: Tensor, layer: BatchNorm, kernels: ModuleType) -> None:
        mean, variance = layer.moments(_flat(x), kernels)
        inverse = 1.0 / np.sqrt(variance + np.float32(layer._epsilon))
        scale = memory_of(layer.weight) * inverse
        self.constants = (scale, memory_of(layer.bias) - mean * scale, mean, inverse)
        self.kind = kernels.KINDS[layer.activation_name]
        self.of_batch = layer.training
        self.kernels = kernels

    def apply(self, x: Tensor) -> Tensor:
        """Return the normalised and activated batch."""
        y = paddle.empty(x.shape, "float32")
        x_BCN, y_BCN = _flat(x), _flat(y)
        scale, shift, *_ = self.constants

        def work(first: int, last: int) -> None:
            self.kernels.forward(x_BCN, scale, shift, y_BCN, self.kind, first, last)

        CPU_THREADS.share_out(x.shape[1], work)
        return y


class _CompiledNorm(PyLayer):
    """Batch norm and activation as one differentiable operation that keeps only its input."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, _beta: Tensor, layer: BatchNorm, kernels: ModuleType
    ) -> Tensor:
        """Normalise and activate; in training also update the layer's running statistics."""
        ctx.save_for_backward(x, gamma)
        ctx.affine = _Affine(x, layer, kernels)
        return ctx.affine.apply(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of input, gamma and beta."""
        x, gamma = ctx.saved_tensor()
        affine = ctx.affine
        gx, ggamma, gbeta = (paddle.empty_like(like) for like in (x, gamma, gamma))
        arrays = (
            _flat(x),
            *affine.constants,
            _flat(gradient),
            _flat(gx),
            memory_of(ggamma),
            memory_of(gbeta),
        )

        def work(first: int, last: int) -> None:
            affine.kernels.backward(*arrays, affine.kind, affine.of_batch, first, last)

        CPU_THREADS.share_out(x.shape[1], work)
        return gx, ggamma, gbeta


def _num_values(x_BCTHW: Tensor) -> int:
    """Values that one mean is taken over."""
    return int(x_BCTHW.size // x_BCTHW.shape[1])


def _flat(tensor: Tensor) -> np.ndarray:
    """The tensor's memory as [B, C, N]."""
    return memory_of(tensor).reshape(tensor.shape[0], tensor.shape[1], -1)
