"""The form of a program that compiled code reads: one record of numbers for each operation."""

from enum import IntEnum

import numpy as np

# What compiled code has room for; it does not look whether it writes beyond.
MOST_MAPS, LARGEST_KERNEL = 32, 16
# Kernels and strides of which there is a depthwise convolution on 8 bits.
INTEGER_WINDOWS = ((3, 1), (3, 2), (5, 1), (5, 2))


class Split(IntEnum):
    """What the shares of an operation are that several threads compute."""

    NONE = 0  # one thread computes all of it
    PIXELS = 1  # or rows, or numbers
    CHANNELS = 2  # panels or vectors of them


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
    INTEGER_DENSE = 12
    INTEGER_CONVOLUTION = 13
    INTEGER_DEPTHWISE = 14
    MIXED_SUM = 15
    INTEGER_MEAN = 16
    INTEGER_AVERAGE = 17
    INTEGER_SCALE = 18
    QUANTIZE = 19
    DEQUANTIZE = 20
    STORED_DENSE = 21
    SCALE_BYTES = 22
    PLANE_DENSE = 23
    # Between the frames of a clip; the first stands before the operations of a stage.
    FRAMES = 24
    PADDED = 25
    TEMPORAL = 26
    MIX = 27
    INTEGER_PADDED = 28
    INTEGER_TEMPORAL = 29


class Way(IntEnum):
    """Where a stage of a clip finds a frame of a map.

    ``WHOLE``: the map holds all frames. ``RING``: it holds some, the newest in place of the oldest.
    ``OWN``: as ``WHOLE``, but frames of another thread are written to a spare place.
    """

    WHOLE = 0
    RING = 1
    OWN = 2


_FIELDS = (
    "code",
    "kind",
    # Slots of maps; -1 is none.
    *("a", "b", "shortcut", "gate", "output", "scratch"),
    # Of a convolution, where the frames' addresses may lie.
    "frames",
    # The result on 8 bits; memory for the sums of a tile.
    *("rounded", "sums"),
    # The function of the products, 0: float32's; memory for rows of pairs, bytes for each share.
    *("products", "pairs", "pairs_step"),
    # Addresses.
    *("weights", "bias", "activation", "offsets"),
    *("expand_weights", "expand_bias", "expand_activation"),
    # Of integers: factors of the sums, limits of what is rounded at once, numbers of the rest.
    *("factors", "limits", "numbers", "expand_factors", "expand_limits"),
    # Of results on 8 bits what is looked up for each of them; 0 is nothing.
    *("table", "expand_table"),
    # Whether a shortcut is on 8 bits; what stands for zero in the input.
    *("shortcut_is_bytes", "zero"),
    # Place and length of what is in the list of integers.
    *("list_start", "list_size", "input_offsets"),
    # What a share of it is, see `Split`; bytes of ``scratch`` and of ``sums`` for each share.
    *("split", "scratch_step", "sums_step"),
    # The first of what later operations need, and the end of what may be asked for meanwhile.
    *("later_first", "later_end"),
    # Sizes: of the output, of the input, of what moves over it.
    *("channels", "pixels", "count", "depth", "out_rows", "out_columns"),
    *("in_channels", "rows", "columns", "is_bytes", "size_a", "size_b"),
    *("kernel", "stride", "top", "left", "bottom", "right"),
    # Whether swish follows the product, and the one before it; whether rows of maps lie apart.
    *("swish", "expand_swish", "apart"),
)

OPERATION: np.dtype = np.dtype([(name, np.int64) for name in _FIELDS])
