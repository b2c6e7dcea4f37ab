"""What a metric is, and the registry of all."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from paddle import Tensor

from paddlevideo.utils.registry import Registry


class Metric(ABC):
    """Adds up batches of a split and says how good the model is; keeps sums over samples.

    Attributes:
        more_is_better: whether a greater headline is the better one.
    """

    more_is_better: bool = True

    @property
    @abstractmethod
    def headline(self) -> str:
        """The key of `result` by which models are compared."""

    @abstractmethod
    def reset(self) -> None:
        """Forget all samples."""

    @abstractmethod
    def update(
        self, logits_BN: np.ndarray, label_B: np.ndarray, readable_B: np.ndarray | None = None
    ) -> None:
        """Add one batch.

        Args:
            logits_BN: of the model, float [B, N].
            label_B: classes, int64 [B].
            readable_B: False where the sample could not be read; None: all could.
        """

    @abstractmethod
    def result(self) -> dict[str, float]:
        """Return the values of all samples so far, over all processes, the headline among them."""

    def batch_sums(self, logits_BN: Tensor, label_B: Tensor) -> dict[str, Tensor]:
        """Return sums over a training batch, on the device, for the log; by default none."""
        return {}

    def summary(self, result: Mapping[str, float]) -> Sequence[str]:
        """Return the lines that end a test."""
        return [", ".join(f"{name}= {value:.5f}" for name, value in result.items())]

    def is_better(self, result: Mapping[str, float], best: Mapping[str, float]) -> bool:
        """Whether a result is better than the best so far; one that is empty is worse than any."""
        if self.headline not in best:
            return True
        new, old = result[self.headline], best[self.headline]
        return new > old if self.more_is_better else new < old

    def check_classes(self, num_classes: int) -> None:
        """Raise `ConfigError` if the metric says nothing for so many classes; by default never."""
        return


METRICS: Registry[Metric] = Registry("metric", Metric)
