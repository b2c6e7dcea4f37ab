"""Run a model over a split and add up its metric."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import paddle
from paddle import Tensor, nn

from paddlevideo.loader import ClipLoader
from paddlevideo.metrics import Metric
from paddlevideo.modeling.distributed import all_reduce_sum, is_main
from paddlevideo.tasks.agreement import Agreement
from paddlevideo.tasks.views import Answer, answer_views
from paddlevideo.utils.errors import NonFiniteError
from paddlevideo.utils.progress import track

OnBatch = Callable[[np.ndarray, Mapping[str, Tensor]], None]


def evaluate(
    model: nn.Layer,
    loader: ClipLoader,
    metric: Metric,
    label: str,
    on_batch: OnBatch | None = None,
    answer: Answer | None = None,
    agreement: Agreement | None = None,
) -> dict[str, float]:
    """Return the metric's result over every sample of the split, all processes together.

    The model is in evaluation mode during the call and left in the mode it had. Of a video with
    several views it is given at most ``batch_size`` clips at a time; see `answer_views`.

    Args:
        answer: runs the model on clips; by default its `forward`.
        on_batch: is given the logits and the batch of every step of this process.
        agreement: among the processes of a training, which may end it early.

    Raises:
        Stopped: it is agreed that the training ends; in every process alike.
        NonFiniteError: logits or a value of the result are infinite or NaN; in every process alike.
    """
    was_training = model.training
    model.eval()
    metric.reset()
    inputs = list(model.input_specs())
    run = answer or (lambda clips: model(*clips))
    with paddle.no_grad():
        num_bad = 0
        batches = loader.epoch(0)
        if agreement is not None:
            batches = agreement.until_stopped(batches, loader.most_batches)
        for batch in track(batches, len(loader), label, show=is_main()):
            logits_BN = answer_views(run, [batch[name] for name in inputs], loader.batch_size)
            readable_B = batch["readable"].numpy().astype(bool)
            metric.update(logits_BN, batch["label"].numpy(), readable_B)
            if on_batch is not None:
                on_batch(logits_BN, batch)
            num_bad += int((~np.isfinite(logits_BN).all(axis=1) & readable_B).sum())
    if was_training:
        model.train()
    result = metric.result()
    num_bad_anywhere = int(all_reduce_sum(np.array([num_bad], np.float64))[0])
    if num_bad_anywhere:
        raise NonFiniteError(
            f"{label}: the model's logits are not finite for {num_bad_anywhere} of "
            f"{loader.num_samples} samples; its weights are of no use"
        )
    for name, value in result.items():
        if not math.isfinite(value):
            raise NonFiniteError(f"{label}: the {name} is {value}, which is not finite")
    return result
