"""Softmax cross entropy with label smoothing."""

import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.registry import LOSSES
from paddlevideo.utils.errors import ConfigError


@LOSSES.register
class CrossEntropyLoss(nn.Layer):
    """Mean cross entropy; in training the target is ``(1 - e) * onehot + e / num_classes``.

    Args:
        label_smoothing: e, in [0, 1); off in validation.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0.0 <= label_smoothing < 1.0:
            raise ConfigError(f"label_smoothing is {label_smoothing}, expected [0, 1)")
        self.label_smoothing = label_smoothing

    def forward(self, logits_BN: Tensor, label_B: Tensor) -> Tensor:
        """Return the mean loss, computed in float32."""
        logits_BN = logits_BN.astype("float32")
        if not self.training or self.label_smoothing == 0.0:
            return F.cross_entropy(logits_BN, label_B)
        log_probability_BN = F.log_softmax(logits_BN, axis=-1)
        true_B = -log_probability_BN.take_along_axis(label_B.unsqueeze(1), axis=1).squeeze(1)
        uniform_B = -log_probability_BN.mean(axis=-1)
        smoothing = self.label_smoothing
        return ((1.0 - smoothing) * true_B + smoothing * uniform_B).mean()
