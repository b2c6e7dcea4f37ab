"""The answer to a video of several views: the mean of their probabilities."""

from collections.abc import Callable, Sequence

import numpy as np
from paddle import Tensor

# From the clips of each input, [B, T, 3, H, W], to logits [B, N].
Answer = Callable[[Sequence[Tensor]], Tensor]

_AXES_OF_CLIPS = 5


def answer_views(answer: Answer, clips: Sequence[Tensor], at_once: int) -> np.ndarray:
    """Return logits, float32 [B, N], of videos of one view or several.

    Of one view they are the model's. Of several, each is the logarithm of the mean over the views
    of its probability: softmax gives that mean, and the cross entropy is its -log.

    Args:
        answer: runs the model.
        clips: of each input [B, T, 3, H, W], or [B, V, T, 3, H, W].
        at_once: clips that the model is given at a time, where there are several views.
    """
    if clips[0].ndim == _AXES_OF_CLIPS:
        return _array(answer(clips))
    batch, views = clips[0].shape[:2]
    flat = [each.reshape([batch * views, *each.shape[2:]]) for each in clips]
    starts = range(0, batch * views, at_once)
    logits = [_array(answer([each[at : at + at_once] for each in flat])) for at in starts]
    return log_mean_softmax(np.concatenate(logits).reshape(batch, views, -1))


def _array(logits: Tensor) -> np.ndarray:
    array: np.ndarray = logits.astype("float32").numpy()
    return array


def log_mean_softmax(logits_BVN: np.ndarray) -> np.ndarray:
    """Return the logarithm of the mean over V of softmax, float32 [B, N]; finite for finite logits.

    NaN where a logit is not finite.
    """
    logits: np.ndarray = logits_BVN.astype(np.float64)  # Paddle's log_softmax ends at -64
    with np.errstate(invalid="ignore"):  # inf - inf
        log_probabilities = logits - _log_sum_exp(logits, axis=2)
    mean = _log_sum_exp(log_probabilities, axis=1)[:, 0] - np.log(logits.shape[1])
    return mean.astype(np.float32)


def _log_sum_exp(values: np.ndarray, axis: int) -> np.ndarray:
    """The logarithm of the sum of exponentials; the axis stays, with length 1."""
    largest = values.max(axis=axis, keepdims=True)
    with np.errstate(invalid="ignore"):
        return largest + np.log(np.exp(values - largest).sum(axis=axis, keepdims=True))
