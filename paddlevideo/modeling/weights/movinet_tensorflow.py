"""TensorFlow Model Garden's names and layouts of MoViNet's weights (spec sections 4.1 - 4.4)."""

import re
from collections.abc import Mapping

import numpy as np

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
_LAYER = "backbone/layer_with_weights-{}/"
_CLASSIFIER = "model/layer_with_weights-1/"


def tensorflow_key(name: str, block_names: list[str]) -> str:
    """Return the checkpoint key of our weight ``name``, in the short form of `short_key`.

    Args:
        name: a name of the recognizer's state dict.
        block_names: names of the bottleneck layers, in order.
    """
    if name.startswith("head."):
        _, layer, kind = name.split(".")
        path = {"dense": "_head", "classifier": "_classifier"}[layer]
        return f"{_CLASSIFIER}{path}/_conv/{'kernel' if kind == 'weight' else 'bias'}"
    inner = name.removeprefix("backbone.")
    if inner.startswith("blocks."):
        _, block, rest = inner.split(".", 2)
        return _LAYER.format(block_names.index(block) + 1) + _inner_key(rest)
    if inner.startswith("project."):
        rest = _inner_key(inner).replace("_projection", "_project", 1)
        return _LAYER.format(len(block_names) + 1) + rest
    return _LAYER.format(0) + _inner_key(inner)


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
    """Bring a checkpoint key of any conv_type to one form: no inner ``_conv``, one kernel name."""
    key = key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
    key = re.sub(r"/(_conv|_conv_temporal)/_conv/", r"/\1/", key)
    return key.replace("/depthwise_kernel", "/kernel")


def to_paddle_layout(key: str, array: np.ndarray, shape: list[int]) -> np.ndarray:
    """Bring a TF variable into the layout of our weight of ``shape`` (spec section 4.4).

    Args:
        key: the full checkpoint key; ``depthwise_kernel`` has another axis order.
    """
    if not key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE").endswith("kernel"):
        return array.reshape(shape) if array.size == 1 else array
    if len(shape) == 2:  # a 1x1 kernel that is a dense layer here
        return array.reshape(array.shape[-2:])
    if array.ndim == 5:
        return array.transpose(4, 3, 0, 1, 2)
    if "depthwise_kernel" in key:
        array = array.transpose(2, 3, 0, 1)
    else:
        array = array.transpose(3, 2, 0, 1)
    temporal = "_conv_temporal" in key
    return array[..., None] if temporal else array[:, :, None]


def from_tensorflow(
    variables: Mapping[str, np.ndarray], shapes: Mapping[str, list[int]], block_names: list[str]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return ``{our name: array}`` for the weights in ``variables``, and the keys left over.

    Args:
        variables: ``{checkpoint key: array in TF layout}``.
        shapes: ``{name: shape}`` of the model to be filled.
    """
    by_short = {short_key(key): key for key in variables}
    arrays = {}
    for name, shape in shapes.items():
        key = by_short.pop(tensorflow_key(name, block_names), None)
        if key is not None:
            arrays[name] = to_paddle_layout(key, variables[key], shape)
    return arrays, sorted(by_short.values())
