"""Write ``torch.save`` files without PyTorch: stand-ins under PyTorch's names are pickled."""

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

STORAGES = {
    "float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage", "int64": "LongStorage", "int32": "IntStorage",
    "uint8": "ByteStorage", "bool": "BoolStorage",
}  # fmt: skip


class Tensor:
    """A view of a storage: shape, strides and offset in numbers."""

    def __init__(self, storage, shape, strides, offset=0, dtype=None):
        self.storage, self.shape, self.strides, self.offset = storage, shape, strides, offset
        self.dtype = dtype or str(storage.dtype)

    @classmethod
    def of(cls, array: np.ndarray) -> "Tensor":
        array = np.asarray(array, order="C")
        strides = tuple(step // array.itemsize for step in array.strides)
        return cls(array.reshape(-1), array.shape, strides)


def write_torch_file(
    path: Path, content, folder: str = "archive", compression=zipfile.ZIP_STORED, extra=()
) -> None:
    """Write ``content``, in which `Tensor` and NumPy arrays stand for tensors."""
    storages: dict[int, tuple[str, np.ndarray]] = {}
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    kinds = {}
    for dtype, name in STORAGES.items():
        kinds[dtype] = type(name, (), {"__module__": "torch", "__qualname__": name})
        setattr(torch, name, kinds[dtype])

    def _rebuild_tensor_v2():
        raise AssertionError

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        "torch._utils",
        "_rebuild_tensor_v2",
    )
    utils._rebuild_tensor_v2, torch._utils = _rebuild_tensor_v2, utils

    class Storage:
        def __init__(self, array, dtype):
            self.array, self.dtype = array, dtype

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, Storage):
                return None
            key, _ = storages.setdefault(id(value.array), (str(len(storages)), value.array))
            return ("storage", kinds[value.dtype], key, "cpu", len(value.array))

        def reducer_override(self, value):
            if isinstance(value, np.ndarray):
                value = Tensor.of(value)
            if not isinstance(value, Tensor):
                return NotImplemented
            storage = Storage(value.storage, value.dtype)
            arguments = (storage, value.offset, value.shape, value.strides, False, OrderedDict())
            return _rebuild_tensor_v2, arguments

    file = io.BytesIO()
    known = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        Pickler(file, 2).dump(content)
    finally:
        for name, module in known.items():
            sys.modules.pop(name) if module is None else sys.modules.__setitem__(name, module)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", file.getvalue())
        for key, array in storages.values():
            archive.writestr(f"{folder}/data/{key}", array.tobytes())
        for name, data in ((f"{folder}/version", b"3\n"), *extra):
            archive.writestr(name, data)
