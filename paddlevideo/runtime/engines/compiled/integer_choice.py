"""Whether products on 8 bits are faster than those of floats on this processor: it is tried."""

import functools
import logging
import time
from collections.abc import Callable

import numpy as np

from paddlevideo.runtime.engines.compiled.assembly import assemble
from paddlevideo.runtime.engines.compiled.graph import TensorInfo
from paddlevideo.runtime.engines.compiled.operations import (
    CompiledProgram,
    IntegerWeights,
    Operation,
    rounding_of,
)
from paddlevideo.runtime.engines.compiled.stages import ALONE
from paddlevideo.utils.eight_bits import Range

logger = logging.getLogger(__name__)

_CHANNELS, _SIDE, _ROUNDS = 64, 12, 20
_RANGE = Range(0.1, 128)


@functools.cache
def integers_are_faster(run: Callable[..., None]) -> bool:
    """Run a small layer both ways and compare the least times.

    Once in a process: where both are nearly as fast, two engines of one file would else be of
    different kinds now and then, and so would the last bits of their answers.

    Args:
        run: `kernel_loader.compiled_loop`'s.
    """
    whole, plain = _seconds(run, True), _seconds(run, False)
    logger.debug("a layer on 8 bits takes %.2f of its time in float32", whole / plain)
    return whole < plain


def _seconds(run: Callable[..., None], integers: bool) -> float:
    assembly = assemble(_layer(integers))
    _arena, addresses = assembly.arena_of(1)
    given: list[np.ndarray] = [
        np.zeros(int(assembly.strides[slot]) // 4 + 64, np.float32)
        for slot in (*assembly.inputs.values(), *assembly.outputs.values())
    ]
    for slot, memory in zip(
        (*assembly.inputs.values(), *assembly.outputs.values()), given, strict=True
    ):
        addresses[slot] = memory.ctypes.data
    least = float("inf")
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        run(assembly.table, assembly.later, assembly.lists, addresses, assembly.strides, 1, *ALONE)
        least = min(least, time.perf_counter() - begun)
    return least


def _layer(integers: bool) -> CompiledProgram:
    """A product of pixels between two roundings."""
    shape = (_CHANNELS, _SIDE, _SIDE)
    weights: np.ndarray = np.eye(_CHANNELS, dtype=np.int8)
    scale_C: np.ndarray = np.full(_CHANNELS, 0.1, np.float32)
    names = ("x", "rounded", "product", "result", "y")
    rounding = rounding_of(_RANGE)
    first = Operation("quantize", ("x",), "rounded", shape, rounding=rounding)
    last = Operation("dequantize", ("result",), "y", shape, rounding=rounding)
    if integers:
        bias_C: np.ndarray = np.zeros(_CHANNELS, np.int32)
        middle = [
            Operation(
                "integer_dense", ("rounded",), "product", shape, weights, bias_C,
                options={"range": _RANGE}, factor_C=scale_C * np.float32(_RANGE.scale),
                integers=IntegerWeights(weights, scale_C, None, None),
                rounded="result", rounding=rounding, writes=False,
            )
        ]  # fmt: skip
    else:
        floats: np.ndarray = weights.astype(np.float32)
        zeros: np.ndarray = np.zeros(_CHANNELS, np.float32)
        middle = [
            Operation("dequantize", ("rounded",), "values", shape, rounding=rounding),
            Operation("dense", ("values",), "product", shape, floats, zeros),
            Operation("quantize", ("product",), "result", shape, rounding=rounding),
        ]
    return CompiledProgram(
        operations=(first, *middle, last),
        inputs={"x": TensorInfo(shape, np.dtype(np.float32))},
        constants={},
        outputs={"y": "y"},
        shapes=dict.fromkeys((*names, "values"), shape),
        pictures=frozenset(),
        rows=frozenset(),
        counters=frozenset(),
        ranges={"rounded": _RANGE, "result": _RANGE},
    )
