"""The answer to a video of several views: the mean of their probabilities."""

import math
from collections.abc import Callable, Sequence

import paddle
import paddle.nn.functional as F
from paddle import Tensor

# From the clips of each input, [B, T, 3, H, W], to logits [B, N].
Answer = Callable[[Sequence[Tensor]], Tensor]

_AXES_OF_CLIPS = 5


def answer_views(answer: Answer, clips: Sequence[Tensor], at_once: int) -> Tensor:
    """Return logits [B, N] of videos of one view or several.

    Of one view they are the model's. Of several, each is the logarithm of the mean over the views
    of its probability: softmax gives that mean, and the cross entropy is its -log.

    Args:
        answer: runs the model.
        clips: of each input [B, T, 3, H, W], or [B, V, T, 3, H, W].
        at_once: clips that the model is given at a time, where there are several views.
    """
    if clips[0].ndim == _AXES_OF_CLIPS:
        return answer(clips).astype("float32")
    batch, views = clips[0].shape[:2]
    flat = [each.reshape([batch * views, *each.shape[2:]]) for each in clips]
    logits = paddle.concat(
        [
            answer([each[start : start + at_once] for each in flat]).astype("float32")
            for start in range(0, batch * views, at_once)
        ]
    )
    return log_mean_softmax(logits.reshape([batch, views, logits.shape[-1]]))


def log_mean_softmax(logits_BVN: Tensor) -> Tensor:
    """Return the logarithm of the mean over V of softmax, float32 [B, N]; finite for finite logits.

    NaN where a logit is not finite.
    """
    log_probabilities = F.log_softmax(logits_BVN.astype("float64"), axis=-1)
    mean = paddle.logsumexp(log_probabilities, axis=1) - math.log(logits_BVN.shape[1])
    return mean.astype("float32")
