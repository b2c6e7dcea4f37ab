"""Small good files of every format of weights, and the readers they are for."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
from convert.tensorflow.writer import write_bundle
from convert.torch_writer import write_torch_file

from paddlevideo.convert.golden import Golden
from paddlevideo.convert.import_tensorflow import import_tensorflow
from paddlevideo.convert.movinet_pytorch import import_pytorch
from paddlevideo.convert.tensorflow import Bundle, find_prefix
from paddlevideo.convert.torch_file import read_torch_file
from paddlevideo.utils.errors import WeightsError
from paddlevideo.weights import read_weights, write_weights

ARRAYS = {
    "a.weight": np.linspace(-1, 1, 24).reshape(2, 3, 4).astype("float32"),
    "a.bias": np.arange(5.0),
    "count": np.array(7, "int64"),
    "flag": np.array([True, False]),
}


def file_bytes(kind: str, folder: Path) -> bytes:
    """A good file of a kind: its extension, with the protocol of a pickle in front."""
    path = folder / "good"
    if kind.startswith("pickle"):
        return pickle.dumps(OrderedDict(ARRAYS), int(kind[6:]))
    if kind == "pt":
        write_torch_file(path, OrderedDict(ARRAYS, epoch=3))
        return path.read_bytes()
    if kind == "safetensors":
        write_weights(path.with_suffix(".safetensors"), ARRAYS)
        return path.with_suffix(".safetensors").read_bytes()
    if kind in ("npz", "golden"):
        names = {"npz": "weight/{}", "golden": "{}"}[kind]
        content = {names.format(name): array for name, array in ARRAYS.items()}
        if kind == "golden":
            content["input"] = np.zeros((1, 2, 4, 4, 3), "float32")
            content["config"] = np.array('{"model_id": "a0"}')
        file = io.BytesIO()
        np.savez(file, **content)
        return file.getvalue()
    numbers = {name: array for name, array in ARRAYS.items() if array.dtype != bool}
    write_bundle(folder / "tf", numbers, {"_CHECKPOINTABLE_OBJECT_GRAPH": b"\x0a\x00"})
    name = "tf.index" if kind == "index" else "tf.data-00000-of-00001"
    return (folder / name).read_bytes()


def read(kind: str, folder: Path, data: bytes) -> int:
    """Read ``data`` as a user would; return the bytes of all arrays."""
    if kind.startswith("pickle"):
        return _bytes_of(read_weights(_written(folder / "a.pdparams", data)))
    if kind == "pt":
        path = _written(folder / "a.pt", data)
        content = read_torch_file(path)
        _no_answer(import_pytorch, path)
        return _bytes_of(content)
    if kind == "safetensors":
        return _bytes_of(read_weights(_written(folder / "a.safetensors", data)))
    if kind == "npz":
        return _bytes_of(import_tensorflow(_written(folder / "a.npz", data)).arrays)
    if kind == "golden":
        golden = Golden(_written(folder / "a.npz", data))
        golden.config()
        return _bytes_of({**golden.arrays, "clip": golden.clip_BTCHW()})
    name = "tf.index" if kind == "index" else "tf.data-00000-of-00001"
    path = _written(folder / name, data)
    _no_answer(import_tensorflow, path)
    bundle = Bundle(find_prefix(path))
    for key in bundle.entries:
        bundle.verify(key)
    return _bytes_of({k: bundle.read(k) for k in bundle.entries if not k.startswith("_")})


def zip_of(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def _no_answer(reader, path: Path) -> None:
    """These small files hold no network: an error of ours, whatever else happens."""
    try:
        reader(path)
    except WeightsError:
        return
    raise AssertionError("a network was found")


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _bytes_of(arrays: dict) -> int:
    total = 0
    for array in arrays.values():
        if isinstance(array, np.ndarray):
            assert array.copy().nbytes == array.size * array.itemsize
            total += array.nbytes
    return total
