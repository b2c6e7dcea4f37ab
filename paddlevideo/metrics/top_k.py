"""Top-k accuracy and mean cross entropy as sums over samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from paddle import Tensor

from paddlevideo.modeling.distributed import all_reduce_sum
from paddlevideo.utils.errors import ArgumentError, ConfigError
from paddlevideo.utils.registry import Registry

METRICS: Registry[Any] = Registry("metric")


@METRICS.register_as("TopKAccuracy", "CenterCropMetric")
class TopKAccuracy:
    """Share of samples whose label is among the k largest logits.

    ``loss`` is the mean cross entropy of the readable samples. All are sums over samples, so
    neither the batch size, a short last batch nor the number of processes changes the result. A
    sample that could not be read counts as wrong. Ties are broken against the label, so equal
    logits (a collapsed model) are not counted as right. A k above the number of classes counts
    every readable sample.

    Args:
        topk: the values of k.

    Attributes:
        headline: the key of the result by which models are compared, more being better: that of
            the smallest k.
    """

    def __init__(self, topk: tuple[int, ...] = (1, 5)) -> None:
        if not topk or min(topk) < 1:
            raise ArgumentError(f"topk is {topk}, expected numbers above 0")
        if len(set(topk)) < len(topk):
            raise ArgumentError(f"topk is {topk}, which names a k twice")
        self.topk = topk
        self.headline = f"top{min(topk)}"
        self.reset()

    @staticmethod
    def is_better(value: float, best: float) -> bool:
        """Whether one headline value is better than another."""
        return value > best

    def check_classes(self, num_classes: int) -> None:
        """Raise `ConfigError` if the headline would count every answer as right."""
        least = min(self.topk)
        if least > 1 and least >= num_classes:
            raise ConfigError(
                f"METRIC.topk: its smallest k is {least}, and the model has {num_classes} "
                "classes: every answer would be right; add a smaller k, such as 1"
            )

    def batch_sums(self, logits_BN: Tensor, label_B: Tensor) -> dict[str, Tensor]:
        """Right answers of a batch, on the device; a row that is not finite is wrong."""
        own_B1 = logits_BN.take_along_axis(label_B.reshape([-1, 1]), axis=1)
        rank_B = (logits_BN >= own_B1).astype("float32").sum(axis=1) - 1.0
        finite_B = paddle.isfinite(logits_BN).all(axis=1)
        return {f"top{k}": ((rank_B < k) & finite_B).astype("float32").sum() for k in self.topk}

    def summary(self, result: Mapping[str, float]) -> str:
        """The accuracies of `compute`, as PaddleVideo's last line of a test has them."""
        return ", ".join(f"avg_acc{k}= {result[f'top{k}']:.5f}" for k in self.topk)

    def reset(self) -> None:
        """Forget all samples."""
        self._correct: np.ndarray = np.zeros(len(self.topk), np.float64)
        self._loss = 0.0
        self._readable = 0
        self._samples = 0

    def update(
        self,
        logits_BN: np.ndarray,
        label_B: np.ndarray,
        readable_B: np.ndarray | None = None,
    ) -> None:
        """Add one batch.

        Args:
            readable_B: False where the sample could not be read.
        """
        readable: np.ndarray = (
            np.ones(len(label_B), bool) if readable_B is None else readable_B.astype(bool)
        )
        labels = label_B.reshape(-1)
        own = np.take_along_axis(logits_BN, labels[:, None], axis=1)
        rank = (logits_BN >= own).sum(axis=1) - 1
        finite = np.isfinite(logits_BN).all(axis=1)
        for index, k in enumerate(self.topk):
            self._correct[index] += ((rank < k) & finite & readable).sum()
        self._samples += len(labels)
        self._readable += int(readable.sum())
        self._loss += _cross_entropy(logits_BN, own[:, 0])[readable].sum()

    def compute(self) -> dict[str, float]:
        """Return ``top1`` ..., ``loss``, ``samples`` and ``unreadable``, over all processes."""
        local = [*self._correct, self._loss, self._readable, self._samples]
        *correct, loss, readable, samples = all_reduce_sum(np.asarray(local, np.float64))
        result = {f"top{k}": c / max(samples, 1) for k, c in zip(self.topk, correct, strict=True)}
        result["loss"] = loss / max(readable, 1)
        result["samples"] = int(samples)
        result["unreadable"] = int(samples - readable)
        return {key: float(v) if isinstance(v, np.floating) else v for key, v in result.items()}


def _cross_entropy(logits_BN: np.ndarray, own_B: np.ndarray) -> np.ndarray:
    """``log(sum(exp(logits))) - own`` per sample, in float64."""
    logits: np.ndarray = logits_BN.astype(np.float64)
    largest = logits.max(axis=1)
    log_sum = np.log(np.exp(logits - largest[:, None]).sum(axis=1)) + largest
    return np.nan_to_num(log_sum - own_B, nan=np.inf, posinf=np.inf)
