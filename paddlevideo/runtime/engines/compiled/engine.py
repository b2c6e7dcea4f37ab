"""The compiled engine: a program as one compiled loop over few large operations.

General engines lose most of a small network's time between operations: they change the layout of
maps around gates and states, and pad channels. Here a map keeps its channels side by side from the
frame to the logits, also in the states, and what follows a product is done while its results are
still in registers. Numba (BSD) compiles the kernels for the processor at the first use and keeps
them on the disk.
"""

import logging
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from paddlevideo.runtime.engines.base import (
    DeclaredInput,
    Engine,
    EngineName,
    EngineOptions,
    ProgramFiles,
    UnsupportedProgramError,
    check_outputs,
    the_file,
    wrong_inputs,
)
from paddlevideo.runtime.engines.compiled.byte_states import states_as_bytes
from paddlevideo.runtime.engines.compiled.clip_graph import frames_as_rows
from paddlevideo.runtime.engines.compiled.graph import read_graph
from paddlevideo.runtime.engines.compiled.lowering import lower
from paddlevideo.runtime.engines.compiled.operations import CompiledProgram
from paddlevideo.runtime.engines.compiled.processor import refusal
from paddlevideo.runtime.engines.compiled.program_check import check_program
from paddlevideo.runtime.engines.compiled.stream_rows import CompiledRows, RowLayout
from paddlevideo.runtime.engines.compiled.tensor import CompiledTensor, floats_of
from paddlevideo.runtime.engines.compiled.tensor_memory import TensorMemory
from paddlevideo.runtime.engines.compiled.validation import validate
from paddlevideo.runtime.engines.onnx_file import refusing_damage
from paddlevideo.utils.cpu_threads import CpuThreads, available_cores
from paddlevideo.utils.eight_bits import Range
from paddlevideo.utils.errors import BundleError, DeviceError
from paddlevideo.utils.packages import require_packages

logger = logging.getLogger(__name__)

# Streams that a thread takes through an operation together: it then reads the weights once for all
# of them, while their maps still fit the processor's caches.
_STREAMS_AT_A_TIME = 4

_Whole = tuple[str, tuple[int, ...], np.dtype, Range | None]
"""Name, shape with the number of streams, dtype and range of an input or a result."""
_Result = tuple[str, tuple[int, ...], np.dtype, Range | None, int]  # and floats of its memory

Arithmetic = Literal["float32", "8-bit integers", "bfloat16"]


def can_compile(path: Path) -> bool:
    """Whether the engine knows all operations of a file."""
    try:
        read_program(path)
    except UnsupportedProgramError:
        return False
    return True


def read_program(path: Path, integers: bool = True) -> CompiledProgram:
    """The operations of a file, proven to stay within their memory.

    Args:
        integers: see `lower`.

    Raises:
        UnsupportedProgramError: another engine may run it.
        BundleError: it is damaged.
    """
    graph = read_graph(path)
    with refusing_damage(path):
        graph = states_as_bytes(frames_as_rows(graph))
        proven = validate(graph)
        program = lower(graph, integers)
        check_program(program, proven)
    return program


@dataclass(frozen=True)
class OperationTime:
    """How long one operation took, and what it does for one stream."""

    kind: str
    seconds: float
    multiply_adds: int
    weight_bytes: int


def _refuse(path: Path, options: EngineOptions) -> None:
    """Say what keeps the engine from opening a file with these options.

    Raises:
        BundleError: there is no such file.
        DeviceError: a package is missing, the processor or the device is another.
    """
    require_packages("the compiled engine", "numba", "onnx", otherwise="use --engine onnxruntime")
    reason = refusal()
    if reason is not None:
        raise DeviceError(f"{reason}; use --engine onnxruntime")
    if options.device == "gpu" or options.use_tensorrt:
        raise DeviceError("the compiled engine runs on the CPU; use --engine paddle for a GPU")
    if not path.is_file():
        raise BundleError(f"{path} is missing; export the model again")


class CompiledEngine(Engine):
    """A ``.onnx`` program as compiled loops.

    Of a step program the streams of a batch are shared out to threads; where it pays, threads that
    are left without a stream share the operations of one (`stages.threads_of`). Of a clip program
    clips are computed one by one, each by all threads (`ClipRun`). A bit of the result never
    depends on it.

    Args:
        path: the file.
        output_names: our names of the outputs, in the program's order.

    Attributes:
        expected_inputs: name, shape of one stream and dtype of every input.
        arithmetic: of the products that the file has on 8 bits, by what was faster when it was
            opened; of a file that has none float32, or what the options say.

    Raises:
        BundleError: the file cannot be read, or has an operation that the engine does not know
            (`UnsupportedProgramError`).
        DeviceError: a package is missing, or the options ask for what it cannot do.
    """

    name: EngineName = "compiled"
    max_batch_per_thread = 8
    thread_safe = True
    declared: Mapping[str, DeclaredInput] = {}  # it refuses what does not fit

    def __init__(self, path: Path, output_names: Sequence[str], options: EngineOptions) -> None:
        _refuse(path, options)
        from paddlevideo.runtime.engines.compiled.access import SLACK
        from paddlevideo.runtime.engines.compiled.assembly import assemble
        from paddlevideo.runtime.engines.compiled.integer_choice import integers_are_faster
        from paddlevideo.runtime.engines.compiled.integer_simd import FORM
        from paddlevideo.runtime.engines.compiled.kernel_loader import compiled_loop
        from paddlevideo.runtime.engines.compiled.stages import ALONE, threads_of
        from paddlevideo.runtime.engines.compiled.team import Team

        program = read_program(path)
        product = 0
        if options.products == "bfloat16":
            from paddlevideo.runtime.engines.compiled.bfloat_choice import in_bfloat16
            from paddlevideo.runtime.engines.compiled.kernel_loader import bfloat_address

            program, product = in_bfloat16(program, path), bfloat_address()
        self._run = run_program = compiled_loop()
        self.arithmetic: Arithmetic = options.products
        if program.ranges and integers_are_faster(run_program):
            self.arithmetic = "8-bit integers"
        elif program.ranges:
            program = read_program(path, integers=False)
        if program.ranges:
            logger.info("the compiled engine computes in %s (%s)", self.arithmetic, FORM)
        check_outputs(path, len(program.outputs), output_names)
        from paddlevideo.runtime.engines.compiled.checked import CheckedRun, guarded_pool
        from paddlevideo.runtime.engines.compiled.clip_assembly import assemble_clip
        from paddlevideo.runtime.engines.compiled.clip_run import ClipRun

        guarded = guarded_pool()
        self._threads = CpuThreads()
        self._threads.count = options.cpu_threads or available_cores()
        self._clip: ClipRun | None = None
        self._team: Team | None = None
        self._alone = ALONE
        with refusing_damage(path):
            if program.is_clip:
                clip = assemble_clip(program, guarded, guarded is not None, product)
                self._clip = ClipRun(clip, run_program, self._threads)
                self._assembly = clip.base
            else:
                parts = threads_of(program, self._threads.count)
                self._assembly = assemble(program, guarded, parts, product)
                self._team = Team(self._assembly, run_program) if parts > 1 else None
        self._checked: CheckedRun | None = None
        if guarded is not None:
            self._checked = CheckedRun(program, self._assembly, guarded, run_program)
        self._slack = SLACK // 4
        self._path = path
        self._inputs = program.inputs
        self._pictures, self._shapes = program.pictures, program.shapes
        self.expected_inputs = [
            (name, info.shape, info.dtype) for name, info in program.inputs.items()
        ]
        outputs = list(zip(output_names, program.outputs, strict=True))
        self._outputs = [(ours, *self._output(program, name)) for ours, name in outputs]
        self._ranges = {name: info.range for name, info in program.inputs.items()}
        self._ranges |= {ours: program.ranges.get(program.outputs[n]) for ours, n in outputs}
        # The order in which `run_tensors` lists addresses.
        slots = (*self._assembly.inputs.values(), *self._assembly.outputs.values())
        self._slots = np.array(slots, np.int64)
        rows = [self._assembly.rows_of(slot) for slot in slots]
        self._moves = self._assembly.strides[self._slots] * rows
        self._local = threading.local()
        self._memory = TensorMemory()
        self._wholes: dict[int, tuple[list[_Whole], list[_Result]]] = {}

    def _output(self, program: CompiledProgram, name: str) -> tuple[tuple[int, ...], np.dtype]:
        held = program.outputs[name]
        shape: tuple[int, ...] = program.shapes[held]
        if name in program.rows:
            shape = shape[:1]
        return shape, np.dtype(np.int32 if held in program.counters else np.float32)

    @classmethod
    def open(cls, files: ProgramFiles, options: EngineOptions) -> "CompiledEngine":
        """As `Engine.open`."""
        path = the_file(files.onnx, "compiled", files.program)
        engine = cls(path, files.outputs, options)
        if options.products != "float32":
            from paddlevideo.runtime.engines.compiled.bfloat_choice import say_difference

            plain = cls(path, files.outputs, replace(options, products="float32"))
            say_difference(plain, engine, engine.expected_inputs, engine._pictures)
        return engine

    @property
    def input_names(self) -> list[str]:
        """The program's own names of its inputs."""
        return list(self._inputs)

    def run_tensors(self, inputs: Mapping[str, CompiledTensor]) -> dict[str, CompiledTensor]:
        """The same for tensors of the engine; every run writes to memory nobody reads."""
        results, first_addresses, batch = self._bind(inputs)
        self._compute(first_addresses, batch)
        return results

    def _compute(
        self, first_addresses: np.ndarray, batch: int, frames: np.ndarray | None = None
    ) -> None:
        """Run the program, all inputs and results in place.

        Args:
            frames: addresses of the frames of a step, where they do not lie one behind the other.
        """
        if self._clip is not None:
            for first in range(batch):
                places = first_addresses + first * self._moves
                if self._checked is None:
                    self._clip.run(self._slots, places)
                else:
                    self._checked.run(places, 1)
        elif self._checked is not None:
            for first in range(0, batch, _STREAMS_AT_A_TIME):
                streams = min(_STREAMS_AT_A_TIME, batch - first)
                self._checked.run(first_addresses + first * self._moves, streams)
        elif self._team is not None and batch < self._assembly.parts:
            self._team.run(self._placed(first_addresses, frames, 0, batch), batch)
        elif batch == 1:
            self._run_range(first_addresses, frames, 0, 1)
        else:
            self._threads.share_out(batch, partial(self._run_range, first_addresses, frames))

    def time_operations(
        self, inputs: Mapping[str, CompiledTensor], rounds: int
    ) -> list[OperationTime]:
        """How long each operation takes where it stands, for one stream on this thread.

        They are run one by one in their order, ``rounds`` times; the least of each is given. What
        is prefetched then comes for the next operation only. Where several threads share a stream,
        the shares of an operation are run one after the other, and the slowest one's time is given.

        Raises:
            BundleError: it is the program of clips, whose operations run a few frames at a time.
        """
        if self._clip is not None:
            raise BundleError(f"{self._path} takes clips: its operations have no own times")
        _held, first_addresses, _batch = self._bind(inputs)
        assembly, addresses = self._assembly, self._placed(first_addresses, None, 0, 1)
        least: np.ndarray = np.full((len(assembly.table), assembly.parts), math.inf)
        for _ in range(rounds):
            for index, part in np.ndindex(*least.shape):
                begun = time.perf_counter()
                self._run(
                    assembly.table[index : index + 1], assembly.later, assembly.lists, addresses,
                    assembly.strides, 1, part, assembly.parts, *self._alone[2:],
                )  # fmt: skip
                least[index, part] = min(least[index, part], time.perf_counter() - begun)
        return [
            OperationTime(
                operation.kind,
                seconds,
                operation.multiply_adds(self._shapes),
                0 if operation.weights is None else operation.weights.nbytes,
            )
            for operation, seconds in zip(
                assembly.operations, least.max(axis=1).tolist(), strict=True
            )
        ]

    def _bind(
        self, inputs: Mapping[str, CompiledTensor]
    ) -> tuple[dict[str, CompiledTensor], np.ndarray, int]:
        """Memory for the results, and the addresses of all inputs and results."""
        if inputs.keys() != self._inputs.keys():
            raise wrong_inputs(self._path, inputs, self._inputs)
        batch = int(inputs[self.expected_inputs[0][0]].shape[0])
        if batch < 1:
            raise BundleError(f"{self._path} cannot run on a batch of 0")
        if batch not in self._wholes:
            self._wholes[batch] = self._with_streams(batch)
        expected, outputs = self._wholes[batch]
        addresses = []
        for name, shape, dtype, range_ in expected:
            tensor = inputs[name]
            if tensor.shape != shape or tensor.dtype != dtype:
                raise BundleError(
                    f"{self._path} cannot run on {name} {list(tensor.shape)} {tensor.dtype}; it is "
                    f"for {list(shape)} {dtype}"
                )
            addresses.append(self._address(name, tensor, range_))
        results = {}
        for name, shape, dtype, range_, size in outputs:
            memory, free = self._memory.take(size)
            results[name] = CompiledTensor(shape, dtype, None, memory, free, range_)
            addresses.append(memory.address)
        return results, np.array(addresses, np.int64), batch

    def _with_streams(self, batch: int) -> tuple[list[_Whole], list[_Result]]:
        """Inputs and results of so many streams."""
        inputs, outputs = (
            [(name, (batch, *shape), dtype, self._ranges[name]) for name, shape, dtype in listed]
            for listed in (self.expected_inputs, self._outputs)
        )
        sizes = [
            floats_of(math.prod(shape), range_) + self._slack for _, shape, _, range_ in outputs
        ]
        results = [(*result, size) for result, size in zip(outputs, sizes, strict=True)]
        return inputs, results

    def _address(self, name: str, tensor: CompiledTensor, range_: Range | None) -> int:
        """Where an input lies: a picture as it is, all else with its channels side by side."""
        if name in self._pictures:
            picture: int = tensor.picture().ctypes.data
            return picture
        return tensor.address(self._slack, range_)

    def stream_rows(
        self, frame: str, logits: str, queues: Mapping[str, Sequence[str]], num_rows: int
    ) -> CompiledRows | None:
        """As `Engine.stream_rows`: the program reads and writes the states where they lie."""
        listed = [*self.expected_inputs, *self._outputs]
        maps = {name: (shape, dtype, self._ranges[name]) for name, shape, dtype in listed}
        if any(maps[name] != maps[output] for output, names in queues.items() for name in names):
            return None  # no queue of equal ones; `run_tensors` says so
        if self._pictures - {frame}:
            return None  # a state that is read plane after plane is not read as it was written
        layout, place = RowLayout(frame, logits, queues, maps, num_rows), list(maps).index(frame)

        def run(places: np.ndarray, frames: Sequence[np.ndarray]) -> None:
            """Compute, the frames read where they lie."""
            if self._checked is not None or frame not in self._pictures:
                tensor = self.tensor(np.stack(frames))
                places[place] = self._address(frame, tensor, None)
                self._compute(places, len(frames))
                return
            kept = [np.ascontiguousarray(each) for each in frames]
            listed = np.array([each.ctypes.data for each in kept], np.int64)
            places[place] = listed[0]
            self._compute(places, len(frames), listed)

        return CompiledRows(layout, self._path, self._slack, run)

    def _run_range(
        self, first_addresses: np.ndarray, frames: np.ndarray | None, first: int, last: int
    ) -> None:
        """Compute the streams ``first`` to ``last`` on this thread."""
        assembly = self._assembly
        for start in range(first, last, _STREAMS_AT_A_TIME):
            streams = min(_STREAMS_AT_A_TIME, last - start)
            addresses = self._placed(first_addresses, frames, start, streams)
            self._run(
                assembly.table, assembly.later, assembly.lists, addresses, assembly.strides,
                streams, *self._alone,
            )  # fmt: skip

    def _placed(
        self, first_addresses: np.ndarray, frames: np.ndarray | None, first: int, streams: int
    ) -> np.ndarray:
        """Addresses by slot of the streams from ``first`` on, in this thread's arena."""
        addresses = self._addresses(streams)
        addresses[self._slots] = first_addresses + first * self._moves
        listed = 0 if frames is None else frames.ctypes.data + first * frames.itemsize
        addresses[self._assembly.frames] = listed
        return addresses

    def _addresses(self, streams: int) -> np.ndarray:
        """This thread's arena for ``streams`` streams, as addresses by slot."""
        arenas = self._local.__dict__.setdefault("arenas", {})
        if streams not in arenas:
            arenas[streams] = self._assembly.arena_of(streams)
        return arenas[streams][1]

    def tensor(self, array: np.ndarray) -> CompiledTensor:
        """A tensor of the engine; it may share the array's memory."""
        array = np.ascontiguousarray(array)
        return CompiledTensor(array.shape, array.dtype, source=array)

    def array(self, tensor: CompiledTensor) -> np.ndarray:
        """A copy of the engine's tensor."""
        return tensor.numpy()
