"""Which operations several threads share, and how: decided when a program is laid out.

A thread more costs a wait at the end of each stage. What takes less than some microseconds is
therefore left to one of them, and what follows each other of that kind is one stage.
"""

import itertools

import numpy as np

from paddlevideo.runtime.engines.compiled.integer_products import INTEGER_ROWS_OF
from paddlevideo.runtime.engines.compiled.operations import CompiledProgram, Operation, Shape
from paddlevideo.runtime.engines.compiled.products import ROWS_OF
from paddlevideo.runtime.engines.compiled.shares import NUMBERS
from paddlevideo.runtime.engines.compiled.simd import LANES
from paddlevideo.runtime.engines.compiled.table import Code, Split

_LEAST_WORK = 250_000
"""Multiply-adds of a large product in the time that makes a stage of its own worth it."""
_LEAST_OF_A_THREAD = 20_000_000
"""Multiply-adds of a frame for each thread that shares it."""
_MOST_THREADS = 4
"""A stage has some ten microseconds: more threads would mostly wait for each other."""
# What one multiply-add, or one number, of other operations takes, in those of a large product.
_OF_ONE_PIXEL, _OF_A_SUM, _OF_A_NUMBER, _OF_AN_EXPONENTIAL = 4, 4, 4, 130

_NO_STAGES: np.ndarray = np.zeros((0, 3), np.int64)
_NO_STATES: np.ndarray = np.zeros(0, np.int64)
ALONE = (0, 1, _NO_STAGES, _NO_STATES, 0)
"""The last arguments of the loop where one thread runs all of a table."""

_OF_STORED = (Code.STORED_DENSE, Code.PLANE_DENSE)
_DENSE = (Code.DENSE, Code.INTEGER_DENSE, *_OF_STORED)
DEPTHWISE = (Code.DEPTHWISE, Code.INTEGER_DEPTHWISE)
_MEANS = (Code.MEAN, Code.INTEGER_MEAN)
_BY_PIXELS = (Code.WEIGHTED_SUM, Code.MIXED_SUM, Code.SCALE, Code.INTEGER_SCALE)
_BY_NUMBERS = (Code.FUNCTION, Code.QUANTIZE, Code.DEQUANTIZE)
_BY_ROWS = (Code.CONVOLUTION, Code.INTEGER_CONVOLUTION, Code.AVERAGE, Code.INTEGER_AVERAGE)
_SPREAD = (*_DENSE, Code.CONVOLUTION, Code.INTEGER_CONVOLUTION)


def split_of(
    row: np.void,
    operation: Operation,
    shapes: dict[str, Shape],
    panels: list[tuple[int, int]],
    parts: int,
) -> Split:
    """What the shares of an operation are.

    Args:
        row: its record.
        panels: first channel and number of vectors of each panel of its weights.
        parts: threads.
    """
    whole_vectors = int(row["channels"]) // LANES
    if parts == 1 or _work(row, operation, shapes) < _LEAST_WORK:
        return Split.NONE
    code = row["code"]
    if (
        not whole_vectors and code not in _BY_NUMBERS
    ):  # a pixel's last vector is written over the next pixel
        return Split.NONE
    gains = {Split.NONE: 1.0}
    if code in _DENSE:
        rows_of = INTEGER_ROWS_OF if code == Code.INTEGER_DENSE else ROWS_OF
        if not row["swish"]:  # it goes over whole pixels
            gains[Split.CHANNELS] = _gain_of_panels(panels, parts)
        if code not in _OF_STORED:
            gains[Split.PIXELS] = _gain(-(-int(row["pixels"]) // rows_of[panels[0][1]]), parts)
    elif code in DEPTHWISE:
        gains[Split.PIXELS] = _gain(int(row["out_rows"]), parts)
        if operation.expand is None and not row["swish"]:
            gains[Split.CHANNELS] = _gain(whole_vectors, parts)
    elif code in _MEANS:
        gains[Split.CHANNELS] = _gain(whole_vectors, parts)
    elif code in _BY_PIXELS:
        gains[Split.PIXELS] = _gain(int(row["pixels"]), parts)
    elif code in _BY_NUMBERS:
        gains[Split.PIXELS] = _gain(int(row["count"]) // NUMBERS, parts)
    elif code in _BY_ROWS:
        gains[Split.PIXELS] = _gain(int(row["out_rows"]), parts)
    # The first of equal ones; pixels leave a map's parts with those who have written them.
    return max((Split.NONE, Split.PIXELS, Split.CHANNELS), key=lambda kind: gains.get(kind, 0.0))


def threads_of(program: CompiledProgram, threads: int) -> int:
    """How many of ``threads`` are to share one stream: no more than it pays for."""
    work = sum(operation.multiply_adds(program.shapes) for operation in program.operations)
    return max(1, min(threads, work // _LEAST_OF_A_THREAD, _MOST_THREADS))


def stages_of(table: np.ndarray, parts: int) -> np.ndarray:
    """First operation, end and number of shares of each stage, [n, 3]."""
    stages: list[list[int]] = []
    for index, row in enumerate(table):
        if row["split"] != Split.NONE:
            stages.append([index, index + 1, parts])
        elif stages and stages[-1][2] == 1:
            stages[-1][1] = index + 1
        else:
            stages.append([index, index + 1, 1])
    return np.array(stages, np.int64).reshape(-1, 3)


def _gain(units: int, parts: int) -> float:
    """How much faster so many equal units are done by so many threads."""
    return units / max(1, -(-units // parts))


def _gain_of_panels(panels: list[tuple[int, int]], parts: int) -> float:
    """The same of panels, which are shared out as `shares.panels_share` does it."""
    vectors = [size for _, size in panels]
    overlap = len(panels) > 1 and panels[-1][0] < panels[-2][0] + vectors[-2] * LANES
    units = len(panels) - overlap
    bounds = [units * part // parts for part in range(parts)] + [len(panels)]
    return sum(vectors) / max(sum(vectors[a:b]) for a, b in itertools.pairwise(bounds))


def _work(row: np.void, operation: Operation, shapes: dict[str, Shape]) -> int:
    """About how long one stream takes, in multiply-adds of a large product."""
    products = operation.multiply_adds(shapes)
    if row["code"] in _SPREAD or operation.expand is not None:
        return products * (_OF_ONE_PIXEL if int(row["pixels"]) == 1 else 1)
    if products:
        return products * _OF_A_SUM
    numbers = int(row["count"])
    if row["code"] == Code.FUNCTION and operation.options["function"] != "clip":
        return numbers * _OF_AN_EXPONENTIAL
    if row["code"] in _MEANS:
        return int(row["pixels"] * row["channels"]) * _OF_A_NUMBER
    return numbers * max(1, int(row["kernel"])) ** 2 * _OF_A_NUMBER
