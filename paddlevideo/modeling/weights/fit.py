"""Fit arrays to a model: all of them, or nothing and a full list of what does not fit."""

from collections.abc import Mapping

import numpy as np
import paddle
from paddle import nn

from paddlevideo.utils.errors import WeightsError

_NUMBER_KINDS = "fiu"  # NumPy's letters for float, signed and unsigned integer


def model_arrays(model: nn.Layer) -> dict[str, np.ndarray]:
    """Return the model's weights and running statistics by structural name, on the host."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def load_arrays(model: nn.Layer, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Set every weight of ``model`` from ``arrays``; nothing is changed unless all fit.

    Args:
        source: where the arrays come from, for the message.

    Raises:
        WeightsError: lists every missing, unexpected and misshapen name, and what is no number.
    """
    state = model.state_dict()
    missing = [name for name in state if name not in arrays]
    unexpected = [name for name in arrays if name not in state]
    misshapen = [
        f"{name}: model {list(state[name].shape)}, file {list(arrays[name].shape)}"
        for name in state
        if name in arrays and list(state[name].shape) != list(arrays[name].shape)
    ]
    no_numbers = [
        f"{name}: {arrays[name].dtype}"
        for name in state
        if name in arrays and arrays[name].dtype.kind not in _NUMBER_KINDS
    ]
    problems = {
        "missing in the file": missing,
        "unknown to the model": unexpected,
        "of another shape": misshapen,
        "not real numbers": no_numbers,
    }
    if any(problems.values()):
        raise WeightsError(_mismatch(source, problems))
    # All are converted before the first is set.
    values = {
        name: paddle.to_tensor(np.asarray(arrays[name], order="C"), dtype=tensor.dtype)
        for name, tensor in state.items()
    }
    for name, tensor in state.items():
        tensor.set_value(values[name])


def _mismatch(source: str, problems: Mapping[str, list[str]]) -> str:
    lines = [f"{source} does not fit the model; nothing was loaded."]
    for title, names in problems.items():
        if names:
            lines.append(f"  {len(names)} {title}:")
            lines += [f"    {name}" for name in names]
    lines.append("  Is it a checkpoint of another model, variant or number of classes?")
    return "\n".join(lines)
