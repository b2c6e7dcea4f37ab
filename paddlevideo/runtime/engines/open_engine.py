"""Choose the engine of a program, and open it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.runtime.engines.base import EngineName, EngineOptions, TensorEngine
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine, can_compile, has_compiled
from paddlevideo.runtime.engines.compiled.graph import UnsupportedProgramError
from paddlevideo.runtime.engines.onnx_runtime import OnnxRuntimeEngine, has_onnxruntime
from paddlevideo.runtime.engines.paddle_inference import PaddleEngine, has_gpu
from paddlevideo.utils.errors import BundleError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProgramFiles:
    """Where a program lies.

    Attributes:
        files: by the name of their format.
        outputs: our names of its outputs, in order.
    """

    files: Mapping[str, tuple[Path, ...]]
    outputs: tuple[str, ...]

    @property
    def program(self) -> Path | None:
        """Paddle's; None where there is ONNX alone."""
        return self._files("paddle", 2)[0]

    @property
    def params(self) -> Path | None:
        """Its weights."""
        return self._files("paddle", 2)[1]

    @property
    def onnx(self) -> Path | None:
        """The same as ONNX, None where it was not exported."""
        return self._files("onnx", 1)[0]

    def _files(self, name: str, number: int) -> Sequence[Path | None]:
        found = self.files.get(name)
        if found is None:
            return [None] * number
        if len(found) != number:
            raise BundleError(
                f"{', '.join(map(str, found)) or name}: {len(found)} files where a program of the "
                f"format {name} has {number}; export the model again"
            )
        return found


def open_engine(files: ProgramFiles, options: EngineOptions) -> TensorEngine:
    """Open ``files`` in the engine that ``options`` names.

    ``auto`` takes, on a CPU, the first of these that can run the program: the compiled engine and
    ONNX Runtime, where the bundle has an ONNX file and the packages are installed, then Paddle
    Inference; on a GPU, Paddle Inference. That is the order of their speed (docs/benchmarks.md).

    Raises:
        BundleError: the bundle has no file for the engine that is asked for, or the engine
            refuses it.
        DeviceError: the engine, the GPU or TensorRT is not there.
    """
    wanted = options.engine
    if wanted in ("onnxruntime", "compiled") and files.onnx is None and files.program is not None:
        raise BundleError(
            f"{files.program.parent} holds no ONNX file; export with --format paddle,onnx, or use "
            "--engine paddle"
        )
    if files.onnx is not None and _wants_onnx(options, files.program is not None):
        engine = _open_onnx(files.onnx, files, options)
        if engine is not None:
            return engine
    if files.program is None or files.params is None:
        raise BundleError(
            f"{files.onnx} is an ONNX file without a program of Paddle's (a quantised bundle); it "
            "runs in ONNX Runtime: --engine onnxruntime, --use_tensorrt=False"
        )
    return PaddleEngine(files.program, files.params, files.outputs, options)


def engines_of(files: ProgramFiles) -> list[EngineName]:
    """The engines that can run ``files`` on this machine's CPU, the slowest first."""
    names: list[EngineName] = []
    if files.program is not None:
        names.append("paddle")
    if files.onnx is not None:
        if has_onnxruntime():
            names.append("onnxruntime")
        if has_compiled() and can_compile(files.onnx):
            names.append("compiled")
    return names


def _open_onnx(onnx: Path, files: ProgramFiles, options: EngineOptions) -> TensorEngine | None:
    """None where Paddle is what is left to run the program."""
    on_cpu = options.device == "cpu" or (options.device == "auto" and not has_gpu())
    if options.engine == "compiled":
        return CompiledEngine(onnx, files.outputs, options)
    if options.engine == "auto" and on_cpu and has_compiled():
        try:
            return CompiledEngine(onnx, files.outputs, options)
        except UnsupportedProgramError as error:
            logger.debug("%s runs in another engine: %s", onnx, error)
    if options.engine == "auto" and not has_onnxruntime() and files.program is not None:
        return None
    return OnnxRuntimeEngine(onnx, files.outputs, options)


def _wants_onnx(options: EngineOptions, has_choice: bool) -> bool:
    if options.engine != "auto":
        return options.engine != "paddle"
    if not has_choice:
        return not options.use_tensorrt
    on_cpu = options.device == "cpu" or (options.device == "auto" and not has_gpu())
    return on_cpu and not options.use_tensorrt and (has_onnxruntime() or has_compiled())
