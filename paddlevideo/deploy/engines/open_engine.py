"""Choose the engine of a program, and open it."""

import logging
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.deploy.engines.base import EngineOptions, TensorEngine
from paddlevideo.deploy.engines.onnx_runtime import OnnxRuntimeEngine, has_onnxruntime
from paddlevideo.deploy.engines.paddle_inference import PaddleEngine, has_gpu
from paddlevideo.utils.errors import BundleError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProgramFiles:
    """Where a program lies.

    Attributes:
        program, params: of Paddle; None where there is ONNX alone.
        onnx: the same as ONNX, None where it was not exported.
        outputs: our names of its outputs, in order.
    """

    program: Path | None
    params: Path | None
    onnx: Path | None
    outputs: tuple[str, ...]


def open_engine(files: ProgramFiles, options: EngineOptions) -> TensorEngine:
    """Open ``files`` in the engine that ``options`` names.

    ``auto`` is ONNX Runtime on a CPU where the bundle has an ONNX file and the package is
    installed, or where there is nothing else, and Paddle Inference otherwise.

    Raises:
        BundleError: the bundle has no file for the engine that is asked for, or the engine
            refuses it.
        DeviceError: the engine, the GPU or TensorRT is not there.
    """
    if options.engine == "onnxruntime" and files.onnx is None and files.program is not None:
        raise BundleError(
            f"{files.program.parent} holds no ONNX file; export with --format paddle,onnx, or use "
            "--engine paddle"
        )
    if files.onnx is not None and _wants_onnxruntime(options, files.program is not None):
        logger.debug("%s runs in ONNX Runtime", files.onnx)
        return OnnxRuntimeEngine(files.onnx, files.outputs, options)
    if files.program is None or files.params is None:
        raise BundleError(
            f"{files.onnx} is an ONNX file without a program of Paddle's (a quantised bundle); it "
            "runs in ONNX Runtime: --engine onnxruntime, --use_tensorrt=False"
        )
    return PaddleEngine(files.program, files.params, files.outputs, options)


def _wants_onnxruntime(options: EngineOptions, has_choice: bool) -> bool:
    if options.engine != "auto":
        return options.engine == "onnxruntime"
    if not has_choice:
        return not options.use_tensorrt
    on_cpu = options.device == "cpu" or (options.device == "auto" and not has_gpu())
    return on_cpu and not options.use_tensorrt and has_onnxruntime()
