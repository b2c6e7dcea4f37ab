"""Handling of states outside the network: check, start one stream anew, write, read.

States are plain tensors by name; the first axis of each is the batch of streams.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import paddle
from paddle import Tensor

from paddlevideo.modeling.recognizers.clip_check import dtype_name
from paddlevideo.modeling.states import States, StateSpec
from paddlevideo.utils.errors import DataError, WeightsError
from paddlevideo.weights.files import SAFETENSORS, read_weights, write_weights


def check_states(
    states: Mapping[str, Tensor], specs: Sequence[StateSpec], batch_size: int, frame_size: str
) -> None:
    """Raise `DataError` unless ``states`` are those of ``specs`` for this number of streams.

    The message names what was expected and what came: states of another model, batch or size.

    Args:
        frame_size: of the frames that came with them, for the message.
    """
    if not isinstance(states, Mapping):
        raise DataError(
            f"states are tensors by name, as init_states gives them; got {type(states).__name__}"
        )
    expected = {spec.name: spec for spec in specs}
    missing = [name for name in expected if name not in states]
    unknown = [name for name in states if name not in expected]
    if missing or unknown:
        raise DataError(
            f"these are not states of this model: {len(missing)} missing ({_some(missing)}), "
            f"{len(unknown)} unknown ({_some(unknown)}); make them with init_states"
        )
    for name, spec in expected.items():
        shape, want = list(states[name].shape), [batch_size, *spec.shape]
        dtype = dtype_name(states[name])
        if shape != want or dtype != spec.dtype:
            raise DataError(
                f"state {name}: expected {want} {spec.dtype} for {batch_size} streams of "
                f"{frame_size} frames, got {shape} {dtype}; states belong to one batch and "
                "frame size"
            )


def reset_rows(states: Mapping[str, Tensor], rows: Sequence[int]) -> States:
    """Return ``states`` with the streams ``rows`` as if they had seen nothing.

    Raises:
        DataError: there are no states, or a row is no stream of the batch.
    """
    if not states:
        raise DataError("there are no states to reset; make them with init_states")
    if isinstance(rows, (int, str)) or not all(_is_whole(row) for row in rows):
        raise DataError(f"rows are numbers of streams, such as [0, 2]; got {rows}")
    batch_size = next(iter(states.values())).shape[0]
    outside = [row for row in rows if not 0 <= row < batch_size]
    if outside:
        raise DataError(f"rows {outside} are outside 0..{batch_size - 1}, the streams of the batch")
    anew_B = paddle.to_tensor([row in rows for row in range(batch_size)])
    return OrderedDict(
        (name, paddle.where(_along_first(anew_B, state), paddle.zeros_like(state), state))
        for name, state in states.items()
    )


def save_states(states: Mapping[str, Tensor], path: str | Path) -> None:
    """Write states to a ``.safetensors`` file, atomically."""
    if Path(path).suffix != SAFETENSORS:
        raise WeightsError(f"cannot write {path}: states are kept as {SAFETENSORS}")
    write_weights(path, {name: state.numpy() for name, state in states.items()})


def load_states(path: str | Path, names: Sequence[str]) -> States:
    """Read states that `save_states` wrote, in the order of ``names``.

    Raises:
        WeightsError: missing, damaged, or states of another model.
    """
    arrays = read_weights(path)
    if set(arrays) != set(names):
        missing = [name for name in names if name not in arrays]
        unknown = [name for name in arrays if name not in names]
        raise WeightsError(
            f"{path}: states of another model: {len(missing)} missing ({_some(missing)}), "
            f"{len(unknown)} unknown ({_some(unknown)})"
        )
    return OrderedDict((name, paddle.to_tensor(arrays[name])) for name in names)


def _along_first(mask_B: Tensor, state: Tensor) -> Tensor:
    return mask_B.reshape([-1, *[1] * (state.ndim - 1)])


def _is_whole(row: object) -> bool:
    return isinstance(row, (int, np.integer)) and not isinstance(row, bool)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown}, ..." if len(names) > 3 else shown or "none"
