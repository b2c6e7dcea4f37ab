"""Batch norm over the batches of all processes (config key ``sync_batch_norm``)."""

import logging

from paddle import nn

from paddlevideo.modeling.distributed import world_size
from paddlevideo.modeling.layers.batch_norm import BatchNorm
from paddlevideo.utils.errors import ConfigError

logger = logging.getLogger(__name__)


def synchronise_batch_norm(model: nn.Layer) -> None:
    """Have the model's batch norms normalise by the batches of all processes in training.

    On a CPU (Gloo) and on a GPU (NCCL) alike. In one process it changes nothing, and the log says
    so: the same config serves one and several.

    Raises:
        ConfigError: the model has no batch norm, or one of a kind that cannot.
    """
    norms = [
        (name, layer)
        for name, layer in model.named_sublayers(include_self=True)
        if isinstance(layer, nn.layer.norm._BatchNormBase)
    ]
    if not norms:
        raise ConfigError("sync_batch_norm has no effect: the model has no batch norm; remove it")
    for name, layer in norms:
        if not isinstance(layer, BatchNorm):
            raise ConfigError(
                f"sync_batch_norm: {name} is a {type(layer).__name__}, which cannot; the model "
                "needs paddlevideo.modeling.layers.batch_norm.BatchNorm there"
            )
        layer.synchronised = True
    if world_size() == 1:
        logger.info("sync_batch_norm: one process, whose batches are all there are")
