"""Run a model over a split and add up its metric."""

from typing import Any

import paddle
from paddle import nn

from paddlevideo.loader import ClipLoader
from paddlevideo.utils.distributed import is_main
from paddlevideo.utils.progress import track


def evaluate(model: nn.Layer, loader: ClipLoader, metric: Any, label: str) -> dict[str, float]:
    """Return the metric's result over every sample of the split, all processes together.

    The model is in evaluation mode during the call and left in the mode it had.
    """
    was_training = model.training
    model.eval()
    metric.reset()
    inputs = list(model.input_specs())
    with paddle.no_grad():
        batches = loader.epoch(0)
        for batch in track(batches, len(loader), label, show=is_main()):
            logits = model(*(batch[name] for name in inputs)).astype("float32")
            metric.update(logits.numpy(), batch["label"].numpy(), batch["readable"].numpy())
    if was_training:
        model.train()
    return metric.compute()
