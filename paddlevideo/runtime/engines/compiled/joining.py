"""Join operations that were lowered one by one: what is read once need not be written."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from paddlevideo.runtime.engines.compiled.operations import IDENTITY, Activation, Operation

PRODUCTS = ("dense", "convolution", "depthwise", "weighted_sum", "temporal")
# Pixels of a row from which on a product is made row by row at no loss.
WIDE_ROW = 16

Operations = dict[str, Operation]


def readers_of(operations: Operations, outputs: Iterable[str]) -> Counter[str]:
    """How often each map is read, by operations or as an output of the program."""
    readers = Counter(name for operation in operations.values() for name in operation.read)
    readers.update(outputs)
    return readers


def join_swish(operations: Operations, outputs: Iterable[str]) -> None:
    """Let a product of many pixels make the swish of its result, while that is in the cache."""
    readers = readers_of(operations, outputs)
    for output, operation in list(operations.items()):
        source = operation.inputs[0]
        product = operations.get(source)
        if operation.kind != "function" or operation.options["function"] != "silu":
            continue
        if product is None or product.kind not in PRODUCTS or product.activation != IDENTITY:
            continue
        if readers[source] == 1 and product.shape[1:] != (1, 1):
            del operations[source]
            operations[output] = product.named(output, activation=Activation(silu=True))


def join_expansions(operations: Operations, outputs: Iterable[str]) -> None:
    """Let a depthwise convolution of wide rows make its input itself, row by row."""
    readers = readers_of(operations, outputs)
    for output, operation in list(operations.items()):
        expand = operations.get(operation.inputs[0])
        if operation.kind == "depthwise" and expand is not None and is_own(expand, readers):
            del operations[expand.output]
            operations[output] = replace(operation, inputs=expand.inputs, expand=expand)


def is_own(expand: Operation, readers: Counter[str]) -> bool:
    """Whether the one reader of a product may make it row by row."""
    wide = expand.kind == "dense" and expand.shape[2] >= WIDE_ROW
    return wide and readers[expand.output] == 1 and expand.shortcut is None and not expand.gate


def join_gates(operations: Operations, outputs: Iterable[str]) -> None:
    """Let a product of many pixels take a gate into its weights, which are fewer."""
    readers = readers_of(operations, outputs)
    for output, operation in list(operations.items()):
        source = operation.inputs[0]
        scale = operations.get(source)
        if operation.kind != "dense" or scale is None or scale.kind != "scale":
            continue
        if readers[source] == 1 and scale.shape[1] * scale.shape[2] > operation.shape[0]:
            del operations[source]
            x, gate = scale.inputs
            operations[output] = replace(operation, inputs=(x,), gate=gate)
