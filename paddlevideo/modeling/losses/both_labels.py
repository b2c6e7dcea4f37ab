"""The loss of a batch whose clips are mixed: that of both labels, by their shares."""

from collections.abc import Callable, Mapping

from paddle import Tensor

from paddlevideo.utils.label_names import LABEL, MIX_WEIGHT, MIXED_LABEL


def loss_of_labels(
    criterion: Callable[[Tensor, Tensor], Tensor], logits_BN: Tensor, batch: Mapping[str, Tensor]
) -> Tensor:
    """Return ``w * criterion(label) + (1 - w) * criterion(mixed_label)`` of a mixed batch.

    Of one that is not mixed: ``criterion(label)``.

    Args:
        criterion: logits [B, num_classes] and labels [B] to a mean over the batch.
        batch: ``label`` and, if it is mixed, ``mixed_label`` and ``mix_weight`` (w).
    """
    loss = criterion(logits_BN, batch[LABEL])
    if MIXED_LABEL not in batch:
        return loss
    weight = batch[MIX_WEIGHT]
    return weight * loss + (1.0 - weight) * criterion(logits_BN, batch[MIXED_LABEL])
