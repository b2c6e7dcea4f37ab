"""A step of a .tflite stream in LiteRT (XNNPACK), by the two ways that its Python API offers."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

IMAGE = "image"


def has_litert() -> bool:
    """Whether the package that runs .tflite files is installed."""
    return importlib.util.find_spec("ai_edge_litert") is not None


def step_by_views(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Frame to logits; the new states are copied over the old in the interpreter's own memory.

    One copy less than with ``get_tensor`` and ``set_tensor``: the least that this interpreter
    allows, as the inputs and outputs of its graph lie apart.
    """
    interpreter, inputs, outputs = _opened(path, threads)

    def view(detail: dict[str, Any]) -> Callable[[], np.ndarray]:
        return interpreter.tensor(detail["index"])

    image, states = view(inputs[IMAGE]), [name for name in inputs if name != IMAGE]
    pairs = [(view(inputs[name]), view(outputs[name])) for name in states]
    (logits,) = (view(detail) for name, detail in outputs.items() if name not in inputs)
    for old, _ in pairs:
        old()[...] = 0

    def step(frame: np.ndarray) -> np.ndarray:
        image()[...] = frame
        interpreter.invoke()
        for old, new in pairs:
            np.copyto(old(), new())
        return logits().copy()

    return step


def step_by_signature(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Frame to logits through the signature runner, which hands the states out as arrays."""
    interpreter, inputs, outputs = _opened(path, threads)
    runner = interpreter.get_signature_runner()
    (logits,) = (name for name in outputs if name not in inputs)
    states = {
        name: np.zeros(detail["shape"], detail["dtype"])
        for name, detail in inputs.items()
        if name != IMAGE
    }

    def step(frame: np.ndarray) -> np.ndarray:
        given = runner(image=frame, **states)
        states.update({name: given[name] for name in states})
        return given[logits]

    return step


def run_alone(path: Path, threads: int) -> Callable[[], None]:
    """The graph of any file on what its inputs hold, nothing copied in or out."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        shape, dtype = detail["shape"], np.dtype(detail["dtype"])
        whole = dtype.kind in "iu"
        value = rng.integers(0, 100, shape, dtype) if whole else rng.random(shape).astype(dtype)
        interpreter.set_tensor(detail["index"], value)
    return interpreter.invoke


def frame_shape(path: Path) -> tuple[int, ...]:
    """Of the frames that the steps take, float32 in [0, 1]."""
    return tuple(_opened(path, 1)[1][IMAGE]["shape"])


def _opened(path: Path, threads: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The interpreter, XNNPACK within it, and the details of its inputs and outputs by name."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    return interpreter, runner.get_input_details(), runner.get_output_details()
