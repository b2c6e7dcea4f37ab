"""Lower what happens between the frames of a clip: kernels over time, and means over frames.

A kernel of several frames stands in the file as one 2-D convolution for each of them, whose results
are moved along the clip and added. It becomes one operation ``temporal`` with a move for each frame
of the kernel. Where its window is larger than a pixel it reads a map with zeros around it, which
an operation ``padded`` makes of each frame once. On 8 bits they are ``integer_temporal`` and
``integer_padded``.
"""

from dataclasses import replace

import numpy as np

from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.compiled.integer_lowering import is_own_of_bytes
from paddlevideo.runtime.engines.compiled.joining import Operations, is_own, readers_of
from paddlevideo.runtime.engines.compiled.operations import (
    IDENTITY,
    IntegerWeights,
    Operation,
    Shape,
)
from paddlevideo.runtime.engines.compiled.table import MOST_MAPS
from paddlevideo.utils.eight_bits import Range

PADDED = "padded:"
OVER_TIME = ("temporal", "integer_temporal")
WITH_ZEROS = ("padded", "integer_padded")
_TAPS = ("depthwise", "weighted_sum")


def moved_tap(tap: Operation | None, output: str, move: int) -> Operation:
    """What one frame of a kernel gives, ``move`` frames later in the clip instead of each.

    Args:
        tap: the convolution, if nobody else reads it.

    Raises:
        UnsupportedProgramError: it is no depthwise convolution alone.
    """
    alone = tap is not None and tap.kind in _TAPS and len(tap.inputs) == 1
    if tap is None or not alone or not _is_bare(tap) or tap.bias is None or tap.bias.any():
        raise UnsupportedProgramError("frames that move but for a kernel over time")
    return tap.named(output, kind="temporal", options={**tap.options, "moves": (move,)})


def joined_moves(one: Operation | None, other: Operation | None, output: str) -> Operation | None:
    """The sum of two parts of a kernel over time; None if they are none."""
    if one is None or other is None or "temporal" not in (one.kind, other.kind):
        return None
    parts = (one, other)
    if any(part.kind not in (*_TAPS, "temporal") or not _is_bare(part) for part in parts):
        return None
    windows = [{**part.options, "moves": ()} for part in parts]
    if one.inputs != other.inputs or len(one.inputs) != 1 or windows[0] != windows[1]:
        return None
    moves = tuple(move for part in parts for move in part.options.get("moves", (0,)))
    if len(moves) > MOST_MAPS or one.bias is None or other.bias is None:
        return None
    return one.named(
        output,
        kind="temporal",
        options={**windows[0], "moves": moves},
        weights=np.concatenate([one.own_weights, other.own_weights]),
        bias=one.bias + other.bias,
        integers=_joined_integers(one.integers, other.integers),
    )


def _joined_integers(
    one: IntegerWeights | None, other: IntegerWeights | None
) -> IntegerWeights | None:
    """The weights of two parts on 8 bits, where their integers can be added."""
    if one is None or other is None or not np.array_equal(one.scale_C, other.scale_C):
        return None
    weights = np.concatenate([one.weights, other.weights])
    with_bias = [each for each in (one, other) if each.bias_C is not None]
    if len(with_bias) > 1:
        return None
    bias = with_bias[0] if with_bias else one
    return replace(bias, weights=weights)


def _is_bare(part: Operation) -> bool:
    return part.activation == IDENTITY and part.shortcut is None and part.expand is None


def pad_frames(
    operations: Operations,
    shapes: dict[str, Shape],
    frames: dict[str, int],
    ranges: dict[str, Range],
    outputs: list[str],
) -> Operations:
    """Put an operation ``padded`` before each kernel over time whose window is not one pixel.

    It makes the product before it itself, row by row, where the rows are wide and nobody else
    reads it.
    """
    readers = readers_of(operations, outputs)
    makers = {name: each for each in operations.values() for name in each.made}
    result = dict(operations)
    for output, operation in operations.items():
        if operation.kind not in OVER_TIME or has_single_pixel(operation):
            continue
        source = operation.inputs[0]
        expand = makers.get(source)
        inputs: tuple[str, ...] = (source,)
        may_join = is_own if operation.kind == "temporal" else is_own_of_bytes
        if expand is not None and may_join(expand, readers):
            del result[expand.output]
            inputs = expand.inputs
        else:
            expand = None
        name = PADDED + output
        shapes[name], frames[name] = shapes[source], frames[output]
        if source in ranges:
            ranges[name] = ranges[source]
        kind = operation.kind.replace("temporal", "padded")
        padded = Operation(
            kind, inputs, name, shapes[source], expand=expand, options=operation.options
        )
        del result[output]
        result |= {name: padded, output: replace(operation, inputs=(name,))}
    return _in_order(result, operations)


def has_single_pixel(operation: Operation) -> bool:
    """Whether a kernel over time sees one pixel of each frame."""
    return bool(operation.options["kernel"] == 1 and operation.options["stride"] == 1)


def _in_order(result: Operations, before: Operations) -> Operations:
    """The operations as they stood, each ``padded`` before its reader."""
    ordered: Operations = {}
    for output in before:
        for name in (PADDED + output, output):
            if name in result:
                ordered[name] = result[name]
    return ordered
