"""LiteRT (TensorFlow Lite): what phones run."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from paddlevideo.runtime.engines.base import (
    DeclaredInput,
    Engine,
    EngineName,
    EngineOptions,
    EngineTensor,
    ProgramFiles,
    check_outputs,
    the_file,
    wrong_inputs,
)
from paddlevideo.utils.cpu_threads import available_cores
from paddlevideo.utils.errors import BundleError, DeviceError
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.packages import require_packages

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

# The signature of our files says so: tensors of four axes [B, C, H, W] are [B, H, W, C] in them,
# clips [B, T, C, H, W] are [B, T, H, W, C].
SIGNATURE = "channels_last"
_ANY = -1
_WITH_CHANNELS = (4, 5)  # axes
# NumPy turns a frame of 172x172 seven times as fast channel by channel, OpenCV fifty times.
_FEW_CHANNELS = 4
# What its Python raises on a damaged file, beside its own RuntimeError and ValueError.
_ERRORS = (RuntimeError, ValueError, MemoryError, IndexError, KeyError, TypeError, SystemError)


class _Tensor(NamedTuple):
    """An input or output of the file, in its own order of axes."""

    number: int
    shape: tuple[int, ...]
    dtype: np.dtype


class LiteRtEngine(Engine):
    """A ``.tflite`` file with the signature ``channels_last``, in LiteRT with XNNPACK.

    Its tensors are arrays whose channels are last, as the file has them. A file of one stream
    takes several one after the other.

    Args:
        path: the file.
        output_names: our names of the outputs, which are the signature's.

    Attributes:
        declared: shape and dtype of each input, in our order of axes.

    Raises:
        BundleError: the engine refuses the file, or it has no such signature.
        DeviceError: the package is missing, or is asked for what it cannot do.
    """

    name: EngineName = "litert"
    max_batch_per_thread = 1
    thread_safe = False

    def __init__(self, path: Path, output_names: Sequence[str], options: EngineOptions) -> None:
        _check(options)
        if not path.is_file():
            raise BundleError(f"{path} is missing; export the model again")
        if path.stat().st_size > limit("tflite_bytes"):
            raise BundleError(f"{path} is too large; {how_to_raise('tflite_bytes')}")
        self._path = path
        self._interpreter, self._inputs, outputs = _opened(
            path, options.cpu_threads or available_cores()
        )
        _check_names(path, outputs, output_names)
        self._outputs = {name: outputs[name].number for name in output_names}
        self.declared: Mapping[str, DeclaredInput] = {
            name: DeclaredInput(_any_batch(_channels_second(each.shape)), str(each.dtype))
            for name, each in self._inputs.items()
        }

    @classmethod
    def open(cls, files: ProgramFiles, options: EngineOptions) -> "LiteRtEngine":
        """As `Engine.open`."""
        tflite = the_file(files.tflite, "litert", files.program or files.onnx)
        return cls(tflite, files.outputs, options)

    @property
    def input_names(self) -> list[str]:
        """The program's own names of its inputs."""
        return list(self._inputs)

    def run_tensors(self, inputs: Mapping[str, EngineTensor]) -> dict[str, EngineTensor]:
        """The same for arrays with channels last; the outputs are copied out of the interpreter."""
        if inputs.keys() != self._inputs.keys():
            raise wrong_inputs(self._path, inputs, self._inputs)
        rows = self._rows(inputs)
        if rows is None:
            return self._run_once(inputs)
        each = [
            self._run_once({name: array[row : row + 1] for name, array in inputs.items()})
            for row in range(rows)
        ]
        return {name: np.concatenate([one[name] for one in each]) for name in self._outputs}

    def tensor(self, array: np.ndarray) -> EngineTensor:
        """The array with its channels last; one of less than four axes as it is."""
        if array.ndim not in _WITH_CHANNELS:
            return np.ascontiguousarray(array)
        last = np.moveaxis(array, -3, -1)
        if last.flags.c_contiguous or last.shape[-1] > _FEW_CHANNELS:
            return np.ascontiguousarray(last)
        if array.ndim == 4 and len(array) == 1:
            return cv2.merge(list(array[0])).reshape(last.shape)
        copy = np.empty(last.shape, last.dtype)
        for channel in range(last.shape[-1]):
            copy[..., channel] = last[..., channel]
        return copy

    def array(self, tensor: EngineTensor) -> np.ndarray:
        """A copy of the tensor in our order of axes."""
        ours = np.moveaxis(tensor, -1, -3) if tensor.ndim in _WITH_CHANNELS else tensor
        return np.array(ours, order="C")

    def _rows(self, inputs: Mapping[str, EngineTensor]) -> int | None:
        """How many streams are run one after the other; None where the file takes all at once."""
        rows = {len(array) for array in inputs.values() if array.ndim}
        fits = len(rows) == 1 and all(
            array.shape[1:] == own.shape[1:] and array.dtype == own.dtype
            for array, own in ((array, self._inputs[name]) for name, array in inputs.items())
        )
        sizes = {own.shape[0] for own in self._inputs.values()}
        if not fits or not (sizes == rows or sizes == {1}):
            given = ", ".join(f"{k} {list(v.shape)} {v.dtype}" for k, v in inputs.items())
            takes = ", ".join(f"{k} {list(v.shape)} {v.dtype}" for k, v in self._inputs.items())
            raise BundleError(
                f"{self._path} cannot run on {given[:500]}: with its channels last it takes "
                f"{takes[:500]}"
            )
        return None if sizes == rows else rows.pop()

    def _run_once(self, inputs: Mapping[str, EngineTensor]) -> dict[str, EngineTensor]:
        try:
            for name, own in self._inputs.items():
                self._interpreter.set_tensor(own.number, inputs[name])
            self._interpreter.invoke()
            return {n: self._interpreter.get_tensor(index) for n, index in self._outputs.items()}
        except _ERRORS as error:
            raise BundleError(f"{self._path} cannot run: {str(error)[:500]}") from None


def _check(options: EngineOptions) -> None:
    require_packages("LiteRT", "ai_edge_litert", otherwise="use --engine onnxruntime")
    if options.use_tensorrt:
        raise DeviceError("--use_tensorrt is Paddle's; use --engine paddle with it")
    if options.device == "gpu":
        raise DeviceError("LiteRT runs on the CPU here; use --use_gpu=False, or another --engine")


def _opened(
    path: Path, threads: int
) -> "tuple[Interpreter, dict[str, _Tensor], dict[str, _Tensor]]":
    """The interpreter, its memory taken, and what goes in and out by the signature's names."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        # Given as bytes: a file that changes while it is mapped ends the process.
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
        signatures = list(interpreter.get_signature_list())
        if signatures == [SIGNATURE]:
            _check_sizes(interpreter.get_tensor_details(), path)
            interpreter.allocate_tensors()
            runner = interpreter.get_signature_runner(SIGNATURE)
            inputs, outputs = runner.get_input_details(), runner.get_output_details()
            return interpreter, _tensors(inputs), _tensors(outputs)
    except _ERRORS as error:
        raise BundleError(f"{path}: LiteRT refuses it: {str(error)[:500]}") from None
    found = ", ".join(map(str, signatures))[:200] or "none"
    raise BundleError(
        f"{path} has the signatures: {found}; expected {SIGNATURE} alone, as --format tflite "
        "writes it"
    )


def _tensors(details: Mapping[str, Mapping[str, Any]]) -> dict[str, _Tensor]:
    found = {
        name: _Tensor(int(each["index"]), tuple(map(int, each["shape"])), np.dtype(each["dtype"]))
        for name, each in details.items()
    }
    without = sorted(name for name, tensor in found.items() if not tensor.shape)
    if without or not found:
        raise ValueError(f"tensors without axes: {', '.join(without)[:200] or 'none at all'}")
    return found


def _check_names(path: Path, found: Collection[str], stated: Sequence[str]) -> None:
    check_outputs(path, len(found), stated)
    differing = sorted(set(stated) ^ set(found))
    if differing:
        raise BundleError(
            f"{path} and the manifest differ in their outputs: {', '.join(differing)[:200]}; "
            "export the model again"
        )


def _check_sizes(tensors: Sequence[Mapping[str, np.ndarray]], path: Path) -> None:
    """Refuse tensors that are over the limit before memory is taken for them."""
    largest = max((math.prod(map(int, each["shape"])) for each in tensors), default=0)
    if 4 * largest > limit("tensor_bytes"):
        raise BundleError(f"{path} has a tensor that is too large; {how_to_raise('tensor_bytes')}")


def _channels_second(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-3], shape[-1], *shape[-3:-1]) if len(shape) in _WITH_CHANNELS else shape


def _any_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (_ANY, *shape[1:]) if shape[:1] == (1,) else shape
