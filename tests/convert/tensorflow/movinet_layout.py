"""Our weights as TensorFlow Model Garden's checkpoints hold them: the inverse of the importer."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from paddlevideo.convert.movinet_names import is_dense_kernel, names_of
from paddlevideo.convert.movinet_tensorflow import VALUE

ConvForm = Literal["3d", "3d_2plus1d", "2plus1d"]


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
    table = names_of(block_names)
    for name, array in arrays.items():
        key = table[name].tensorflow
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
