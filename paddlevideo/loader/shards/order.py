"""The order in which the samples of shards are read: shards shuffled, samples moved within reach.

Sample j of the shards, one shard after the other in a drawn order, gets the key j + u with u drawn
from [0, reach); samples come in the order of their keys. So each comes fewer than ``reach`` places
before or after its place in the shards, whatever is drawn: what is read lies within two reaches of
a walk through the shards. It is what a shuffle buffer of ``reach`` samples does, as a function of
the generator alone: no state has to be kept to go on from the middle.
"""

import numpy as np

# Further draws of the same sample are spread at random: they are of the few that are drawn often.
_MOST_WALKS = 16


def shard_order(
    shard_of_N: np.ndarray, reach: int, rng: np.random.Generator, drawn: np.ndarray | None = None
) -> np.ndarray:
    """Return the order of an epoch, a function of the generator alone.

    Args:
        shard_of_N: number of the shard of each sample, ascending, int64 [N].
        reach: see the module; 1 leaves the samples of a shard in their order.
        rng: of the epoch.
        drawn: the numbers of the samples that are in the epoch, some several times, int64 [D]; by
            default each once. The k-th draws of all samples are a walk of their own through the
            shards, and all walks go side by side, so that the draws of a sample lie far apart.

    Returns:
        int64 [N] or [D].
    """
    if drawn is None:
        places = _places(shard_of_N, rng)
        order: np.ndarray = np.argsort(places + rng.uniform(0, reach, len(places)), kind="stable")
        return order
    walks = occurrences(drawn)
    keys = rng.uniform(0, len(shard_of_N), len(drawn))
    for walk in range(min(int(walks.max()) + 1, _MOST_WALKS)):
        on_it = walks == walk
        keys[on_it] = _places(shard_of_N, rng)[drawn[on_it]]
    keys += rng.uniform(0, reach, len(keys))
    ordered: np.ndarray = drawn[np.argsort(keys, kind="stable")]
    return ordered


def _places(shard_of_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The place of each sample where the shards follow one another in a drawn order, [N]."""
    rank_of_S = rng.permutation(int(shard_of_N[-1]) + 1)
    places: np.ndarray = np.empty(len(shard_of_N), np.int64)
    places[np.argsort(rank_of_S[shard_of_N], kind="stable")] = np.arange(len(shard_of_N))
    return places


def occurrences(numbers: np.ndarray) -> np.ndarray:
    """For each of ``numbers`` how often it occurred before, int64 [N]."""
    by_number = np.argsort(numbers, kind="stable")
    is_first = np.diff(numbers[by_number], prepend=-1) != 0
    positions = np.arange(len(numbers))
    start_of_group = np.maximum.accumulate(np.where(is_first, positions, 0))
    before: np.ndarray = np.empty(len(numbers), np.int64)
    before[by_number] = positions - start_of_group
    return before
