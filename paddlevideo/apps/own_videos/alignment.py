"""Frames of a video looked for in others: where they are, at the right distances in time."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np


def aligned(distance_RF: np.ndarray, times_R: np.ndarray, times_F: np.ndarray) -> np.ndarray:
    """Distances of R frames to what another video shows at their times, for each of O offsets.

    An offset puts one of the R frames on the frame that is nearest to it.

    Args:
        distance_RF: of each of the R frames to each of the F frames of the other video.
        times_R: of the frames that are looked for, seconds.
        times_F: of the other video's, ascending.

    Returns:
        float [O, R]; infinite where the other video shows nothing at that time.
    """
    nearest_R = distance_RF.argmin(axis=1)
    offsets_O = times_F[nearest_R] - times_R
    wanted_OR = offsets_O[:, None] + times_R[None, :]
    position_OR = np.clip(np.searchsorted(times_F, wanted_OR), 0, len(times_F) - 1)
    found_OR = np.full(position_OR.shape, np.inf)
    interval = float(np.median(np.diff(times_F))) if len(times_F) > 1 else 0.0
    all_rows = np.arange(len(times_R))[None, :]
    for beside in (-1, 0, 1):
        near_OR = np.clip(position_OR + beside, 0, len(times_F) - 1)
        is_there_OR = np.abs(times_F[near_OR] - wanted_OR) <= 1.01 * interval + 1e-6
        here_OR = np.where(is_there_OR, distance_RF[all_rows, near_OR], np.inf)
        found_OR = np.minimum(found_OR, here_OR)
    return found_OR


def starts(lengths: Iterable[int]) -> np.ndarray:
    """Where each of parts of these lengths begins, one behind the other."""
    counts = np.array(list(lengths), np.int64)
    begins: np.ndarray = np.cumsum(counts) - counts
    return begins


def blocks(videos: Sequence[int], lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Groups of videos that have about ``size`` rows or frames together."""
    block: list[int] = []
    total = 0
    for video, length in zip(videos, lengths, strict=True):
        if block and total + length > size:
            yield block
            block, total = [], 0
        block.append(video)
        total += length
    if block:
        yield block
