"""Engines: what runs an exported program. Each takes and gives named NumPy arrays.

`base.Engine` is their interface, `open_engine.ENGINES` lists them. Paddle, ONNX Runtime and numba
are imported when a program is opened in their engine. May import what ``runtime`` may.
"""

from paddlevideo.runtime.engines.base import Engine, EngineOptions, ProgramFiles
from paddlevideo.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from paddlevideo.runtime.engines.open_engine import engines_of, open_engine

__all__ = [
    "Engine",
    "EngineOptions",
    "OnnxRuntimeEngine",
    "ProgramFiles",
    "engines_of",
    "open_engine",
]
