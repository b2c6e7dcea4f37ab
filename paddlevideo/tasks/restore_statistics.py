"""Batch norm's running statistics of folded weights, put back before training starts from them."""

import contextlib
import logging
import math
from itertools import islice

from paddle import nn

from paddlevideo.loader import ClipLoader
from paddlevideo.modeling.distributed import world_size
from paddlevideo.modeling.layers.restore_batch_norm import is_folded, restore_batch_norm

logger = logging.getLogger(__name__)

_NUM_CLIPS = 64  # of all processes
_FEWEST_BATCHES = 2


def restore_folded(model: nn.Layer, loader: ClipLoader) -> None:
    """Put running statistics back where the model is a folded one, which the log says.

    They are those of the first clips of training, as its transforms make them: batches of these are
    what training will normalise by.

    Args:
        model: a recognizer, frozen in part or not.
        loader: of the training split.
    """
    if not is_folded(model):
        return
    wanted = math.ceil(_NUM_CLIPS / (loader.batch_size * world_size()))
    num_batches = min(len(loader), max(_FEWEST_BATCHES, wanted))
    with contextlib.closing(loader.epochs(0, 1)) as batches:
        num_norms = restore_batch_norm(model, islice(batches, num_batches))
    logger.info(
        "batch norm: the weights are of a folded network; the mean and variance of %d layers are "
        "put back from %d training clips, and the function stays the same",
        num_norms,
        num_batches * loader.batch_size * world_size(),
    )
