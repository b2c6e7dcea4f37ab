"""Read ``torch.save`` files without PyTorch and without running anything in them.

Source: PyTorch's serialization notes. A file is a zip of stored members below one folder:
``data.pkl``, a pickle whose tensors are calls of a rebuilding function on storages, and the bytes
of each storage as ``data/<key>``. The zip's own checksums are verified.
"""

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddlevideo.utils.archives import open_archive
from paddlevideo.utils.damage import damage_of, open_regular, shown
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.pickle_values import plain_values
from paddlevideo.utils.safe_pickle import AdmittedFunction, RefusedNameError, load_admitted

_LEGACY_MAGIC = bytes.fromhex(
    "80028a0a6cfc9c46f9206aa850192e"
)  # the number that begins the old format
_PICKLE = "data.pkl"
_BFLOAT16 = "bfloat16"
_MOST_AXES = 32  # of an array, to NumPy
# Tensors may share a storage, and bfloat16 doubles: all together are at most this many files long.
_MOST_OFTEN = 4
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


def read_torch_file(path: str | Path) -> dict[str, object]:
    """Return what was saved: a table of NumPy arrays and plain values, tables in it included.

    Views keep their strides and offsets; bfloat16, which NumPy lacks, becomes float32.

    Raises:
        WeightsError: missing, damaged, of another format, or naming anything but tensors.
    """
    path = Path(path)
    with open_regular(path) as (file, size):
        start = file.read(len(_LEGACY_MAGIC))
        if start.startswith(_LEGACY_MAGIC[:10]):
            raise WeightsError(
                f"{path}: this is PyTorch's format from before version 1.6; "
                "load it with PyTorch and save it again with torch.save"
            )
        with damage_of(path, "a torch.save file"), open_archive(file, size) as archive:
            try:
                content = _Reader(archive, size).read()
            except RefusedNameError as error:
                raise WeightsError(
                    f"{path}: refused: the file names {shown(error)}, which is neither a tensor "
                    "nor a plain container. Nothing in it was run. Save "
                    "torch.save(model.state_dict(), ...)"
                ) from None
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a table of tensors, found {type(content).__name__}")
    return content


class _Reader:
    """One open file: its members, and the storages read so far."""

    def __init__(self, archive: zipfile.ZipFile, num_bytes: int) -> None:
        self.archive = archive
        self.num_bytes_left = _MOST_OFTEN * num_bytes
        pickles = [name for name in archive.namelist() if name.split("/")[1:] == [_PICKLE]]
        if len(pickles) != 1:
            raise ValueError(f"it has {len(pickles)} members {_PICKLE}")
        self.folder = pickles[0].removesuffix(_PICKLE)
        self.storages: dict[tuple[str, _StorageType], np.ndarray] = {}

    def read(self) -> object:
        """The content of ``data.pkl``."""
        byte_order = f"{self.folder}byteorder"
        if byte_order in self.archive.namelist() and self._member(byte_order) != b"little":
            raise ValueError("its numbers are big-endian, which is not supported")
        admitted = {
            ("collections", "OrderedDict"): AdmittedFunction(dict),
            ("torch._utils", "_rebuild_tensor_v2"): AdmittedFunction(self._rebuild_tensor),
            ("torch._utils", "_rebuild_parameter"): AdmittedFunction(_rebuild_parameter),
            **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGES.items()},
        }
        pickled = self._member(f"{self.folder}{_PICKLE}")  # its checksum is verified
        content = load_admitted(io.BytesIO(pickled), len(pickled), admitted, self._storage)
        return plain_values(content, _tensor)

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = self.archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed, which torch.save never does")
        return info

    def _member(self, name: str) -> bytes:
        return self.archive.read(self._info(name))

    def _storage(self, pid: object) -> np.ndarray:
        """The numbers of the storage with the id ``("storage", type, key, device, count)``."""
        if type(pid) is not tuple or len(pid) != 5:
            raise ValueError("an object outside the pickle that is no storage")
        kind, storage_type, key, _device, count = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise ValueError(f"unknown kind of storage {shown(kind)}")
        if not isinstance(key, str):
            raise ValueError("a storage without a name")
        if (key, storage_type) not in self.storages:
            raw = bytearray(self._member(f"{self.folder}data/{key}"))
            self.storages[key, storage_type] = _numbers(raw, storage_type.dtype)
        numbers = self.storages[key, storage_type]
        if len(numbers) != count:
            raise ValueError(f"storage {shown(key)} has {len(numbers)} numbers, not {shown(count)}")
        return numbers

    def _rebuild_tensor(
        self, storage: object, offset: object, shape: object, strides: object, *_: object
    ) -> np.ndarray:
        tensor = _rebuild_tensor(storage, offset, shape, strides)
        self.num_bytes_left -= tensor.nbytes
        if self.num_bytes_left < 0:
            raise ValueError(f"its tensors are over {_MOST_OFTEN} times as long as the file")
        return tensor


def _numbers(raw: bytearray, dtype: str) -> np.ndarray:
    if dtype != _BFLOAT16:
        return np.frombuffer(raw, np.dtype(dtype))
    upper: np.ndarray = np.frombuffer(raw, "<u2").astype(np.uint32)
    return (upper << np.uint32(16)).view(np.float32)


def _rebuild_tensor(storage: object, offset: object, shape: object, strides: object) -> np.ndarray:
    """The view that a tensor's shape, strides and offset (in numbers) cut out of its storage."""
    if type(shape) is not tuple or type(strides) is not tuple or len(shape) != len(strides):
        raise ValueError("a tensor with strides of another rank than its shape")
    if not isinstance(storage, np.ndarray) or len(shape) > _MOST_AXES:
        raise ValueError("a tensor without a storage, or with too many axes")
    if any(type(number) is not int or number < 0 for number in (offset, *shape, *strides)):
        raise ValueError("a tensor with a negative size, stride or offset")
    count = math.prod(shape)
    if count == 0:
        return np.zeros(tuple(shape), storage.dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    # A view that repeats its numbers could be of any size: no weight is one.
    if last >= len(storage) or count > len(storage):
        raise ValueError(
            f"a tensor {shown(list(shape))} is outside its storage of {len(storage)} numbers"
        )
    steps = [stride * storage.itemsize for stride in strides]
    # Not a copy: many tensors can lie in one storage, as those that a network ties together do.
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps)


def _rebuild_parameter(data: object, *_: object) -> np.ndarray:
    return _tensor(data)


def _tensor(leaf: object) -> np.ndarray:
    """What is left beside plain values and containers must be a tensor."""
    if not isinstance(leaf, np.ndarray):
        raise ValueError(f"a {type(leaf).__name__.lstrip('_')} is no content")
    return leaf
