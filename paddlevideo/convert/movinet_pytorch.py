"""Names and layouts of the PyTorch port of MoViNet (Atze00/MoViNet-pytorch).

PaddleVideo's network was ported from it: `paddlevideo.convert` brings its names to this grammar.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from paddlevideo.convert.imported import ImportedWeights, sort_out
from paddlevideo.convert.movinet_names import block_names, is_dense_kernel
from paddlevideo.convert.torch_file import read_torch_file
from paddlevideo.utils.errors import WeightsError

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
    "res.1": "shortcut.project",  # res.0 is the pooling, where there is one
    "res.0": "shortcut.project",
}
_BATCH_NORM = {
    "weight": "weight",
    "bias": "bias",
    "running_mean": "_mean",
    "running_var": "_variance",
}
_BLOCK = re.compile(r"blocks\.b(\d+)_l(\d+)\.(.+)$")
_PART = re.compile(r"(.+?)\.conv_([12])\.(conv[23]d|norm)\.(\w+)$")
# The port's first releases wrapped convolutions otherwise: name there -> name today.
_OLD_NAMES = (
    (re.compile(r"\.2plus1s\.conv_"), ".conv_"),
    (re.compile(r"(?<!\.conv_[12])\.(conv3d|norm)\.(\w+)$"), r".conv_1.\1.\2"),
    (re.compile(r"(se\.fc[12]|^classifier\.[03])\.(weight|bias)$"), r"\1.conv_1.conv3d.\2"),
)
_DENSE = ("head.dense", "head.classifier", ".attention.reduce", ".attention.expand")
_WRAPPER = "module."  # of torch.nn.DataParallel
_STATE_DICT = "state_dict"  # the usual entry of a training checkpoint


def pytorch_to_ours(name: str) -> str | None:
    """Our name of the port's weight ``name``, or None where it has no place here."""
    for old, new in _OLD_NAMES:
        name = old.sub(new, name)
    block = _BLOCK.match(name)
    if block is None:
        return _part_name(name, _OUTER, "")
    prefix = f"backbone.blocks.block{block[1]}_layer{block[2]}."
    if block[3] == "alpha":
        return f"{prefix}rezero.scale"
    return _part_name(block[3], _INNER, prefix)


def _part_name(rest: str, parts: Mapping[str, str], prefix: str) -> str | None:
    found = _PART.match(rest)
    if found is None or found[1] not in parts:
        return None
    part, kind = prefix + parts[found[1]], found[4]
    if found[2] == "2":  # the temporal half of a (2+1)D convolution
        part = part.replace("feature.spatial", "feature.temporal")
    if found[3] == "norm":
        return f"{part}.bn.{_BATCH_NORM[kind]}" if kind in _BATCH_NORM else None
    return f"{part}.{kind}" if part.endswith(_DENSE) else f"{part}.conv.{kind}"


def pytorch_layout_to_ours(name: str, array: np.ndarray) -> np.ndarray:
    """Bring an array into the layout of our weight ``name``.

    Dense layers are [in, out] here; two-dimensional kernels get the axis that they lack.
    """
    if name.endswith(".scale"):
        return array.reshape([1]) if array.size == 1 else array
    if is_dense_kernel(name):
        return array.reshape(array.shape[:2]).T
    if name.endswith(".conv.weight") and array.ndim == 4:
        temporal = name.endswith("feature.temporal.conv.weight")
        return array[..., None] if temporal else array[:, :, None]
    return array


def import_pytorch(path: str | Path) -> ImportedWeights:
    """Read the port's ``torch.save(model.state_dict())``.

    Raises:
        WeightsError: missing, damaged, of another format, or with no MoViNet in it.
    """
    tensors, left_over = _tensors_of(read_torch_file(path))
    arrays: dict[str, np.ndarray] = {}
    rest = []
    for name, array in tensors.items():
        ours = pytorch_to_ours(name.removeprefix(_WRAPPER))
        if ours is None or ours in arrays:
            rest.append(name)
        else:
            arrays[ours] = _in_our_layout(str(path), name, ours, array)
    blocks = {name.split(".")[2] for name in arrays if name.startswith("backbone.blocks.")}
    if not blocks:
        some = ", ".join(list(tensors)[:5]) or "nothing"
        raise WeightsError(f"{path} holds no MoViNet of the PyTorch port; it holds {some}")
    block_names(len(blocks), str(path))
    unknown, counters = sort_out(rest, _reason)
    return ImportedWeights(str(path), arrays, unknown, {**left_over, **counters})


def _in_our_layout(source: str, name: str, ours: str, array: np.ndarray) -> np.ndarray:
    try:
        return pytorch_layout_to_ours(ours, array)
    except ValueError as error:
        raise WeightsError(f"{source}: {name} {list(array.shape)}: {error}") from None


def _tensors_of(content: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The table of tensors, and what lies beside it."""
    left_over = {}
    inner = content.get(_STATE_DICT)
    if isinstance(inner, dict):
        left_over = {str(key): f"beside {_STATE_DICT}" for key in content if key != _STATE_DICT}
        content = inner
    tensors = {str(k): v for k, v in content.items() if isinstance(v, np.ndarray)}
    left_over.update({str(key): "not a tensor" for key in content if str(key) not in tensors})
    return tensors, left_over


def _reason(name: str) -> str | None:
    return "counter of batch norm" if name.endswith(".num_batches_tracked") else None
