"""PaddleVideo's names of MoViNet's weights (`MoViNetA0_k400.pdparams` and its own checkpoints)."""

import logging
import re
from collections.abc import Mapping

import numpy as np

logger = logging.getLogger(__name__)

# PaddleVideo numbers A0's layers through; ours are named by block and layer.
_A0_BLOCK_NAMES = [
    f"block{block}_layer{layer}"
    for block, num_layers in enumerate((1, 3, 3, 4, 4))
    for layer in range(num_layers)
]
_SIGNATURE = re.compile(r"^(backbone\.)?blocks\.\d+\.(deep|expand|alpha)")

_OUTER = {
    "conv1": "backbone.stem",
    "conv7": "backbone.project",
    "classifier.0": "head.dense",
    "classifier.3": "head.classifier",
}
_INNER = {
    "expand": "expand",
    "deep": "feature.spatial",
    "se.fc1": "attention.reduce",
    "se.fc2": "attention.expand",
    "project": "project",
    "res.1": "shortcut.project",
    "res.0": "shortcut.project",
}
_DENSE = re.compile(r"(^head\.(dense|classifier)|\.attention\.(reduce|expand))$")


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
    translated = {}
    for name, array in arrays.items():
        ours = _our_name(name.removeprefix("backbone."))
        translated[ours or name] = _our_layout(ours, array) if ours else array
    return translated


def _our_name(name: str) -> str | None:
    """Our name of PaddleVideo's ``name``, or None where it has no place here."""
    block = re.match(r"blocks\.(\d+)\.(.+)$", name)
    if block and int(block[1]) < len(_A0_BLOCK_NAMES):
        prefix = f"backbone.blocks.{_A0_BLOCK_NAMES[int(block[1])]}."
        if block[2] == "alpha":
            return f"{prefix}rezero.scale"
        return _conv_name(block[2], _INNER, prefix)
    return _conv_name(name, _OUTER, "")


def _conv_name(rest: str, parts: Mapping[str, str], prefix: str) -> str | None:
    found = re.match(r"(.+)\.conv_([12])\.([01])\.(\w+)$", rest)
    if not found or found[1] not in parts:
        return None
    part = prefix + parts[found[1]]
    if found[2] == "2":  # the temporal half of a (2+1)D convolution
        part = part.replace("feature.spatial", "feature.temporal")
    if _DENSE.search(part):
        return f"{part}.{found[4]}"
    return f"{part}.{'conv' if found[3] == '0' else 'bn'}.{found[4]}"


def _our_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Dense layers are [in, out] here; (2+1)D kernels have five axes."""
    part, _, kind = name.rpartition(".")
    if kind == "weight" and _DENSE.search(part):
        return array.reshape(array.shape[:2]).T
    if kind == "weight" and part.endswith(".conv") and array.ndim == 4:
        temporal = part.endswith("feature.temporal.conv")
        return array[..., None] if temporal else array[:, :, None]
    return array
