"""Checks of the arrays of a snapshot, all made before a session takes any of them."""

import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from paddlevideo.utils.errors import DataError


def snapshot_arrays(snapshot: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a snapshot, read whole: one of a file may be damaged.

    Raises:
        DataError: these are no arrays by name, or one cannot be read.
    """
    if not isinstance(snapshot, Mapping):
        raise DataError(
            f"a snapshot is arrays by name, as snapshot() gives them; got {type(snapshot).__name__}"
        )
    arrays = {}
    for name in snapshot:
        if not isinstance(name, str):
            raise DataError(f"a snapshot has arrays by name; {repr(name)[:100]} is no name")
        try:
            arrays[name] = np.asarray(snapshot[name])
        except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(
                f"the snapshot's {name[:100]} cannot be read: {str(error)[:100]}"
            ) from error
    return arrays


def check_array(
    name: str, array: np.ndarray, shape: tuple[int, ...], dtype: object, is_finite: bool = True
) -> None:
    """Raise `DataError` unless the array is of this shape and dtype, and finite."""
    if array.shape != tuple(shape) or array.dtype != np.dtype(dtype):
        raise DataError(
            f"the snapshot's {name} is {list(array.shape)} {array.dtype}, expected "
            f"{list(shape)} {np.dtype(dtype)}"
        )
    if is_finite and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"the snapshot's {name} holds a value that is not finite")


def check_states(given: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """Raise `DataError` unless the states are those of the model at hand."""
    for name, array in expected.items():
        if name not in given:
            raise DataError(f"the snapshot is not of this model: its state {name} is missing")
        check_array(f"state {name}", given[name], array.shape, array.dtype)
        if array.dtype.kind == "i" and (given[name] < 0).any():
            raise DataError(f"the snapshot's state {name} counts fewer than no frames")
    if extra := sorted(set(given) - set(expected)):
        raise DataError(f"the snapshot is not of this model: it has no state {extra[0][:100]}")
