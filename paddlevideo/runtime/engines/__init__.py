"""Engines: what runs an exported program. Each takes and gives named NumPy arrays."""

from paddlevideo.runtime.engines.base import Engine, EngineOptions, TensorEngine
from paddlevideo.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from paddlevideo.runtime.engines.open_engine import ProgramFiles, engines_of, open_engine
from paddlevideo.runtime.engines.paddle_inference import PaddleEngine

__all__ = [
    "Engine",
    "EngineOptions",
    "OnnxRuntimeEngine",
    "PaddleEngine",
    "ProgramFiles",
    "TensorEngine",
    "engines_of",
    "open_engine",
]
