"""Hold lowered operations against what was proven of the tensors that they make and read."""

import numpy as np

from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.compiled.clip_lowering import OVER_TIME, WITH_ZEROS
from paddlevideo.runtime.engines.compiled.operations import (
    READ_BYTES,
    CompiledProgram,
    Operation,
)
from paddlevideo.runtime.engines.compiled.validation import Proven
from paddlevideo.runtime.engines.onnx_file import shown

_UINT8: np.dtype = np.dtype(np.uint8)


def check_program(program: CompiledProgram, proven: dict[str, Proven]) -> None:
    """Hold the lowered operations against what was proven of the tensors they make and read."""
    sources = {
        operation.output: _padded_of(operation)
        for operation in program.operations
        if operation.kind in WITH_ZEROS
    }
    padded = set(sources)
    # What is padded has the shape of what is copied, or made row by row.
    proven = {**proven, **{n: proven[s] for n, s in sources.items() if s in proven}}
    for operation in program.operations:
        _check_padding(operation, padded)
        for name in (operation.output, *operation.made):
            found = proven.get(name)
            if found is None or (*found.shape, 1, 1)[:3] != operation.shape:
                raise UnsupportedProgramError(f"{operation.kind} that makes {shown(name)}")
            if found.frames != program.frames_of(name):
                raise UnsupportedProgramError(f"{operation.kind} of {found.frames} frames")
        _check_bytes(operation, program, proven)
        read = set(operation.read)
        as_picture = operation.kind in ("convolution", "integer_convolution")
        for name in read:
            if (name in program.pictures) != as_picture:
                raise UnsupportedProgramError("a frame that is not only convolved")
            eight_bits = name in proven and proven[name].dtype == _UINT8
            if eight_bits and proven[name].range is None and not as_picture:
                raise UnsupportedProgramError("a frame that is not only convolved")
    for name, held in program.outputs.items():
        found, rows = proven[name], name in program.rows
        if found.frames != 1:
            raise UnsupportedProgramError(f"an output {shown(name)} of {found.frames} frames")
        if held in program.constants or held not in program.shapes:
            raise UnsupportedProgramError(f"an output {shown(name)} that is constant")
        eight_bits = found.dtype == _UINT8 and held not in program.ranges
        if held in program.pictures or eight_bits or rows != (len(found.shape) == 1):
            raise UnsupportedProgramError(f"an output {shown(name)} of shape {list(found.shape)}")


def _padded_of(operation: Operation) -> str:
    """The map that has zeros around it in what an operation makes."""
    if operation.expand is None:
        return operation.inputs[0]
    return operation.expand.rounded or operation.expand.output


def _check_padding(operation: Operation, padded: set[str]) -> None:
    """Hold that maps with zeros around them are read by kernels over time alone, and by these."""
    options = operation.options
    over_time = operation.kind in OVER_TIME and (options["kernel"], options["stride"]) != (1, 1)
    for name in (*operation.read, operation.output if over_time else ""):
        if (name in padded) != (over_time and name in operation.inputs):
            raise UnsupportedProgramError(f"{operation.kind} of {shown(name)}")


def _check_bytes(operation: Operation, program: CompiledProgram, proven: dict[str, Proven]) -> None:
    """Hold what an operation reads and writes on 8 bits against what its kind does so."""
    made = {operation.rounded} - {None}
    if operation.kind in ("quantize", "integer_padded"):
        made = {operation.output}
    for name in operation.made:
        if (name in made) != (name in program.ranges):
            raise UnsupportedProgramError(f"{operation.kind} that makes {shown(name)}")
    for name in (*operation.read, *operation.made):
        found = proven[name].range if name in proven else None
        if program.ranges.get(name) != found:
            raise UnsupportedProgramError(f"{shown(name)} with another range")
    rounded = [name in program.ranges for name in operation.inputs]
    as_bytes = operation.kind in READ_BYTES
    if operation.kind == "scale_bytes":
        as_bytes, rounded = True, rounded[:1] + [not each for each in rounded[1:]]
    if operation.kind != "mixed_sum" and any(each != as_bytes for each in rounded):
        raise UnsupportedProgramError(f"{operation.kind} of {shown(operation.inputs[0])}")
    if operation.shortcut in program.ranges and operation.kind != "integer_dense":
        raise UnsupportedProgramError(f"{operation.kind} with {shown(operation.shortcut)}")
    if operation.gate in program.ranges:
        raise UnsupportedProgramError(f"{operation.kind} with {shown(operation.gate)}")
