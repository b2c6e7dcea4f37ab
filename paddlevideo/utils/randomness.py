"""Randomness as a function of its position: ``f(seed, epoch, index)``, never of global state.

The same sample draws the same numbers whatever the number of workers, the order of the batches or
the point at which a run was resumed.
"""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What the numbers are for; streams of different purpose never share numbers."""

    SAMPLE = 0
    ORDER = 1
    DEVICE = 3
    MIX = 11


def generator(seed: int, stream: Stream, *position: int) -> np.random.Generator:
    """Return the generator of one position, such as ``(epoch, index)`` of a sample."""
    return np.random.default_rng(np.random.SeedSequence((seed, int(stream), *position)))


def draw_number(epoch: int, repeat: int) -> int:
    """The number of a draw of a sample: its epoch, or for ``repeat`` above 0 one of no epoch."""
    return epoch + (repeat << 32)


def device_seed(seed: int, epoch: int, step: int, rank: int) -> int:
    """The seed of the framework's own generator (dropout, stochastic depth) for one step."""
    return int(generator(seed, Stream.DEVICE, epoch, step, rank).integers(2**31 - 1))
