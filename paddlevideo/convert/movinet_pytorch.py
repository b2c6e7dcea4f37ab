"""Names and layouts of the PyTorch port of MoViNet (Atze00/MoViNet-pytorch).

PaddleVideo's network was ported from it: `paddlevideo.convert` brings its names to this grammar.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from paddlevideo.convert.imported import ImportedWeights, sort_out
from paddlevideo.convert.movinet_names import block_names, blocks_in, is_dense_kernel, names_of
from paddlevideo.convert.torch_file import read_torch_file
from paddlevideo.utils.errors import WeightsError

_BLOCK = re.compile(r"blocks\.b(\d+)_l(\d+)\.")
# Other forms of a name -> the one of the table: the port's first releases wrapped convolutions
# otherwise, and a kernel of two axes has a class of its own.
_FORMS = (
    (re.compile(r"\.2plus1s\.conv_"), ".conv_"),
    (re.compile(r"\.conv2d\."), ".conv3d."),
    (re.compile(r"(?<!\.conv_[12])\.(conv3d|norm)\.(\w+)$"), r".conv_1.\1.\2"),
    (re.compile(r"(se\.fc[12]|^classifier\.[03])\.(weight|bias)$"), r"\1.conv_1.conv3d.\2"),
)
_WRAPPER = "module."  # of torch.nn.DataParallel
_STATE_DICT = "state_dict"  # the usual entry of a training checkpoint


def pytorch_to_ours(names: Iterable[str]) -> dict[str, str]:
    """Return ``{the port's name: ours}`` for those that are names of a MoViNet."""
    plain = {name: _in_one_form(name) for name in names}
    found = {(int(m[1]), int(m[2])) for name in plain.values() if (m := _BLOCK.match(name))}
    blocks = [f"block{block}_layer{layer}" for block, layer in sorted(found)]
    ours = {there: name.ours for name in names_of(blocks).values() for there in name.pytorch}
    return {name: ours[form] for name, form in plain.items() if form in ours}


def _in_one_form(name: str) -> str:
    for form, plain in _FORMS:
        name = form.sub(plain, name)
    return name


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
    table = pytorch_to_ours(name.removeprefix(_WRAPPER) for name in tensors)
    for name, array in tensors.items():
        ours = table.get(name.removeprefix(_WRAPPER))
        if ours is None or ours in arrays:
            rest.append(name)
        else:
            arrays[ours] = _in_our_layout(str(path), name, ours, array)
    blocks = blocks_in(arrays)
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


def _tensors_of(content: Mapping[str, object]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
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
