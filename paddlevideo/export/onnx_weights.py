"""Store the weights of an ONNX file in fewer bytes; the operations that bring them back are in it.

float16: ``Cast``. int8: ``Cast`` and ``Mul`` with one scale for each output channel. Both have only
constants for inputs, so ONNX Runtime folds them once, when it loads the file: the graph it runs is
that of the float32 file. (``DequantizeLinear`` it would leave in place, and compute in every run.)
"""

from collections.abc import Callable, Iterable, Mapping, MutableSequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from paddlevideo.export.half_weights import fits_half
from paddlevideo.utils.eight_bits import symmetric_int8

if TYPE_CHECKING:
    from onnx import ModelProto

Storage = Literal["float32", "float16", "int8"]
Item = TypeVar("Item")

_SMALL = 64  # fewer numbers than that are not worth two operations
_HALF, _INTEGER, _SCALE, _CAST = "_half", "_int8", "_scale", "_unscaled"


def store_as_half(path: Path) -> None:
    """Rewrite the ``.onnx`` file with its float32 weights stored as float16."""
    import onnx

    model = onnx.load(str(path))
    store_weights(model, lambda _name, _array: "float16")
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def store_weights(model: "ModelProto", choose: Callable[[str, np.ndarray], Storage]) -> None:
    """Change how the float32 initialisers of ``model`` are stored.

    Args:
        model: an ``onnx.ModelProto``; changed in place.
        choose: how to store an initialiser, by its name and value. Vectors are stored as float16
            where int8 is asked for, and as they are what float16 cannot hold or is a few numbers.
    """
    from onnx import TensorProto, helper, numpy_helper

    kept, nodes = [], []
    for initializer in model.graph.initializer:
        array = numpy_helper.to_array(initializer)
        name = initializer.name
        storage = _storage(choose, name, array)
        if storage == "float32":
            kept.append(initializer)
        elif storage == "float16":
            kept.append(numpy_helper.from_array(array.astype(np.float16), name + _HALF))
            nodes.append(helper.make_node("Cast", [name + _HALF], [name], to=TensorProto.FLOAT))
        else:
            whole, scale = symmetric_int8(array)
            kept.append(numpy_helper.from_array(whole, name + _INTEGER))
            kept.append(numpy_helper.from_array(scale, name + _SCALE))
            cast = helper.make_node("Cast", [name + _INTEGER], [name + _CAST], to=TensorProto.FLOAT)
            nodes += [cast, helper.make_node("Mul", [name + _CAST, name + _SCALE], [name])]
    replace_items(model.graph.initializer, kept)
    replace_items(model.graph.node, [*nodes, *model.graph.node])


def stored_values(model: "ModelProto") -> Mapping[str, np.ndarray]:
    """The initialisers of a graph as it computes with them, whatever they are stored as."""
    from onnx import numpy_helper

    values = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    for node in model.graph.node:
        known = [values[name] for name in node.input if name in values]
        if len(known) == len(node.input) and node.op_type == "Cast":
            values[node.output[0]] = known[0].astype(np.float32)
        elif len(known) == len(node.input) and node.op_type == "Mul":
            values[node.output[0]] = known[0] * known[1]
    return values


def _storage(choose: Callable[[str, np.ndarray], Storage], name: str, array: np.ndarray) -> Storage:
    if array.dtype != np.float32 or array.size < _SMALL:
        return "float32"
    storage = choose(name, array)
    if storage == "int8" and array.ndim < 2:
        storage = "float16"
    if storage == "float16" and not fits_half(array):
        return "float32"
    return storage


def replace_items(field: MutableSequence[Item], values: Iterable[Item]) -> None:
    """Let a repeated field of a message hold ``values``, which may be some of its own."""
    values = list(values)
    del field[:]
    field.extend(values)
