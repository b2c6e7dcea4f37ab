"""TensorFlow Model Garden's names and layouts of MoViNet's weights (docs/movinet.md)."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from paddlevideo.convert.movinet_names import CLASSIFIER, is_dense_kernel, names_of

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
# How the layers' path begins depends on what was saved.
_BACKBONE = re.compile(
    r"^(model/layer_with_weights-0|model/_backbone|layer_with_weights-0|_backbone|backbone)"
    r"/(?=layer_with_weights-\d+/)"
)
_CLASSIFIER = re.compile(r"^(model/)?layer_with_weights-1/(?=_head/|_classifier/)")


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
    """Bring a TF variable into the layout of our weight ``name``.

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
    table = names_of(block_names)
    arrays = {}
    for name in names:
        key = by_short.pop(table[name].tensorflow, None)
        if key is not None:
            arrays[name] = to_paddle_layout(name, key, variables[key])
    return arrays, sorted(by_short.values())
