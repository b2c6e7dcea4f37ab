"""The interface of an engine and the options all of them share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np

from paddlevideo.utils.errors import BundleError, ConfigError, nearest_hint

DeviceName = Literal["auto", "cpu", "gpu"]
DEVICE_NAMES: tuple[DeviceName, ...] = get_args(DeviceName)
Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
EngineName = Literal["auto", "paddle", "onnxruntime", "compiled"]
ENGINE_NAMES: tuple[EngineName, ...] = get_args(EngineName)


@dataclass(frozen=True)
class EngineOptions:
    """How a program is to be run.

    Attributes:
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``gpu``.
        cpu_threads: threads of the math library on the CPU; None is all cores.
        onednn: use oneDNN's kernels on the CPU (Paddle).
        ir_optim: let the engine optimise the graph (Paddle).
        gpu_memory_mb: initial GPU memory pool (Paddle).
        use_tensorrt: run through TensorRT (GPU builds of Paddle only).
        precision: of TensorRT.
        tensorrt_max_batch: clips or streams at a time that TensorRT prepares for.
        tensorrt_cache: folder for the engines it builds; None is one beside the program.
        engine: ``paddle``, ``onnxruntime``, ``compiled``, or ``auto``: see `open_engine`.
    """

    device: DeviceName = "auto"
    cpu_threads: int | None = None
    onednn: bool = True
    ir_optim: bool = True
    gpu_memory_mb: int = 8000
    use_tensorrt: bool = False
    precision: Precision = "fp32"
    engine: EngineName = "auto"
    tensorrt_max_batch: int = 8
    tensorrt_cache: Path | None = None

    def __post_init__(self) -> None:
        for name, known in (
            ("device", DEVICE_NAMES), ("precision", PRECISIONS), ("engine", ENGINE_NAMES),
        ):  # fmt: skip
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(
                    f"{name}={str(value)[:100]!r}: {nearest_hint(str(value)[:100], known)}"
                )
        for name in ("cpu_threads", "gpu_memory_mb", "tensorrt_max_batch"):
            value = getattr(self, name)
            if value is None and name == "cpu_threads":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"{name}={str(value)[:100]!r}, expected a whole number of at least 1"
                )
        for name in ("onednn", "ir_optim", "use_tensorrt"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(
                    f"{name}={str(getattr(self, name))[:100]!r}, expected True or False"
                )


def wrong_inputs(path: Path, given: Iterable[str], expected: Iterable[str]) -> BundleError:
    """The error of a run with too few or too many inputs."""
    missing = sorted(set(expected) - set(given))
    unknown = sorted(set(given) - set(expected))
    return BundleError(
        f"{path} cannot run: missing inputs: {', '.join(missing)[:200] or 'none'}; unknown inputs: "
        f"{', '.join(unknown)[:200] or 'none'}"
    )


class Engine(Protocol):
    """A loaded program."""

    @property
    def input_names(self) -> list[str]:
        """The program's own names of its inputs."""
        ...

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the outputs of one batch, all by name."""
        ...


class TensorEngine(Engine, Protocol):
    """An engine whose tensors stay where it computes.

    What one run gives can be an input of the next without passing through NumPy.

    Attributes:
        name: as in `EngineOptions.engine`.
        together: streams that a thread steps together at most; one where more gain nothing, so
            that a stream without a frame costs nothing.
        shareable: several threads may run it at the same time, each with tensors of its own.
    """

    name: str
    together: int
    shareable: bool

    def run_tensors(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The same for tensors of the engine; no later run changes them."""
        ...

    def tensor(self, array: np.ndarray) -> Any:
        """A tensor of the engine; it may share the array's memory."""
        ...

    def array(self, tensor: Any) -> np.ndarray:
        """A copy of the engine's tensor."""
        ...
