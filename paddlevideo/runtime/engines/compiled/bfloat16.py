"""Numbers rounded to bfloat16 in NumPy: weights when a program is laid out, and what to check.

A bfloat16 is the upper half of a float32: a sign, 8 bits of exponent, and 8 significant bits of
which 7 are stored. Rounded to the nearest, a number moves by at most 2**-8 of itself.
"""

from dataclasses import replace

import numpy as np

from paddlevideo.runtime.engines.compiled.operations import CompiledProgram, Operation

_QUIET = np.uint32(0x40)  # of what is no number, the bit that the upper half must have
_SIGN, _EXPONENT = np.uint32(0x8000_0000), np.uint32(0x7F80_0000)


def upper_halves(x: np.ndarray) -> np.ndarray:
    """Bits [uint16] of the nearest bfloat16 of each float32, halves to even.

    As the processor's conversion (``VCVTNE2PS2BF16``) has it: numbers below 2**-126 become zero.
    """
    bits: np.ndarray = np.ascontiguousarray(x, np.float32).view(np.uint32)
    is_number = ~np.isnan(bits.view(np.float32))
    even = (bits >> np.uint32(16)) & np.uint32(1)
    nearest = (bits + np.uint32(0x7FFF) + even) >> np.uint32(16)
    tiny = (bits & _EXPONENT) == 0
    nearest = np.where(tiny, (bits & _SIGN) >> np.uint32(16), nearest)
    nearest = np.where(is_number, nearest, (bits >> np.uint32(16)) | _QUIET)
    return nearest.astype(np.uint16)


def rounded(x: np.ndarray) -> np.ndarray:
    """The nearest bfloat16 of each number, as float32."""
    return (upper_halves(x).astype(np.uint32) << np.uint32(16)).view(np.float32)


def pairs_of(weights: np.ndarray) -> np.ndarray:
    """A matrix [depth, channels] rounded, two steps of the depth in the place of one float.

    Returns:
        [depth / 2, channels], the first step in the lower half; a zero where there is no second.
    """
    depth, channels = weights.shape
    halves: np.ndarray = np.zeros((depth + depth % 2, channels), np.uint32)
    halves[:depth] = upper_halves(weights)
    return (halves[0::2] | halves[1::2] << np.uint32(16)).view(np.float32)


def with_bfloat16(program: CompiledProgram) -> CompiledProgram:
    """The same program, its matrix products in bfloat16.

    A product of one pixel whose weights the file has as int8 or float16 reads these, and stays.
    """
    return replace(program, operations=tuple(map(_rounding, program.operations)))


def _rounding(operation: Operation) -> Operation:
    if operation.expand is not None:
        return replace(operation, expand=_rounding(operation.expand))
    if operation.kind != "dense":
        return operation
    reads_stored = operation.stored is not None and operation.shape[1:] == (1, 1)
    return operation if reads_stored else replace(operation, products="bfloat16")
