"""ONNX Runtime: the fastest here for one frame on a CPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path

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
from paddlevideo.runtime.engines.onnx_file import read_checked_bytes
from paddlevideo.utils.cpu_threads import available_cores
from paddlevideo.utils.errors import BundleError, DeviceError
from paddlevideo.utils.packages import is_installed, require_packages

_GPU, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_FATAL_ONLY = 4  # errors come as exceptions too


def onnxruntime_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises; its own errors have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [
        kind for kind in vars(state).values() if isinstance(kind, type) and Exception in kind.mro()
    ]
    return (RuntimeError, ValueError, *own)


class OnnxRuntimeEngine(Engine):
    """A ``.onnx`` file in ONNX Runtime.

    Args:
        path: the file.
        output_names: our names of the outputs, in the program's order.

    Raises:
        BundleError: the engine refuses the file.
        DeviceError: the package is missing, or is asked for what it cannot do.
    """

    name: EngineName = "onnxruntime"
    max_batch_per_thread = 8  # past this, a larger batch gives no more frames a second on a core
    thread_safe = True
    declared: Mapping[str, DeclaredInput] = {}  # it refuses what does not fit

    def __init__(self, path: Path, output_names: Sequence[str], options: EngineOptions) -> None:
        require_packages("ONNX Runtime", "onnxruntime", otherwise="use --engine paddle")
        if not path.is_file():
            raise BundleError(f"{path} is missing; export the model again")
        import onnxruntime

        # Given as bytes, so that nothing but the file is read.
        data = read_checked_bytes(path) if is_installed("onnx") else path.read_bytes()
        self._library = onnxruntime
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.cpu_threads or available_cores()
        # A waiting thread would keep a core busy between two frames.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        settings.log_severity_level = _FATAL_ONLY
        try:
            self._session = onnxruntime.InferenceSession(
                data, settings, providers=_providers(options, onnxruntime.get_available_providers())
            )
        except DeviceError:
            raise
        # Its own errors have no base of their own, and its bindings raise others.
        except Exception as error:  # noqa: BLE001
            raise BundleError(f"{path}: ONNX Runtime refuses it: {str(error)[:500]}") from None
        self._errors = onnxruntime_errors()
        self._path = path
        self._output_names = list(output_names)
        check_outputs(path, len(self._session.get_outputs()), output_names)
        # Asked for once: the session makes the whole list anew each time.
        self._input_names = [node.name for node in self._session.get_inputs()]
        self._known_inputs = set(self._input_names)
        self._raw_outputs = [output.name for output in self._session.get_outputs()]

    @classmethod
    def open(cls, files: ProgramFiles, options: EngineOptions) -> "OnnxRuntimeEngine":
        """As `Engine.open`."""
        onnx = the_file(files.onnx, "onnxruntime", files.program)
        return cls(onnx, files.outputs, options)

    @property
    def input_names(self) -> list[str]:
        """The program's own names of its inputs."""
        return list(self._input_names)

    def run_tensors(self, inputs: Mapping[str, EngineTensor]) -> dict[str, EngineTensor]:
        """The same for tensors of the engine; every run allocates its outputs anew."""
        if inputs.keys() != self._known_inputs:
            raise wrong_inputs(self._path, inputs, self._input_names)
        given = {name: inputs[name] for name in self._input_names}
        try:
            outputs = self._session.run_with_ort_values(self._raw_outputs, given)
        except self._errors as error:
            shapes = ", ".join(f"{k} {v.shape()} {v.data_type()}" for k, v in given.items())
            raise BundleError(f"{self._path} cannot run on {shapes}: {error}") from None
        return dict(zip(self._output_names, outputs, strict=True))

    def tensor(self, array: np.ndarray) -> EngineTensor:
        """A tensor of the engine that shares the array's memory."""
        try:
            return self._library.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
        except self._errors as error:
            raise BundleError(f"{self._path} cannot run on {array.dtype}: {error}") from None

    def array(self, tensor: EngineTensor) -> np.ndarray:
        """A copy of the engine's tensor."""
        # What `numpy` gives may lie in the memory of the array that the tensor was made of, which
        # goes with the tensor.
        return np.array(tensor.numpy())


def _providers(options: EngineOptions, available: Sequence[str]) -> list[str]:
    if options.use_tensorrt:
        raise DeviceError("--use_tensorrt is Paddle's; use --engine paddle with it")
    has_gpu = _GPU in available
    if options.device == "gpu" and not has_gpu:
        raise DeviceError(
            "a GPU was asked for, but this ONNX Runtime has none; use --use_gpu=False, or install "
            "onnxruntime-gpu"
        )
    return [_GPU, _CPU] if has_gpu and options.device != "cpu" else [_CPU]
