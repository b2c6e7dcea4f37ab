"""Engines: what runs an exported program. Each takes and gives named NumPy arrays."""

from paddlevideo.deploy.engines.base import Engine, EngineOptions
from paddlevideo.deploy.engines.paddle_inference import PaddleEngine

__all__ = ["Engine", "EngineOptions", "PaddleEngine"]
