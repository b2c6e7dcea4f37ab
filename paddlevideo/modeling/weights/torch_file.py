"""Read ``torch.save`` files without PyTorch and without running anything in them.

Source: PyTorch's serialization notes. A file is a zip of stored members below one folder:
``data.pkl``, a pickle whose tensors are calls of a rebuilding function on storages, and the bytes
of each storage as ``data/<key>``. The zip's own checksums are verified.
"""

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.safe_pickle import AdmittedFunction, RefusedNameError, load_admitted

_LEGACY_MAGIC = bytes.fromhex(
    "80028a0a6cfc9c46f9206aa850192e"
)  # the number that begins the old format
_PICKLE = "data.pkl"
_BFLOAT16 = "bfloat16"
# Names of storage classes as little-endian NumPy types; bfloat16 is the upper half of a float32.
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True)
class _StorageType:
    """What stands for a storage class: the type of its numbers."""

    dtype: str

    def __setstate__(self, _state: Any) -> None:
        raise ValueError("a type has no state")


class _Table(dict):
    """What stands for an OrderedDict; attributes that a file gives it are dropped."""

    def __setstate__(self, _state: Any) -> None:
        pass


def read_torch_file(path: str | Path) -> dict[str, Any]:
    """Return what was saved: a table of NumPy arrays and plain values, tables in it included.

    Views keep their strides and offsets; bfloat16, which NumPy lacks, becomes float32.

    Raises:
        WeightsError: missing, damaged, of another format, or naming anything but tensors.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            content = _Reader(archive).read()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None
    except RefusedNameError as error:
        raise WeightsError(
            f"{path}: refused: the file names {error}, which is neither a tensor nor a plain "
            "container. Nothing in it was run. Save torch.save(model.state_dict(), ...)"
        ) from None
    except Exception as error:  # noqa: BLE001 - a damaged zip or pickle can raise almost anything
        raise WeightsError(f"{path}: {_what_is_wrong(path, error)}") from None
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a table of tensors, found {type(content).__name__}")
    return content


def _what_is_wrong(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        start = file.read(len(_LEGACY_MAGIC))
    if start.startswith(_LEGACY_MAGIC[:10]):
        return (
            "this is PyTorch's format from before version 1.6; "
            "load it with PyTorch and save it again with torch.save"
        )
    return f"damaged or not a torch.save file: {str(error) or type(error).__name__}"


class _Reader:
    """One open file: its members, and the storages read so far."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        pickles = [name for name in archive.namelist() if name.split("/")[1:] == [_PICKLE]]
        if len(pickles) != 1:
            raise ValueError(f"it has {len(pickles)} members {_PICKLE}")
        self.folder = pickles[0].removesuffix(_PICKLE)
        self.storages: dict[str, np.ndarray] = {}

    def read(self) -> Any:
        """The content of ``data.pkl``."""
        byte_order = f"{self.folder}byteorder"
        if byte_order in self.archive.namelist() and self._member(byte_order) != b"little":
            raise ValueError("its numbers are big-endian, which is not supported")
        admitted = {
            ("collections", "OrderedDict"): _Table,
            ("torch._utils", "_rebuild_tensor_v2"): AdmittedFunction(_rebuild_tensor),
            ("torch._utils", "_rebuild_parameter"): AdmittedFunction(_rebuild_parameter),
            **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGES.items()},
        }
        with self.archive.open(self._info(f"{self.folder}{_PICKLE}")) as file:
            content = load_admitted(file, admitted, self._storage)
            file.read()  # to the end, where the zip's checksum is verified
        return content

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = self.archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed, which torch.save never does")
        return info

    def _member(self, name: str) -> bytes:
        return self.archive.read(self._info(name))

    def _storage(self, pid: Any) -> np.ndarray:
        """The numbers of the storage with the id ``("storage", type, key, device, count)``."""
        kind, storage_type, key, _device, count = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise ValueError(f"unknown kind of storage {kind!r}")
        if key not in self.storages:
            raw = bytearray(self._member(f"{self.folder}data/{key}"))
            self.storages[key] = _numbers(raw, storage_type.dtype)
        if len(self.storages[key]) != count:
            raise ValueError(f"storage {key} has {len(self.storages[key])} numbers, not {count}")
        return self.storages[key]


def _numbers(raw: bytearray, dtype: str) -> np.ndarray:
    if dtype != _BFLOAT16:
        return np.frombuffer(raw, np.dtype(dtype))
    upper: np.ndarray = np.frombuffer(raw, "<u2").astype(np.uint32)
    return (upper << np.uint32(16)).view(np.float32)


def _rebuild_tensor(
    storage: np.ndarray, offset: int, shape: Sequence[int], strides: Sequence[int], *_: Any
) -> np.ndarray:
    """The array that a tensor's shape, strides and offset (in numbers) cut out of its storage."""
    if not isinstance(storage, np.ndarray) or len(shape) != len(strides):
        raise ValueError("a tensor without a storage, or with strides of another rank")
    if min((offset, *shape, *strides)) < 0:
        raise ValueError("a tensor with a negative size, stride or offset")
    count = math.prod(shape)
    if count == 0:
        return np.zeros(tuple(shape), storage.dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    # A view that repeats its numbers could be of any size: no weight is one.
    if last >= len(storage) or count > len(storage):
        raise ValueError(f"a tensor {list(shape)} is outside its storage of {len(storage)} numbers")
    steps = [stride * storage.itemsize for stride in strides]
    view = np.lib.stride_tricks.as_strided(storage[offset:], tuple(shape), steps, writeable=False)
    return view.copy()


def _rebuild_parameter(data: np.ndarray, *_: Any) -> np.ndarray:
    return data
