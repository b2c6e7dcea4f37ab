"""Softmax cross entropy with label smoothing and class weights."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.losses.class_weights import TakesClassCounts, balanced_weights
from paddlevideo.modeling.registry import LOSSES
from paddlevideo.utils.errors import ConfigError


@LOSSES.register
class CrossEntropyLoss(nn.Layer, TakesClassCounts):
    """Mean over the batch of ``w[label] * cross entropy``.

    In training the target is ``(1 - e) * onehot + e / num_classes``, and w are the class weights;
    in validation e is 0 and w is 1. The sum is divided by the number of clips, not by that of the
    weights: else a batch of one class would not feel its weight, and accumulated batches would not
    add up to one large batch.

    Args:
        label_smoothing: e, in [0, 1).
        class_weights: one number a class; or ``balanced``, N / (C n) for a class of n of the N
            training clips of C classes.
        where: YAML path of the section, for messages.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_weights: Literal["balanced"] | list[float] | None = None,
        where: str = "MODEL.loss",
    ) -> None:
        super().__init__()
        if not 0.0 <= label_smoothing < 1.0:
            raise ConfigError(f"label_smoothing is {label_smoothing}, expected [0, 1)")
        self.label_smoothing = label_smoothing
        self._where = f"{where}.class_weights"
        self._stated = class_weights
        self._weights: Tensor | None = None
        if isinstance(class_weights, list):
            if not class_weights or min(class_weights) < 0.0 or max(class_weights) <= 0.0:
                raise ConfigError(f"{self._where}: expected numbers of 0 and above, not all 0")
            self._weights = _tensor(class_weights)

    def set_class_counts(self, counts: Sequence[int]) -> None:
        """Take the number of training clips of each class; see `TakesClassCounts`."""
        if self._stated == "balanced":
            self._weights = _tensor(balanced_weights(counts))
        elif self._stated is not None and len(self._stated) != len(counts):
            raise ConfigError(
                f"{self._where} has {len(self._stated)} numbers, and the model {len(counts)} "
                "classes; write one for each, or balanced"
            )

    def forward(self, logits_BN: Tensor, label_B: Tensor) -> Tensor:
        """Return the mean loss, computed in float32.

        Raises:
            ConfigError: weights are to be balanced, and nobody has given the counts.
        """
        logits_BN = logits_BN.astype("float32")
        weighted = self._stated is not None
        if not self.training or (self.label_smoothing == 0.0 and not weighted):
            return F.cross_entropy(logits_BN, label_B)
        log_probability_BN = F.log_softmax(logits_BN, axis=-1)
        true_B = -log_probability_BN.take_along_axis(label_B.unsqueeze(1), axis=1).squeeze(1)
        uniform_B = -log_probability_BN.mean(axis=-1)
        smoothing = self.label_smoothing
        loss_B = (1.0 - smoothing) * true_B + smoothing * uniform_B
        if weighted:
            loss_B = loss_B * self._class_weights().astype("float32").gather(label_B)
        return loss_B.mean()

    def _class_weights(self) -> Tensor:
        if self._weights is None:
            raise ConfigError(
                f"{self._where} is balanced, and the counts of the training data are not known; "
                "give them by paddlevideo.modeling.losses.give_class_counts"
            )
        return self._weights


def _tensor(weights: Sequence[float]) -> Tensor:
    return paddle.to_tensor(np.asarray(weights, np.float32))
