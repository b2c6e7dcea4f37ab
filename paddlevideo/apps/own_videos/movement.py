"""Which videos show the same movement though their pictures differ: a logo, borders, other colours.

A frame less the mean of its video's frames is what moves in it. Whatever stands still, a logo, a
border, a subtitle, is gone with the mean, and brightness and contrast only scale what is left. So
copies are alike in their movement where their pictures are not, and takes of one scene, whose
background made them alike, are not.

What is found so, and that no video is taken for another, is measured by `benchmarks/duplicates.py`
(docs/check_data.md).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from paddlevideo.apps.own_videos.alignment import aligned, blocks, starts
from paddlevideo.apps.own_videos.file_scan import SIDE, Fingerprint

_ROWS = 16
_LEAST_ROWS = 8
_SHARE_OF_ROWS = 0.6  # of a video that must be in the other
_LEAST_SIMILARITY = 0.9
# Where the mean of rows is above the limit, a third of them is above this.
_NEAR = 0.8
_LEAST_MOVEMENT = 0.5  # grey levels, root mean square; below it is noise
# Of the similarity of a video's rows to each other, either way: a lamp that fades, or a short
# movement in a still scene, is the same in many videos.
_MOST_ALIKE = 0.75
_BLOCK_FRAMES = 8192
_BLOCK_ROWS = 2048


class Movements:
    """The movement in all videos, ready to be compared.

    Args:
        prints: one for each video.
        step: every how many thumbnails one is compared.
    """

    def __init__(self, prints: Sequence[Fingerprint], step: int) -> None:
        self._step = step
        self._prints = prints
        self._rows = [self._rows_of(video) for video in range(len(prints))]
        self._videos = [i for i, (rows_RD, _) in enumerate(self._rows) if len(rows_RD)]

    def matches(self, mirrored: bool) -> Iterator[tuple[int, int, float]]:
        """Yield pairs of videos, and 1 - similarity; a pair may come twice."""
        for one, other in self._candidates(mirrored):
            rows_RD, times_R = self._rows[one]
            similar_RF = _turned(rows_RD, mirrored) @ self._frames(other).T
            times_F = self._prints[other].times_seconds[:: self._step]
            distance_OR = aligned(1 - similar_RF, times_R, times_F)
            is_there_OR = np.isfinite(distance_OR)
            num_there_O = is_there_OR.sum(axis=1)
            total_O = np.where(is_there_OR, distance_OR, 0.0).sum(axis=1)
            enough_O = num_there_O >= max(_LEAST_ROWS, _SHARE_OF_ROWS * len(times_R))
            if enough_O.any():
                distance = float((total_O[enough_O] / num_there_O[enough_O]).min())
                if distance <= 1 - _LEAST_SIMILARITY:
                    yield one, other, max(distance, 0.0)

    def _candidates(self, mirrored: bool) -> Iterator[tuple[int, int]]:
        videos = self._videos
        lengths = [len(self._rows[i][1]) for i in videos]
        for group in blocks(videos, lengths, _BLOCK_ROWS):
            rows_RD = np.concatenate([_turned(self._rows[i][0], mirrored) for i in group])
            row_starts = starts(len(self._rows[i][1]) for i in group)
            needed_Q = np.array([0.3 * len(self._rows[i][1]) for i in group])
            counts = [-(-len(self._prints[i].times_seconds) // self._step) for i in videos]
            for block in blocks(videos, counts, _BLOCK_FRAMES):
                frames = [self._frames(i) for i in block]
                similar_RF = rows_RD @ np.concatenate(frames).T
                nearest_RV = np.maximum.reduceat(similar_RF, starts(map(len, frames)), axis=1)
                is_near_RV = (nearest_RV >= _NEAR).astype(np.int64)
                num_near_QV = np.add.reduceat(is_near_RV, row_starts, axis=0)
                for q, v in np.argwhere(num_near_QV >= needed_Q[:, None]):
                    if group[q] != block[v]:
                        yield group[q], block[v]

    def _frames(self, video: int) -> np.ndarray:
        """What moves in each frame [F, D]: of length 1, or 0 where nothing does."""
        pictures = self._prints[video].pictures[:: self._step]
        flat_FD: np.ndarray = pictures.reshape(-1, SIDE**2).astype(np.float32)
        flat_FD -= flat_FD.mean(axis=0)
        flat_FD -= flat_FD.mean(axis=1, keepdims=True)  # a change of brightness is no movement
        length_F1 = np.linalg.norm(flat_FD, axis=1, keepdims=True)
        moves_F1 = length_F1 >= _LEAST_MOVEMENT * SIDE
        moving_FD: np.ndarray = np.where(moves_F1, flat_FD / np.maximum(length_F1, 1e-6), 0)
        return moving_FD

    def _rows_of(self, video: int) -> tuple[np.ndarray, np.ndarray]:
        """The frames that are looked for [R, D], and their times; none if they say too little."""
        none: np.ndarray = np.empty((0, SIDE**2), np.float32)
        times_F = self._prints[video].times_seconds[:: self._step]
        if len(times_F) < _LEAST_ROWS:
            return none, np.empty(0)
        positions = np.linspace(0, len(times_F) - 1, _ROWS).round().astype(np.int64)
        picked = np.unique(positions)
        rows_RD = self._frames(video)[picked]
        pairs = np.triu_indices(len(rows_RD), 1)
        is_rich = np.abs((rows_RD @ rows_RD.T)[pairs]).mean() <= _MOST_ALIKE
        return (rows_RD, times_F[picked]) if is_rich else (none, np.empty(0))


def _turned(rows_RD: np.ndarray, mirrored: bool) -> np.ndarray:
    if not mirrored:
        return rows_RD
    turned_RD: np.ndarray = rows_RD.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(-1, SIDE**2)
    return turned_RD
