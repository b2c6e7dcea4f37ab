"""Let operations compute on 8 bits: products of integers, and roundings as part of what they end.

The lowered program has ``quantize`` and ``dequantize`` as operations of their own, and runs so in
float32. Here operations that read rounded maps take their bytes, operations that are rounded write
bytes, and what is left without a reader goes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from paddlevideo.runtime.engines.compiled.clip_graph import CLIP_AXES
from paddlevideo.runtime.engines.compiled.graph import TensorInfo
from paddlevideo.runtime.engines.compiled.operations import (
    IDENTITY,
    Activation,
    Operation,
    rounding_of,
)
from paddlevideo.runtime.engines.compiled.table import INTEGER_WINDOWS
from paddlevideo.utils.eight_bits import LEVELS, Range

# Pixels of a row from which on a product is made row by row at no loss.
_WIDE_ROW = 16
_INT32_LARGEST = 2**31 - 1
_FRAME = Range(1.0, 0)
_PRODUCTS = ("integer_dense", "integer_convolution", "integer_depthwise", "integer_temporal")
_ROUNDS = (*_PRODUCTS, "mixed_sum")
_WINDOWS_OVER_TIME = (*INTEGER_WINDOWS, (1, 1))

Operations = dict[str, Operation]


def use_integers(
    operations: Mapping[str, Operation],
    ranges: Mapping[str, Range],
    outputs: Iterable[str],
    inputs: Mapping[str, TensorInfo],
) -> Operations:
    """The operations, by what they make, with products and sums on 8 bits where they can be.

    Args:
        operations: in order, with all roundings as operations of their own.
        ranges: of the maps on 8 bits.
        outputs: maps that the program gives.
        inputs: of the program.
    """
    return _Integers(dict(operations), ranges, set(outputs), inputs).result()


class _Integers:
    def __init__(
        self,
        operations: Operations,
        ranges: Mapping[str, Range],
        outputs: set[str],
        inputs: Mapping[str, TensorInfo],
    ) -> None:
        self.operations, self.ranges, self.outputs = operations, ranges, outputs
        self.inputs = inputs
        self.is_clip = any(len(info.shape) == CLIP_AXES for info in inputs.values())

    def result(self) -> Operations:
        """Products first, then what joins them, as long as anything does."""
        for rule in (self._product, self._sum):
            for operation in list(self.operations.values()):
                rule(operation)
        for operation in list(self.operations.values()):
            joined: Operation | None = operation
            while joined is not None:
                joined = self._joined(joined)
        for operation in list(self.operations.values()):
            self._read_bytes(operation)
        self._drop_unread()
        for operation in list(self.operations.values()):
            self._expand(operation)
        return self._ordered()

    def _bytes_of(self, name: str) -> str | None:
        """The map on 8 bits of which ``name`` is the values."""
        made = self.operations.get(name)
        return made.inputs[0] if made is not None and made.kind == "dequantize" else None

    def _readers(self, name: str) -> list[Operation]:
        return [each for each in self.operations.values() if name in each.read]

    def _only_reader(self, name: str) -> Operation | None:
        found = self._readers(name)
        return found[0] if len(found) == 1 and name not in self.outputs else None

    def _replace(self, old: Operation, new: Operation) -> None:
        del self.operations[old.output]
        self.operations[new.output] = new

    def _product(self, operation: Operation) -> None:
        """A product of bytes and int8 weights becomes one of integers."""
        given = operation.integers
        whole = self._bytes_of(operation.inputs[0])
        range_ = None if whole is None else self.ranges[whole]
        if operation.kind == "convolution" and not operation.options["offset"].any():
            whole = operation.inputs[0]
            range_ = _FRAME if self.inputs[whole].dtype == np.uint8 else None
        if operation.kind == "depthwise":
            options = operation.options
            if (options["kernel"], options["stride"]) not in INTEGER_WINDOWS:
                return
        elif operation.kind == "temporal":
            if not self._is_rounded_over_time(operation):
                return
        elif operation.kind not in ("dense", "convolution"):
            return
        plain = operation.shortcut is None and operation.gate is None and operation.expand is None
        if given is None or whole is None or range_ is None or not plain:
            return
        factor_C = np.float32(range_.scale) * given.scale_C
        if given.bias_scale_C is not None and not np.array_equal(given.bias_scale_C, factor_C):
            return
        weights = given.weights
        bias_C = np.zeros(operation.shape[0], np.int32) if given.bias_C is None else given.bias_C
        axes = (1, 2, 3) if operation.kind == "convolution" else 0
        largest = LEVELS * np.abs(weights.astype(np.int64)).sum(axis=axes)
        tiny = not (factor_C >= np.finfo(np.float32).tiny).all()
        if tiny or (2 * largest + np.abs(bias_C.astype(np.int64)) > _INT32_LARGEST).any():
            return
        options = {**operation.options, "range": range_}
        made = replace(
            operation, kind=f"integer_{operation.kind}", inputs=(whole,), weights=weights,
            bias=bias_C, factor_C=factor_C, options=options,
        )  # fmt: skip
        self._replace(operation, made)

    def _is_rounded_over_time(self, operation: Operation) -> bool:
        """Whether the sums over several frames are rounded and no more, and can be integers."""
        window = (operation.options["kernel"], operation.options["stride"])
        reader = self._only_reader(operation.output)
        is_rounded = reader is not None and reader.kind == "quantize"
        return is_rounded and is_bound(operation.activation) and window in _WINDOWS_OVER_TIME

    def _sum(self, operation: Operation) -> None:
        """A sum over frames reads bytes, and may be rounded."""
        if operation.kind != "weighted_sum":
            return
        inputs = tuple(self._bytes_of(name) or name for name in operation.inputs)
        rounded = any(each.kind == "quantize" for each in self._readers(operation.output))
        if rounded or inputs != operation.inputs:
            self._replace(operation, replace(operation, kind="mixed_sum", inputs=inputs))

    def _joined(self, operation: Operation) -> Operation | None:
        """The operation with one more joined to it; None where there is none."""
        there = self.operations.get(operation.output) is operation
        if operation.kind not in _ROUNDS or not there:
            return None
        if operation.rounded is None:
            return self._join_rounding(operation)
        return self._join_behind(operation) if operation.kind in _PRODUCTS else None

    def _join_rounding(self, operation: Operation) -> Operation | None:
        readers = self._readers(operation.output)
        rounding = next((each for each in readers if each.kind == "quantize"), None)
        if rounding is None or rounding.rounding is None:
            return None
        del self.operations[rounding.output]
        writes = len(readers) > 1 or operation.output in self.outputs
        joined = replace(
            operation, rounded=rounding.output, rounding=rounding.rounding, writes=writes
        )
        self._replace(operation, joined)
        return joined

    def _join_behind(self, operation: Operation) -> Operation | None:
        """What is done with the values of a rounded product alone becomes part of it."""
        if operation.writes or operation.inner is not None or operation.rounded is None:
            return None
        values = self._only_reader(operation.rounded)
        inner = rounding_of(self.ranges[operation.rounded], operation.activation)
        if values is None or values.kind != "dequantize" or inner is None:
            return None
        last = self._only_reader(values.output)
        if last is None:
            return None
        joined = replace(
            operation, output=last.output, inner=inner, activation=IDENTITY, rounded=None,
            rounding=None, writes=True,
        )  # fmt: skip
        takes_shortcut = operation.kind == "integer_dense"
        if takes_shortcut and last.kind == "combine" and not last.options["is_product"]:
            other = next((name for name in last.inputs if name != values.output), None)
            shape = None if other is None else self._shape_of(other)
            if other is None or shape != operation.shape:
                return None
            joined = replace(joined, shortcut=self._bytes_of(other) or other)
        else:
            activation = self._function_behind(operation, last)
            if activation is None:
                return None
            joined = replace(joined, activation=activation)
        for gone in (operation.output, values.output, last.output):
            del self.operations[gone]
        self.operations[joined.output] = joined
        return joined

    def _function_behind(self, operation: Operation, last: Operation) -> Activation | None:
        """What ``last`` does with the values of a rounded product, if it can become part of it.

        Between two roundings every function is a table (`has_table`). With floats as results it is
        an activation, which swish is not here; over time there are none.
        """
        function = last.options["function"] if last.kind == "function" else None
        if function not in ("clip", "silu"):
            return None
        rounding = self._only_reader(last.output)
        is_looked_up = rounding is not None and rounding.kind == "quantize"
        if not is_looked_up and (function == "silu" or operation.kind == "integer_temporal"):
            return None
        return Activation(silu=True) if function == "silu" else last.activation

    def _shape_of(self, name: str) -> tuple[int, ...] | None:
        if name in self.operations:
            return self.operations[name].shape
        return self.inputs[name].shape if name in self.inputs else None

    def _read_bytes(self, operation: Operation) -> None:
        """Means, pools and products with gates between roundings."""
        whole = self._bytes_of(operation.inputs[0])
        if operation.kind == "mean" and whole is not None:
            options = {**operation.options, "range": self.ranges[whole]}
            self._replace(
                operation, replace(operation, kind="integer_mean", inputs=(whole,), options=options)
            )
        rounding = self._only_reader(operation.output)
        if operation.kind not in ("average", "scale") or rounding is None:
            return
        if rounding.kind != "quantize":
            return
        changes: dict[str, Any] = {
            "rounded": rounding.output,
            "rounding": rounding.rounding,
            "writes": False,
        }
        if operation.kind == "average" and whole is not None:
            options = {**operation.options, "range": self.ranges[whole]}
            changes |= {"kind": "integer_average", "inputs": (whole,), "options": options}
        elif operation.kind == "scale":
            changes |= {"kind": "integer_scale"}
            if self.is_clip and whole is not None:
                options = {**operation.options, "range": self.ranges[whole]}
                inputs = (whole, *operation.inputs[1:])
                changes |= {"kind": "scale_bytes", "inputs": inputs, "options": options}
        else:
            return
        del self.operations[rounding.output]
        self._replace(operation, replace(operation, **changes))

    def _drop_unread(self) -> None:
        """Roundings that nothing reads any more."""
        while True:
            read = Counter(name for each in self.operations.values() for name in each.read)
            gone = [
                name
                for name, each in self.operations.items()
                if each.kind in ("quantize", "dequantize")
                and not read[name]
                and name not in self.outputs
            ]
            if not gone:
                return
            for name in gone:
                del self.operations[name]

    def _expand(self, operation: Operation) -> None:
        """Let a depthwise convolution of wide rows make its input itself, row by row."""
        if operation.kind != "integer_depthwise":
            return
        source = operation.inputs[0]
        expand = next((each for each in self.operations.values() if each.rounded == source), None)
        if expand is None or not _is_row_by_row(expand):
            return
        if self._only_reader(source) is operation:
            del self.operations[expand.output]
            self._replace(operation, replace(operation, inputs=expand.inputs, expand=expand))

    def _ordered(self) -> Operations:
        """Each behind those whose maps it reads, otherwise in the order they have."""
        made = {name: each for each in self.operations.values() for name in each.made}
        ordered: Operations = {}
        waiting = list(reversed(self.operations.values()))
        while waiting:
            operation = waiting[-1]
            missing = [
                made[name]
                for name in operation.read
                if name in made and made[name].output not in ordered
            ]
            if missing and operation.output not in ordered:
                waiting += missing
            else:
                ordered.setdefault(operation.output, waiting.pop())
        return ordered


def is_own_of_bytes(expand: Operation, readers: Mapping[str, int]) -> bool:
    """`joining.is_own` of a product on 8 bits."""
    return _is_row_by_row(expand) and readers[expand.rounded or ""] == 1


def _is_row_by_row(expand: Operation) -> bool:
    wide = expand.kind == "integer_dense" and expand.shape[2] >= _WIDE_ROW
    return wide and (is_direct(expand) or has_table(expand))


def is_direct(operation: Operation) -> bool:
    """Whether the sums of a product are rounded, and nothing else is done with them."""
    direct = operation.rounded is not None and not operation.writes and operation.inner is None
    return direct and operation.shortcut is None and is_bound(operation.activation)


def has_table(operation: Operation) -> bool:
    """Whether the result of a product is a byte for each byte that its sums are rounded to."""
    between = operation.inner is not None and operation.rounded is not None
    return between and not operation.writes and operation.shortcut is None


def is_bound(activation: Activation) -> bool:
    """Whether an activation does nothing but bound, which a rounding can do."""
    return not activation.multiply and (activation.alpha, activation.beta) == (1.0, 0.0)
