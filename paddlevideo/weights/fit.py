"""Fit arrays to a model: all of them, or nothing and a full list of what does not fit."""

import logging
from collections.abc import Mapping

import numpy as np
import paddle
from paddle import Tensor, nn

from paddlevideo.utils.damage import shown
from paddlevideo.utils.errors import WeightsError

logger = logging.getLogger(__name__)

_VARIANCE = "_variance"  # how the name of a batch norm's running variance ends
_RANGE = "rounding_range"  # and that of the range of a tensor that is rounded
_SHOWN = 5
_MOST_LISTED = 1000  # names of one kind in a message
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
    _set(model.state_dict(), arrays, source)


def check_arrays(model: nn.Layer, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Raise what `load_arrays` would; nothing is changed."""
    _fitted(model.state_dict(), arrays, source)


def load_initial_arrays(model: nn.Layer, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """As `load_arrays`, for training: the file's model may have had another number of classes.

    Then what follows that number (the recognizer's ``class_axes``) keeps its initial values, and
    the log says so. So do the ranges of a model that is to be trained for 8 bits, if the file has
    none. Everything else must fit as ever.

    Raises:
        WeightsError: as `load_arrays`; nothing is loaded in part.
    """
    state = model.state_dict()
    if not any(name.endswith(_RANGE) for name in arrays):
        state = {name: tensor for name, tensor in state.items() if not name.endswith(_RANGE)}
    axes = model.class_axes()
    there, here = (_number_of_classes(tensors, axes) for tensors in (arrays, state))
    if there in (None, here) or not _alike_but_for_classes(state, arrays, axes):
        _set(state, arrays, source)
        return
    kept = {name for name in state if name not in axes}
    _set(
        {name: state[name] for name in kept},
        {name: array for name, array in arrays.items() if name not in axes},
        source,
    )
    logger.warning(
        "%s is of %d classes, the model has %d: %s left at their initial values; "
        "the other %d tensors are loaded",
        source,
        there,
        here,
        ", ".join(axes),
        len(kept),
    )


def _number_of_classes(
    tensors: Mapping[str, Tensor | np.ndarray], axes: Mapping[str, int]
) -> int | None:
    """The one length of all class axes; None if a tensor is missing or they do not agree."""
    lengths = {
        tensors[name].shape[axis] if name in tensors and axis < tensors[name].ndim else None
        for name, axis in axes.items()
    }
    return lengths.pop() if len(lengths) == 1 else None


def _alike_but_for_classes(
    state: Mapping[str, Tensor], arrays: Mapping[str, np.ndarray], axes: Mapping[str, int]
) -> bool:
    """Whether the tensors that follow the classes differ along their class axis alone."""

    def other_axes(tensor: Tensor | np.ndarray, axis: int) -> list[int]:
        return [length for index, length in enumerate(tensor.shape) if index != axis]

    return all(
        other_axes(state[n], axis) == other_axes(arrays[n], axis) for n, axis in axes.items()
    )


def _set(state: Mapping[str, Tensor], arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Set every tensor of ``state``, or none."""
    values = _fitted(state, arrays, source)
    for name, tensor in state.items():
        tensor.set_value(values[name])


def _fitted(
    state: Mapping[str, Tensor], arrays: Mapping[str, np.ndarray], source: str
) -> dict[str, Tensor]:
    """The values of every tensor of ``state``; all are converted before the first is set."""
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
    values = {
        name: paddle.to_tensor(np.asarray(arrays[name], order="C"), dtype=tensor.dtype)
        for name, tensor in state.items()
    }
    unusable = unusable_arrays({name: tensor.numpy() for name, tensor in values.items()})
    if unusable:
        some = ", ".join(unusable[:_SHOWN]) + (", ..." if len(unusable) > _SHOWN else "")
        raise WeightsError(
            f"{source}: {len(unusable)} tensors make every result NaN; nothing was loaded: {some}. "
            "They were written by a run that had diverged, or the file is damaged: use another"
        )
    return values


def unusable_arrays(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Return the names of the weights that are not finite, and of variances below 0."""
    return [
        name
        for name, array in arrays.items()
        if array.dtype.kind == "f"
        and not (
            np.isfinite(array).all()
            and (not name.endswith(_VARIANCE) or array.min(initial=0.0) >= 0)
        )
    ]


def _mismatch(source: str, problems: Mapping[str, list[str]]) -> str:
    lines = [f"{source} does not fit the model; nothing was loaded."]
    for title, names in problems.items():
        if names:
            lines.append(f"  {len(names)} {title}:")
            lines += [f"    {shown(name)}" for name in names[:_MOST_LISTED]]
            if len(names) > _MOST_LISTED:
                lines.append(f"    and {len(names) - _MOST_LISTED} more")
    lines.append("  Is it a checkpoint of another model, variant or number of classes?")
    return "\n".join(lines)
