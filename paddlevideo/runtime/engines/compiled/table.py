"""The form of a program that compiled code reads: one record of numbers for each operation."""

from enum import IntEnum

import numpy as np

# What compiled code has room for; it does not look whether it writes beyond.
MOST_MAPS, LARGEST_KERNEL = 32, 16


class Code(IntEnum):
    """What an operation does."""

    DENSE = 0
    CONVOLUTION = 1
    DEPTHWISE = 2
    WEIGHTED_SUM = 3
    MEAN = 4
    SCALE = 5
    AVERAGE = 6
    COMBINE = 7
    FUNCTION = 8
    CONCAT = 9
    COUNT_UP = 10
    NUMBER = 11


_FIELDS = (
    "code",
    "kind",
    # Slots of maps; -1 is none.
    *("a", "b", "shortcut", "gate", "output", "scratch"),
    # Addresses.
    *("weights", "bias", "activation", "offsets"),
    *("expand_weights", "expand_bias", "expand_activation"),
    # Place and length of what is in the list of integers.
    *("list_start", "list_size", "input_offsets"),
    # The first of what later operations need, and the end of what may be asked for meanwhile.
    *("later_first", "later_end"),
    # Sizes: of the output, of the input, of what moves over it.
    *("channels", "pixels", "count", "depth", "out_rows", "out_columns"),
    *("in_channels", "rows", "columns", "is_bytes", "size_a", "size_b"),
    *("kernel", "stride", "top", "left", "bottom", "right"),
)

OPERATION: np.dtype = np.dtype([(name, np.int64) for name in _FIELDS])
