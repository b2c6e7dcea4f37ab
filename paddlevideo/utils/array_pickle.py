"""Read ``.pdparams``: a pickle that may hold NumPy arrays and plain containers, nothing else.

Only the few names that an array is made of are resolved: see `paddlevideo.utils.safe_pickle`.
"""

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from paddlevideo.utils.damage import damage_of, open_regular, shown
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.files import atomic_write
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.pickle_source import PickleError
from paddlevideo.utils.pickle_values import plain_values
from paddlevideo.utils.safe_pickle import (
    AdmittedFunction,
    RefusedNameError,
    StatefulObject,
    load_admitted,
)

# NumPy's letters for bool, integers, float and complex.
_NUMBER_KINDS = "biufc"
_LONGEST_SPEC = 8  # letters of a dtype such as "<f4"


class _Dtype(StatefulObject):
    """A plain numeric dtype. Of its pickled state only the byte order counts."""

    def __init__(self, spec: object, _align: object = False, _copy: object = False) -> None:
        if not isinstance(spec, str) or len(spec) > _LONGEST_SPEC:
            raise PickleError(f"dtype {shown(spec)} is not numeric")
        dtype: np.dtype = np.dtype(spec)
        if dtype.kind not in _NUMBER_KINDS:
            raise PickleError(f"dtype {spec!r} is not numeric")
        self.dtype = dtype

    def set_state(self, state: object) -> None:
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "=", "|"):
            raise PickleError("a dtype without a byte order")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(StatefulObject):
    """An array whose content is still where the pickle has it: nothing is copied so far.

    What ``numpy.core.multiarray._reconstruct`` makes; the following state is its content.
    """

    content: tuple[Any, object, object, object] | None = None  # data, dtype, shape, order

    def __init__(self, _subtype: object, _shape: object, _typecode: object) -> None:
        pass

    def set_state(self, state: object) -> None:
        if type(state) is not tuple or len(state) != 5 or self.content is not None:
            raise PickleError("an array without the state of one")
        _version, shape, dtype, is_fortran, data = state
        self.content = (data, dtype, shape, "F" if is_fortran else "C")


class _Latin1Bytes:
    """Bytes that are kept as text."""

    def __init__(self, text: str) -> None:
        self.text = text


def _latin1_bytes(text: object, encoding: object) -> _Latin1Bytes:
    """What protocol 2 calls to rebuild bytes; only the encoding pickle itself writes."""
    if encoding != "latin1" or not isinstance(text, str):
        raise PickleError(f"unexpected text encoding {shown(encoding)!r}")
    return _Latin1Bytes(text)


def _tuple(items: object) -> tuple[object, ...]:
    """What Paddle calls for (name, array), on a tuple."""
    if type(items) is not tuple:
        raise PickleError("a tuple is made of what is none")
    return items


def _from_buffer(buffer: object, dtype: object, shape: object, order: object) -> _Array:
    """Protocol 5's form of a contiguous array (``numpy.core.numeric._frombuffer``)."""
    array = _Array(None, None, None)
    array.content = (buffer, dtype, shape, order)
    return array


def _scalar(dtype: object, data: object) -> object:
    return _array_of(data, dtype, (), "C")[()]


def _array_of(data: object, dtype: object, shape: object, order: object) -> np.ndarray:
    """An array of its own, of exactly the bytes that its shape needs."""
    if isinstance(data, _Latin1Bytes):
        data = data.text.encode("latin1")
    if not isinstance(data, bytes) or not isinstance(dtype, _Dtype) or order not in ("C", "F"):
        raise PickleError("an array without bytes, a dtype or an order")
    sizes = (shape,) if type(shape) is int else shape
    if type(sizes) is not tuple or any(type(size) is not int or size < 0 for size in sizes):
        raise PickleError("the shape of an array is no list of sizes")
    needed = math.prod(sizes) * dtype.dtype.itemsize
    if needed != len(data):
        raise PickleError(
            f"an array {shown(list(sizes))} of {len(data)} bytes, not {shown(needed)}"
        )
    if needed > limit("tensor_bytes"):
        raise PickleError(f"an array of {needed} bytes; {how_to_raise('tensor_bytes')}")
    return np.frombuffer(bytearray(data), dtype.dtype).reshape(sizes, order=order)


# Names that a file may use. Classes and functions that fill an array are stand-ins of our own:
# NumPy's trust the state that a file gives them. The second name of each pair is where
# NumPy >= 2 keeps the same function; ``__builtin__`` is Python 2's, which protocol 2 writes.
_ADMITTED: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): None,  # named beside _reconstruct, never called
    ("numpy", "dtype"): AdmittedFunction(_Dtype),
    ("collections", "OrderedDict"): AdmittedFunction(dict),
    ("builtins", "tuple"): AdmittedFunction(_tuple),
    ("__builtin__", "tuple"): AdmittedFunction(_tuple),
    # What protocol 2 calls for the content of an empty array.
    ("builtins", "bytes"): AdmittedFunction(lambda: b""),
    ("__builtin__", "bytes"): AdmittedFunction(lambda: b""),
    ("_codecs", "encode"): AdmittedFunction(_latin1_bytes),
    **{
        (f"{package}.{module}", name): component
        for package in ("numpy.core", "numpy._core")
        for module, name, component in (
            ("multiarray", "_reconstruct", AdmittedFunction(_Array)),
            (
                "multiarray",
                "scalar",
                AdmittedFunction(_scalar),
            ),
            ("numeric", "_frombuffer", AdmittedFunction(_from_buffer)),
        )
    },
}


class _Contents:
    """The arrays of one file, each made once: together they are no longer than the file."""

    def __init__(self, num_bytes: int) -> None:
        self.num_left = num_bytes
        # The stand-in is kept, so that no other has its id.
        self.made: dict[int, tuple[object, object]] = {}

    def of(self, leaf: object) -> object:
        """What a stand-in stands for."""
        if isinstance(leaf, np.generic):
            return leaf
        if id(leaf) not in self.made:
            self.made[id(leaf)] = (leaf, self._make(leaf))
        return self.made[id(leaf)][1]

    def _make(self, leaf: object) -> object:
        if isinstance(leaf, _Latin1Bytes):
            self._take(len(leaf.text))
            return leaf.text.encode("latin1")
        if not isinstance(leaf, _Array) or leaf.content is None:
            raise PickleError(f"a {type(leaf).__name__.lstrip('_')} is no content")
        data = leaf.content[0]
        self._take(len(data.text if isinstance(data, _Latin1Bytes) else data or b""))
        return _array_of(*leaf.content)

    def _take(self, count: int) -> None:
        self.num_left -= count
        if self.num_left < 0:
            raise PickleError("its arrays are longer than the file: they share their content")


def read_array_pickle(path: str | Path) -> object:
    """Return the content of ``path``: containers, numbers, strings and NumPy arrays.

    Raises:
        WeightsError: missing, not a pickle, truncated, or holding anything else.
    """
    path = Path(path)
    with open_regular(path) as (file, size), damage_of(path, f"a .pdparams file ({size} bytes)"):
        try:
            return plain_values(load_admitted(file, size, _ADMITTED), _Contents(size).of)
        except RefusedNameError as error:
            raise WeightsError(
                f"{path}: refused: the file holds {shown(error)}, which is neither an array nor a "
                "plain container. Nothing in it was run. Weights are saved as {name: array}"
            ) from None


def write_array_pickle(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write ``{name: array}`` as Paddle does, so that ``paddle.load`` reads it; atomically."""
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with atomic_write(path) as file:
        pickle.dump(plain, file, protocol=4)
