"""PaddleVideo's names of MoViNet's weights (`MoViNetA0_k400.pdparams` and its own checkpoints)."""

import logging
import re
from collections.abc import Mapping

import numpy as np

from paddlevideo.convert.movinet_pytorch import pytorch_layout_to_ours, pytorch_to_ours

logger = logging.getLogger(__name__)

# PaddleVideo numbers A0's layers through; the port names them by block and layer.
_A0_BLOCKS = [
    f"b{block}_l{layer}"
    for block, num_layers in enumerate((1, 3, 3, 4, 4))
    for layer in range(num_layers)
]
_SIGNATURE = re.compile(r"^(backbone\.)?blocks\.\d+\.(deep|expand|alpha)")

_LAYERS = {"0": "conv3d", "1": "norm"}
_STATISTICS = {"_mean": "running_mean", "_variance": "running_var"}


def is_paddlevideo(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether these are PaddleVideo's names of a MoViNet."""
    return any(_SIGNATURE.match(name) for name in arrays)


def translate_weights(arrays: Mapping[str, np.ndarray], source: str) -> dict[str, np.ndarray]:
    """Return ``arrays`` under our names and layouts; those already ours are passed through.

    A name that is not in PaddleVideo's grammar stays as it is, so that loading reports it.
    """
    if not is_paddlevideo(arrays):
        return dict(arrays)
    logger.info("%s: PaddleVideo's names of %d weights were translated", source, len(arrays))
    there = {name: _pytorch_name(name.removeprefix("backbone.")) for name in arrays}
    table = pytorch_to_ours(there.values())
    translated = {}
    for name, array in arrays.items():
        ours = table.get(there[name])
        translated[ours or name] = pytorch_layout_to_ours(ours, array) if ours else array
    return translated


def _pytorch_name(name: str) -> str:
    """The name of the same weight in the PyTorch port, from which the network was ported.

    PaddleVideo numbers the blocks through, and convolution and batch norm of a block 0 and 1.
    """
    block = re.match(r"blocks\.(\d+)\.(.+)$", name)
    if block and int(block[1]) < len(_A0_BLOCKS):
        name = f"blocks.{_A0_BLOCKS[int(block[1])]}.{block[2]}"
    found = re.match(r"(.+\.conv_[12])\.([01])\.(\w+)$", name)
    if not found:
        return name
    return f"{found[1]}.{_LAYERS[found[2]]}.{_STATISTICS.get(found[3], found[3])}"
