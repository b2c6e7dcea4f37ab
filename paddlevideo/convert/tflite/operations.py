"""The kinds of operations that are known here, and their options."""

from collections.abc import Mapping
from dataclasses import dataclass

from paddlevideo.convert.tflite.flatbuffer import Table

_NAMES = {
    0: "add", 1: "average_pool", 2: "concatenation", 3: "conv", 4: "depthwise_conv",
    6: "dequantize", 9: "fully_connected", 14: "logistic", 18: "mul", 19: "relu", 21: "relu6",
    22: "reshape", 25: "softmax", 28: "tanh", 40: "mean", 41: "sub", 42: "div", 43: "squeeze",
    45: "strided_slice", 53: "cast", 65: "slice", 70: "expand_dims", 74: "sum", 98: "leaky_relu",
    114: "quantize", 117: "hard_swish", 128: "cumsum", 150: "gelu",
}  # fmt: skip
_ACTIVATIONS = {0: "identity", 1: "relu", 3: "relu6", 4: "tanh"}

# What an operation's table of options holds: name -> (field, kind of `struct`, default).
_Fields = Mapping[str, tuple[int, str, int]]
_WINDOW: _Fields = {"valid": (0, "b", 0), "stride_w": (1, "i", 0), "stride_h": (2, "i", 0)}
_OPTIONS: Mapping[str, _Fields] = {
    "conv": {**_WINDOW, "fused": (3, "b", 0), "dilation_w": (4, "i", 1), "dilation_h": (5, "i", 1)},
    "depthwise_conv": {
        **_WINDOW,
        "multiplier": (3, "i", 0),
        "fused": (4, "b", 0),
        "dilation_w": (5, "i", 1),
        "dilation_h": (6, "i", 1),
    },
    "average_pool": {
        **_WINDOW,
        "filter_w": (3, "i", 0),
        "filter_h": (4, "i", 0),
        "fused": (5, "b", 0),
    },
    "concatenation": {"axis": (0, "i", 0), "fused": (1, "b", 0)},
    **{name: {"fused": (0, "b", 0)} for name in ("add", "mul", "sub", "div", "fully_connected")},
}


@dataclass(frozen=True)
class Operation:
    """One step of a network.

    Attributes:
        kind: its name, or ``operation N`` for what is not known here.
        inputs, outputs: numbers of tensors; -1 for an input that is left out.
        options: whole numbers by name.
    """

    kind: str
    inputs: list[int]
    outputs: list[int]
    options: Mapping[str, int]

    @property
    def fused(self) -> str:
        """The activation that is part of the operation; ``identity`` for none."""
        number = self.options.get("fused", 0)
        return _ACTIVATIONS.get(number, f"activation {number}")


def operation_name(code: Table) -> str:
    """The name of an entry in the list of the kinds of operations."""
    number = max(code.scalar(0, "b"), code.scalar(3, "i"))  # the first field ends at 127
    return _NAMES.get(number, f"operation {number}")


def read_options(name: str, operation: Table) -> dict[str, int]:
    """The options of an operation of this name."""
    fields = _OPTIONS.get(name, {})
    table = operation.table(4) if fields else None
    if table is None:
        return {option: default for option, (_, _, default) in fields.items()}
    return {option: table.scalar(*field) for option, field in fields.items()}
