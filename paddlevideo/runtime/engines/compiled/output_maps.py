"""Which operation writes each output of a program, or copies to it."""

from dataclasses import replace

from paddlevideo.runtime.engines.compiled.operations import CompiledProgram, Operation, Shape
from paddlevideo.runtime.engines.compiled.simd import LANES
from paddlevideo.utils.eight_bits import Range


def with_copies(
    program: CompiledProgram,
) -> tuple[list[Operation], dict[str, Shape], dict[str, Range]]:
    """The operations, then those that bring results into the outputs.

    A map of enough channels is written to its output directly. Others are copied there, since
    their last vector reaches beyond them.

    Returns:
        The operations, the shapes of all maps, and the ranges of those on 8 bits.
    """
    made = {name for operation in program.operations for name in operation.made}
    direct = {
        name: f"output:{output}"
        for output, name in program.outputs.items()
        if name in made and program.shapes[name][0] >= LANES
    }
    shapes = dict(program.shapes)
    shapes |= {f"output:{output}": shapes[name] for output, name in program.outputs.items()}
    operations = [
        replace(
            operation,
            output=direct.get(operation.output, operation.output),
            rounded=direct.get(operation.rounded or "", operation.rounded),
            inputs=tuple(direct.get(name, name) for name in operation.inputs),
            shortcut=direct.get(operation.shortcut or "", operation.shortcut),
            gate=direct.get(operation.gate or "", operation.gate),
        )
        for operation in program.operations
    ]
    for output, name in program.outputs.items():
        source, target = direct.get(name, name), f"output:{output}"
        if source != target:
            operations.append(Operation("copy", (source,), target, shapes[name]))
    ranges = dict(program.ranges)
    ranges |= {
        f"output:{output}": ranges[name]
        for output, name in program.outputs.items()
        if name in ranges
    }
    return operations, shapes, ranges
