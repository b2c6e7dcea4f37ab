"""TensorFlow Model Garden's names and layouts of MoViNet's weights (docs/movinet.md)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from paddlevideo.convert.movinet_names import is_dense_kernel

ConvForm = Literal["3d", "3d_2plus1d", "2plus1d"]

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
LAYER = "backbone/layer_with_weights-{}/"
CLASSIFIER = "model/layer_with_weights-1/"

# Parts of one layer: our path -> (TF path, TF names of convolution and batch norm).
_PARTS: dict[str, tuple[str, str, str]] = {
    "stem": ("_stem", "_conv", "_batch_norm"),
    "expand": ("_expansion", "_conv", "_batch_norm"),
    "feature.spatial": ("_feature", "_conv", "_batch_norm"),
    "feature.temporal": ("_feature", "_conv_temporal", "_batch_norm_temporal"),
    "attention.reduce": ("_attention/_se_reduce", "_conv", ""),
    "attention.expand": ("_attention/_se_expand", "_conv", ""),
    "project": ("_projection", "_conv", "_batch_norm"),
    "shortcut.project": ("_skip/_projection", "_conv", "_batch_norm"),
}
_SCALARS = {
    "rezero.scale": "_mobile_bottleneck/_rezero/scale",
    "attention.positional_encoding.scale": "_attention/_pos_encoding/_rezero/scale",
}
_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "_mean": "moving_mean",
    "_variance": "moving_variance",
}
# How the layers' path begins depends on what was saved (docs/movinet.md).
_BACKBONE = re.compile(
    r"^(model/layer_with_weights-0|model/_backbone|layer_with_weights-0|_backbone|backbone)"
    r"/(?=layer_with_weights-\d+/)"
)
_CLASSIFIER = re.compile(r"^(model/)?layer_with_weights-1/(?=_head/|_classifier/)")


def tensorflow_key(name: str, block_names: Sequence[str]) -> str:
    """Return the checkpoint key of our weight ``name``, in the short form of `short_key`.

    Args:
        name: a name of the recognizer's state dict.
        block_names: names of the bottleneck layers, in order.
    """
    if name.startswith("head."):
        _, layer, kind = name.split(".")
        path = {"dense": "_head", "classifier": "_classifier"}[layer]
        return f"{CLASSIFIER}{path}/_conv/{'kernel' if kind == 'weight' else 'bias'}"
    inner = name.removeprefix("backbone.")
    if inner.startswith("blocks."):
        _, block, rest = inner.split(".", 2)
        return LAYER.format(list(block_names).index(block) + 1) + _inner_key(rest)
    if inner.startswith("project."):
        rest = _inner_key(inner).replace("_projection", "_project", 1)
        return LAYER.format(len(block_names) + 1) + rest
    return LAYER.format(0) + _inner_key(inner)


def _inner_key(rest: str) -> str:
    if rest in _SCALARS:
        return _SCALARS[rest]
    part, kind = rest.rsplit(".", 1)
    if part.endswith(".bn"):
        path, _, batch_norm = _PARTS[part.removesuffix(".bn")]
        return f"{path}/{batch_norm}/{_BATCH_NORM[kind]}"
    path, conv, _ = _PARTS[part.removesuffix(".conv")]
    return f"{path}/{conv}/{'kernel' if kind == 'weight' else 'bias'}"


def short_key(key: str) -> str:
    """Bring a checkpoint key to one form, whatever its conv_type and however it was saved.

    It begins with ``backbone/`` or ``model/layer_with_weights-1/``, has no inner ``_conv`` and no
    other name for a kernel.
    """
    key = key.removesuffix(VALUE)
    key = _CLASSIFIER.sub(CLASSIFIER, _BACKBONE.sub("backbone/", key))
    key = re.sub(r"/(_conv|_conv_temporal)/_conv/", r"/\1/", key)
    return key.replace("/depthwise_kernel", "/kernel")


def to_paddle_layout(name: str, key: str, array: np.ndarray) -> np.ndarray:
    """Bring a TF variable into the layout of our weight ``name`` (docs/movinet.md).

    Args:
        key: the full checkpoint key; ``depthwise_kernel`` has another axis order.
    """
    if name.endswith(".scale"):
        return array.reshape([1])
    if is_dense_kernel(name):  # a 1x1 kernel that is a dense layer here
        return array.reshape(array.shape[-2:])
    if array.ndim == 5:
        return array.transpose(4, 3, 0, 1, 2)
    if array.ndim != 4:  # batch norm and biases
        return array
    if "depthwise_kernel" in key:
        array = array.transpose(2, 3, 0, 1)
    else:
        array = array.transpose(3, 2, 0, 1)
    temporal = "_conv_temporal" in key
    return array[..., None] if temporal else array[:, :, None]


def from_tensorflow(
    variables: Mapping[str, np.ndarray], names: Iterable[str], block_names: Sequence[str]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return ``{our name: array}`` for the weights in ``variables``, and the keys left over.

    Args:
        variables: ``{checkpoint key: array in TF layout}``, of any conv_type.
        names: the weights that are wanted.
    """
    by_short = {short_key(key): key for key in variables}
    arrays = {}
    for name in names:
        key = by_short.pop(tensorflow_key(name, block_names), None)
        if key is not None:
            arrays[name] = to_paddle_layout(name, key, variables[key])
    return arrays, sorted(by_short.values())


def to_tensorflow(
    arrays: Mapping[str, np.ndarray], block_names: Sequence[str], conv_type: ConvForm
) -> dict[str, np.ndarray]:
    """Return ``{checkpoint key: array}`` in TF's layout, the inverse of `from_tensorflow`.

    Args:
        arrays: ``{our name: array}`` of a whole network or of a part of it.
        conv_type: ``2plus1d`` writes two-dimensional kernels, as released stream checkpoints have
            them; ``3d_2plus1d`` and ``3d`` three-dimensional ones.
    """
    written = {}
    for name, array in arrays.items():
        key = tensorflow_key(name, block_names)
        if conv_type == "2plus1d" and key.endswith(("/kernel", "/bias")):
            path, _, leaf = key.rpartition("/")
            leaf = f"depthwise_{leaf}" if leaf == "kernel" and "/_feature/" in key else leaf
            key = f"{path}/_conv/{leaf}"
        written[key + VALUE] = _to_tensorflow_layout(name, key, array, conv_type)
    return written


def _to_tensorflow_layout(
    name: str, key: str, array: np.ndarray, conv_type: ConvForm
) -> np.ndarray:
    if name.endswith(".scale"):
        return array.reshape([])
    flat = conv_type == "2plus1d"
    if is_dense_kernel(name):
        return array[None, None] if flat else array[None, None, None]
    if array.ndim != 5:
        return array
    if not flat:
        return array.transpose(2, 3, 4, 1, 0)
    # An axis of one goes: the width of a temporal kernel, the time of any other.
    array = array[..., 0] if "_conv_temporal" in key else array[:, :, 0]
    axes = (2, 3, 0, 1) if key.endswith("depthwise_kernel") else (2, 3, 1, 0)
    return array.transpose(axes)
