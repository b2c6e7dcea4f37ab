"""The interface of an engine and the options all of them share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, get_args

import numpy as np

from paddlevideo.utils.errors import BundleError, ConfigError, nearest_hint, no_effect

DeviceName = Literal["auto", "cpu", "gpu"]
DEVICE_NAMES: tuple[DeviceName, ...] = get_args(DeviceName)
Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
EngineName = Literal["auto", "paddle", "onnxruntime", "compiled", "litert"]
ENGINE_NAMES: tuple[EngineName, ...] = get_args(EngineName)
Products = Literal["float32", "bfloat16"]
PRODUCTS: tuple[Products, ...] = get_args(Products)


def engine_title(name: EngineName) -> str:
    """What a sentence calls an engine."""
    titles = {"paddle": "Paddle Inference", "onnxruntime": "ONNX Runtime"}
    return titles.get(name, f"the {name} engine")


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
        engine: one of `ENGINE_NAMES`; ``auto``: see `open_engine`.
        products: what the compiled engine's matrix products multiply: ``bfloat16`` rounds a float
            bundle's weights and maps to it first, on processors that have an instruction for it.
            Sums are float32.
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
    products: Products = "float32"

    def __post_init__(self) -> None:
        for name, known in (
            ("device", DEVICE_NAMES), ("precision", PRECISIONS), ("engine", ENGINE_NAMES),
            ("products", PRODUCTS),
        ):  # fmt: skip
            value = vars(self)[name]
            if value not in known:
                raise ConfigError(
                    f"{name}={str(value)[:100]!r}: {nearest_hint(str(value)[:100], known)}"
                )
        for name in ("cpu_threads", "gpu_memory_mb", "tensorrt_max_batch"):
            value = vars(self)[name]
            if value is None and name == "cpu_threads":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"{name}={str(value)[:100]!r}, expected a whole number of at least 1"
                )
        for name in ("onednn", "ir_optim", "use_tensorrt"):
            if not isinstance(vars(self)[name], bool):
                raise ConfigError(f"{name}={str(vars(self)[name])[:100]!r}, expected True or False")
        if self.products != "float32" and self.engine not in ("auto", "compiled"):
            raise no_effect(f"products {self.products}", "--engine compiled")


def wrong_inputs(path: Path, given: Iterable[str], expected: Iterable[str]) -> BundleError:
    """The error of a run with too few or too many inputs."""
    missing = sorted(set(expected) - set(given))
    unknown = sorted(set(given) - set(expected))
    return BundleError(
        f"{path} cannot run: missing inputs: {', '.join(missing)[:200] or 'none'}; unknown inputs: "
        f"{', '.join(unknown)[:200] or 'none'}"
    )


def check_outputs(path: Path, number: int, names: Sequence[str]) -> None:
    """Raise `BundleError` unless a program of ``number`` outputs has as many names for them."""
    if number != len(names):
        raise BundleError(
            f"{path} has {number} outputs where {len(names)} are named; export the model again"
        )


class DeclaredInput(NamedTuple):
    """What a program's file says of one input: shape (-1: any size) and dtype."""

    shape: tuple[int, ...]
    dtype: str

    def fits(self, array: np.ndarray) -> bool:
        """Whether the program is for such an array."""
        sizes = zip(self.shape, array.shape, strict=False)
        same_axes = len(self.shape) == array.ndim
        return same_axes and str(array.dtype) == self.dtype and all(a in (-1, b) for a, b in sizes)


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

    @property
    def tflite(self) -> Path | None:
        """The same as TFLite, None where it was not exported."""
        return self._files("tflite", 1)[0]

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


class ClipEngine(Protocol):
    """What gives the outputs of a batch of inputs."""

    @property
    def input_names(self) -> list[str]:
        """The program's own names of its inputs."""
        ...

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the outputs of one batch, all by name.

        Raises:
            BundleError: the program is for other inputs: other names, sizes or dtypes.
        """
        ...


EngineTensor: TypeAlias = Any
"""A tensor as an engine keeps it: of the engine's own, untyped library."""


class StreamRows(Protocol):
    """The states of a fixed number of streams, each in a row of its own, where they stay.

    All memory is taken at the beginning, none by a step. Rows side by side that have the same
    *turn* are stepped together; who calls keeps the turns. Whatever rows are stepped with, each
    gets the same bits.

    Attributes:
        num_bytes: of its memory.
    """

    num_bytes: int

    def step(self, first: int, last: int, turn: int, frames: Sequence[np.ndarray]) -> np.ndarray:
        """Logits [B, N] of the rows ``first`` to ``last`` behind one more frame of each.

        Their turn is then one more. The states of the turn before stay until the next step, so a
        step that fails, or is forgotten, has changed nothing.

        Raises:
            BundleError: the frames are none of the program's.
        """
        ...

    def clear(self, row: int) -> None:
        """Let a row begin from nothing, at whatever turn."""
        ...

    def swap(self, row: int, other: int) -> None:
        """Let two rows change places; their turns go with them."""
        ...

    def change_turn(self, row: int, turn: int, new_turn: int) -> None:
        """Lay a row's states out as those of another turn."""
        ...

    def load(self, states: Mapping[str, np.ndarray]) -> None:
        """Take all rows' states, by the names of the program's inputs, as those of turn 0."""
        ...


class Engine(ClipEngine, Protocol):
    """A loaded program. States are arrays, the same in every engine.

    Between two runs they may stay tensors of the engine: what one run gives can be an input of the
    next without passing through NumPy.

    Attributes:
        name: as in `EngineOptions.engine`.
        max_batch_per_thread: streams that a thread steps together at most; one where more gain
            nothing, so that a stream without a frame costs nothing.
        thread_safe: several threads may run it at the same time, each with tensors of its own.
        declared: shape and dtype of each input, where the engine leaves it to the caller to hold
            them against what is given; empty where it checks them itself.
    """

    name: EngineName
    max_batch_per_thread: int
    thread_safe: bool
    declared: Mapping[str, DeclaredInput]

    @classmethod
    def open(cls, files: ProgramFiles, options: EngineOptions) -> "Engine":
        """Take a program, or refuse it by name.

        Raises:
            UnsupportedProgramError: another engine may run it.
            BundleError: the program is missing, or no engine can run it.
            DeviceError: a package or a device is missing, or the options ask for what the engine
                cannot do.
        """
        ...

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the outputs of one batch, all by name; see `ClipEngine.run`."""
        tensors = {name: self.tensor(array) for name, array in inputs.items()}
        return {name: self.array(value) for name, value in self.run_tensors(tensors).items()}

    def run_tensors(self, inputs: Mapping[str, EngineTensor]) -> dict[str, EngineTensor]:
        """The same for tensors of the engine; no later run changes them."""
        ...

    def stream_rows(
        self, frame: str, logits: str, queues: Mapping[str, Sequence[str]], num_rows: int
    ) -> StreamRows | None:
        """Places for the states of so many streams, which are then stepped without each other.

        None where the engine steps a batch as a whole.

        Args:
            frame: the step program's input that is no state.
            logits: our name of its output that is none.
            queues: the program's inputs of each state, from the oldest to the newest, by our name
                of the output that is pushed.
        """
        return None

    def successor(self) -> "Engine | None":
        """A faster engine for the same program that has become ready since it was opened.

        Who keeps states may go on in it with the same arrays; its tensors are its own.
        """
        return None

    def tensor(self, array: np.ndarray) -> EngineTensor:
        """A tensor of the engine; it may share the array's memory."""
        ...

    def array(self, tensor: EngineTensor) -> np.ndarray:
        """A copy of the engine's tensor."""
        ...


class UnsupportedProgramError(BundleError):
    """The program has an operation that the compiled engine does not know."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the compiled engine cannot run {what}; use --engine onnxruntime or --engine paddle"
        )


def the_file(path: Path | None, engine: EngineName, other: Path | None) -> Path:
    """The file that an engine reads.

    Args:
        other: the program's file for another engine, which a message names.

    Raises:
        BundleError: the bundle has none.
    """
    if path is not None:
        return path
    if engine == "paddle":
        raise BundleError(
            f"{other} is an ONNX file without a program of Paddle's (a quantised bundle); it "
            "runs in ONNX Runtime: --engine onnxruntime, --use_tensorrt=False"
        )
    where = "the bundle" if other is None else other.parent
    if engine == "litert":
        raise BundleError(
            f"{where} holds no TFLite file of this program: export with --format tflite, or use "
            "another --engine"
        )
    raise BundleError(
        f"{where} holds no ONNX file; export with --format paddle,onnx, or use --engine paddle"
    )
