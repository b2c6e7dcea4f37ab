"""Read ``.pdparams``: a pickle that may hold NumPy arrays and plain containers, nothing else.

Only the few names that an array is made of are resolved: see `paddlevideo.utils.safe_pickle`.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.files import atomic_write
from paddlevideo.utils.safe_pickle import AdmittedFunction, RefusedNameError, load_admitted


class _Dtype:
    """A plain numeric dtype. Of its pickled state only the byte order counts."""

    def __init__(self, spec: str, _align: bool = False, _copy: bool = False) -> None:
        dtype: np.dtype = np.dtype(spec)
        if dtype.kind not in _NUMBER_KINDS:
            raise pickle.UnpicklingError(f"dtype {spec!r} is not numeric")
        self.dtype = dtype

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """What ``numpy.core.multiarray._reconstruct`` makes; the following state is its content."""

    array: np.ndarray

    def __init__(self, _subtype: Any, _shape: tuple[int, ...], _typecode: bytes) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, is_fortran, data = state
        order: Any = "F" if is_fortran else "C"
        self.array = np.frombuffer(bytearray(data), dtype.dtype).reshape(shape, order=order)


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """What protocol 2 calls to rebuild bytes; only the encoding pickle itself writes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"unexpected text encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """What protocol 2 calls for the content of an empty array."""
    return b""


def _from_buffer(buffer: Any, dtype: _Dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    """Protocol 5's form of a contiguous array (``numpy.core.numeric._frombuffer``)."""
    return np.frombuffer(bytearray(buffer), dtype.dtype).reshape(shape, order=order)


def _scalar(dtype: _Dtype, data: bytes) -> np.generic:
    return np.frombuffer(data, dtype.dtype, count=1)[0]


# NumPy's letters for bool, integers, float and complex.
_NUMBER_KINDS = "biufc"

# Names that a file may use. Classes and functions that fill an array are stand-ins of our own:
# NumPy's trust the state that a file gives them. The second name of each pair is where
# NumPy >= 2 keeps the same function; ``__builtin__`` is Python 2's, which protocol 2 writes.
_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): None,  # named beside _reconstruct, never called
    ("numpy", "dtype"): _Dtype,
    ("collections", "OrderedDict"): dict,
    ("builtins", "tuple"): tuple,
    ("__builtin__", "tuple"): tuple,
    ("builtins", "bytes"): AdmittedFunction(_no_bytes),
    ("__builtin__", "bytes"): AdmittedFunction(_no_bytes),
    ("_codecs", "encode"): AdmittedFunction(_latin1_bytes),
    **{
        (f"{package}.{module}", name): component
        for package in ("numpy.core", "numpy._core")
        for module, name, component in (
            ("multiarray", "_reconstruct", _Array),
            ("multiarray", "scalar", AdmittedFunction(_scalar)),
            ("numeric", "_frombuffer", AdmittedFunction(_from_buffer)),
        )
    },
}


def _plain(value: Any) -> Any:
    """The arrays themselves instead of their stand-ins, in containers of any depth."""
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, (_Dtype, AdmittedFunction, type)):
        raise pickle.UnpicklingError(f"{value!r} is no content")
    return value


def read_array_pickle(path: str | Path) -> Any:
    """Return the content of ``path``: containers, numbers, strings and NumPy arrays.

    Raises:
        WeightsError: missing, not a pickle, truncated, or holding anything else.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"weights {path} cannot be read: {error.strerror}") from None
    try:
        content = _plain(load_admitted(io.BytesIO(data), _ADMITTED))
    except RefusedNameError as error:
        raise WeightsError(
            f"{path}: refused: the file holds {error}, which is neither an array nor a plain "
            "container. Nothing in it was run. Weights are saved as {name: array}"
        ) from None
    except Exception as error:  # noqa: BLE001 - a damaged pickle can raise almost anything
        detail = str(error) or type(error).__name__
        raise WeightsError(
            f"{path}: damaged or not a .pdparams file ({len(data)} bytes): {detail}"
        ) from None
    return content


def write_array_pickle(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write ``{name: array}`` as Paddle does, so that ``paddle.load`` reads it; atomically."""
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with atomic_write(path) as file:
        pickle.dump(plain, file, protocol=4)
