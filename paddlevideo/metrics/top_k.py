"""Top-k accuracy and mean cross entropy as sums over samples."""

from typing import Any

import numpy as np

from paddlevideo.utils.distributed import all_reduce_sum
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
    """

    def __init__(self, topk: tuple[int, ...] = (1, 5)) -> None:
        if not topk or min(topk) < 1:
            raise ValueError(f"topk is {topk}, expected numbers above 0")
        self.topk = topk
        self.reset()

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
        for place, k in enumerate(self.topk):
            self._correct[place] += ((rank < k) & finite & readable).sum()
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
