"""The interface of an engine and the options all of them share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np


@dataclass(frozen=True)
class EngineOptions:
    """How a program is to be run.

    Attributes:
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``gpu``.
        cpu_threads: threads of the math library on the CPU; None is all cores.
        onednn: use oneDNN's kernels on the CPU.
        ir_optim: let the engine optimise the graph.
        gpu_memory_mb: initial GPU memory pool.
        use_tensorrt: run through TensorRT (GPU builds only).
        precision: of TensorRT.
    """

    device: Literal["auto", "cpu", "gpu"] = "auto"
    cpu_threads: int | None = None
    onednn: bool = True
    ir_optim: bool = True
    gpu_memory_mb: int = 8000
    use_tensorrt: bool = False
    precision: Literal["fp32", "fp16", "int8"] = "fp32"


class Engine(Protocol):
    """A loaded program."""

    @property
    def input_names(self) -> list[str]:
        """The program's own names of its inputs."""
        ...

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the outputs of one batch, all by name."""
        ...
