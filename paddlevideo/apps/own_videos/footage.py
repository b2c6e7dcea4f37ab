"""Which videos show the same frames: thumbnails compared along time.

Two moments are compared by the *distance* of their grey 16 x 16 thumbnails, 1 - correlation: 0 for
the same picture, whatever its brightness, contrast, size and encoding.

A threshold on single frames does not do. Of 7050 pairs of windows of different footage, hands over
two sinks, 22 have frames at a distance below 0.01, the nearest at 0.0011; a copy that was scaled to
half and encoded at crf 35 is at 0.0007 to 0.0036 from its original. What tells them apart is
motion: a copy goes through the same poses at the same times. So ``_RUN`` sampled frames in a row
are compared, and their mean distance must be below ``_SHARE_OF_MOTION`` of what the picture changes
by within that run. Copies of real videos (half size at crf 35; crf 30; other frame rate and size)
are found in 96 of 96 cases for these windows, 64 of 66 for mixed clips, 28 of 42 for people in
64 x 64 pixels (those halved to 32 are not). Of the pairs of windows that are called by different
recordings one is joined by its frames, and does share five; none of the 7050 is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from paddlevideo.apps.own_videos.alignment import aligned, blocks, starts
from paddlevideo.apps.own_videos.file_scan import SIDE, FileScan, Fingerprint
from paddlevideo.apps.own_videos.movement import Movements

_ROWS = 16  # frames of a video that are looked for in the others
_RUN = 4  # of them in a row that must be found, at the right distances in time
_SHARE_OF_MOTION = 0.15
# Of the few frames at each end, which find windows that overlap little, more is asked: the change
# within a tenth of a second is small, and runs of different recordings came as near as 0.0026.
_END_SHARE_OF_MOTION = 0.1
_END_MOST_DISTANCE = 0.002
_LEAST_CHANGE = 0.001  # within a run that says something
_LEAST_DISTANCE = 0.0003  # that of encoding noise, for pictures that stand still
_MOST_DISTANCE = 0.0037
_LEAST_CONTRAST = 3.0  # grey levels; a black or white frame is like any other one
# Multiplications; beyond it fewer frames of each video are compared: about a minute on two cores.
_MOST_WORK = 1e12
_LARGEST_STEP = 16
_BLOCK_FRAMES = 8192
_BLOCK_ROWS = 2048

# One window goes on where another ends: the step from the last frame of the one to the first frame
# of the other is like the steps beside it, and small, absolutely or against what the frames of the
# video differ by. Of 103 pairs of windows that follow each other 40 are found so, the others move
# too fast or not at all; of 77000 pairs that do not, one is.
_STEP_FACTOR = 1.5
_LEAST_STEP = 0.0005
_MOST_STEP = 0.005
_MOST_STEP_IN_MOTION = 0.02
_STEP_SHARE_OF_CHANGE = 0.1


class Kind(Enum):
    """In which way two videos are of the same footage; the value is a phrase about the first."""

    IDENTICAL = "is the same file as"
    FRAMES = "shows the same frames as"
    MIRRORED = "shows, mirrored, the same frames as"
    CHANGED = "shows, with changed pictures, the same movement as"
    GOES_ON = "ends where the next one begins,"


@dataclass(frozen=True)
class Match:
    """Two videos of the same footage, by their indices; ``distance`` is 0 for the same pictures."""

    first: int
    second: int
    kind: Kind
    distance: float = 0.0


class Pictures:
    """The thumbnails of all videos, ready to be compared.

    Args:
        scans: one for each video; those without frames are like nothing.

    Attributes:
        step: every how many thumbnails one is compared; more than 1 for large collections.
    """

    def __init__(self, scans: Sequence[FileScan]) -> None:
        self._prints = [scan.fingerprint for scan in scans]
        counts = [len(prints.times_seconds) for prints in self._prints]
        num_rows = sum(min(count, _ROWS + 2 * _RUN) for count in counts)
        self.step = 1
        while 2 * num_rows * sum(counts) * SIDE**2 / self.step > _MOST_WORK:
            if self.step == _LARGEST_STEP:
                break
            self.step *= 2
        self._queries = [_Query.of(prints, self.step) for prints in self._prints]

    def matches(self) -> list[Match]:
        """All pairs that show the same frames or movement, mirrored or not; each pair once."""
        best: dict[tuple[int, int], Match] = {}
        for kind in (Kind.FRAMES, Kind.MIRRORED):
            for query, video in self._candidates(kind is Kind.MIRRORED):
                pair = (min(query, video), max(query, video))
                if pair in best:
                    continue
                distance = self._distance(query, video, kind is Kind.MIRRORED)
                if distance is not None:
                    best[pair] = Match(*pair, kind, distance)
        movements = Movements(self._prints, self.step)
        for mirrored in (False, True):
            for one, other, distance in movements.matches(mirrored):
                pair = (min(one, other), max(one, other))
                best.setdefault(pair, Match(*pair, Kind.CHANGED, distance))
        return [best[pair] for pair in sorted(best)]

    def _candidates(self, mirrored: bool) -> Iterator[tuple[int, int]]:
        """Pairs (video whose rows are looked for, video they are looked for in) that may match.

        Where the mean of a run is below its limit, two of its distances are below twice that.
        """
        videos = [i for i, query in enumerate(self._queries) if len(query.times)]
        for rows in blocks(videos, [len(self._queries[i].times) for i in videos], _BLOCK_ROWS):
            queries = [self._queries[i] for i in rows]
            rows_RD = np.concatenate([query.rows(mirrored) for query in queries])
            limits_R = np.concatenate([2 * query.limits for query in queries])
            row_starts = starts([len(query.times) for query in queries])
            needed = np.array([min(2, len(query.times)) for query in queries])
            lengths = [-(-len(self._prints[i].times_seconds) // self.step) for i in videos]
            for block in blocks(videos, lengths, _BLOCK_FRAMES):
                frames = [self._frames(i)[0] for i in block]
                similar_RF = rows_RD @ np.concatenate(frames).T
                nearest_RV = np.maximum.reduceat(similar_RF, starts(map(len, frames)), axis=1)
                is_near_RV = 1 - nearest_RV <= limits_R[:, None]
                num_near_QV = np.add.reduceat(is_near_RV.astype(np.int64), row_starts, axis=0)
                for q, v in np.argwhere(num_near_QV >= needed[:, None]):
                    if rows[q] != block[v]:
                        yield rows[q], block[v]

    def _frames(self, video: int) -> tuple[np.ndarray, np.ndarray]:
        """Normalised thumbnails [F, D] of a video, and their times [F]."""
        prints = self._prints[video]
        return (_normalised(prints.pictures[:: self.step]), prints.times_seconds[:: self.step])

    def _distance(self, query: int, video: int, mirrored: bool) -> float | None:
        """Mean distance of the best run that is found; None where none is."""
        rows = self._queries[query]
        frames_FD, times_F = self._frames(video)
        distance_RF = 1 - rows.rows(mirrored) @ frames_FD.T
        found_OR = aligned(distance_RF, rows.times, times_F)
        runs_OW = found_OR[:, rows.runs].mean(axis=2)
        is_same_OW = runs_OW <= rows.run_limits[None, :]
        return float(np.maximum(runs_OW[is_same_OW].min(), 0)) if is_same_OW.any() else None

    def continuations(self, step_factor: float = _STEP_FACTOR) -> list[Match]:
        """Pairs where the second video begins where the first ends, in motion."""
        videos = [i for i, prints in enumerate(self._prints) if len(prints.first) == 2]
        if not videos:
            return []
        first_VD, first_step_V = _ends([self._prints[i].first for i in videos], 0)
        last_VD, last_step_V = _ends([self._prints[i].last for i in videos], 1)
        change_V = np.array([self._queries[i].change for i in videos])
        found = []
        for a, video in enumerate(videos):
            distance_V = 1 - first_VD @ last_VD[a]
            step_V = np.maximum(first_step_V, last_step_V[a])
            most_V = _STEP_SHARE_OF_CHANGE * np.minimum(change_V, change_V[a])
            most_V = np.clip(most_V, _MOST_STEP, _MOST_STEP_IN_MOTION)
            is_next_V = distance_V <= np.minimum(step_factor * step_V, most_V)
            is_next_V &= step_V >= _LEAST_STEP
            is_next_V[a] = False
            for b in np.flatnonzero(is_next_V):
                found.append(Match(video, videos[b], Kind.GOES_ON, float(max(distance_V[b], 0))))
        return found

    def step_between(self, first: int, second: int) -> float:
        """The distance from the last frame of a video to the first one of another; 1: unknown."""
        last, begin = self._prints[first].last, self._prints[second].first
        if not len(last) or not len(begin):
            return 1.0
        return float(1 - _normalised(last[-1:])[0] @ _normalised(begin[:1])[0])

    def scene_distance(self, first: int, second: int) -> float:
        """The smallest distance of any two frames of two videos; 1: unknown."""
        rows, others = self._queries[first].plain, self._queries[second].plain
        return float(1 - (rows @ others.T).max()) if len(rows) and len(others) else 1.0


@dataclass(frozen=True)
class _Query:
    """The R frames of a video that are looked for in others, and W runs of them.

    Attributes:
        plain, mirrored: normalised thumbnails [R, D].
        times: their times, seconds [R].
        runs: the frames of each run, by index [W, L].
        run_limits: largest mean distance at which a run is the same footage [W].
        limits: the largest of those of the runs that a frame is in [R].
        change: the median distance of frames at even times.
    """

    plain: np.ndarray
    mirrored: np.ndarray
    times: np.ndarray
    runs: np.ndarray
    run_limits: np.ndarray
    limits: np.ndarray
    change: float

    def rows(self, mirrored: bool) -> np.ndarray:
        """The thumbnails [R, D]."""
        return self.mirrored if mirrored else self.plain

    @classmethod
    def of(cls, prints: Fingerprint, step: int) -> "_Query":
        """Frames at even times, and the first and the last few, for windows that overlap little.

        Where only every ``step``-th frame is compared, those at even times are among them, so that
        a copy is found.
        """
        count = len(prints.times_seconds)
        positions = np.linspace(0, max(0, count - 1), min(_ROWS, count)).round().astype(np.int64)
        spread = np.unique(positions // step * step)
        length = max(1, min(_RUN, len(spread)))
        runs = np.arange(len(spread) - length + 1)[:, None] + np.arange(length)
        picked = spread
        if count > _ROWS and step == 1:
            ends = np.concatenate([np.arange(_RUN), np.arange(count - _RUN, count)])
            picked = np.concatenate([spread, ends])
            runs = np.concatenate([runs, len(spread) + np.arange(2 * _RUN).reshape(2, _RUN)])
        pictures = prints.pictures[picked]
        plain = _normalised(pictures)
        run_limits = _limits_of(plain[runs], len(spread) - length + 1)
        limits = np.zeros(len(picked))
        np.maximum.at(limits, runs, run_limits[:, None])
        mirrored = _normalised(pictures[:, :, ::-1])
        times = prints.times_seconds[picked]
        change = _median_distance(plain[: len(spread)])
        return cls(plain, mirrored, times, runs, run_limits, limits, change)


def _median_distance(rows_RD: np.ndarray) -> float:
    pairs = np.triu_indices(len(rows_RD), min(3, max(1, len(rows_RD) - 1)))
    return float(np.median((1 - rows_RD @ rows_RD.T)[pairs])) if len(pairs[0]) else 0.0


def _limits_of(runs_WLD: np.ndarray, num_spread: int) -> np.ndarray:
    """How near each run must be, by the mean change of the picture within it; -1: it says nothing.

    A picture that stands still tells takes of one camera from each other only if all of the video,
    its ``num_spread`` first runs, stands still.
    """
    first, second = np.triu_indices(runs_WLD.shape[1], 1)
    similar_WP = np.einsum("wpd,wpd->wp", runs_WLD[:, first], runs_WLD[:, second])
    change_W = 1 - similar_WP.mean(axis=1) if len(first) else np.zeros(len(runs_WLD))
    is_spread_W = np.arange(len(change_W)) < num_spread
    share_W = np.where(is_spread_W, _SHARE_OF_MOTION, _END_SHARE_OF_MOTION)
    most_W = np.where(is_spread_W, _MOST_DISTANCE, _END_MOST_DISTANCE)
    limits_W = np.clip(share_W * change_W, _LEAST_DISTANCE, most_W)
    moves_W = change_W >= _LEAST_CHANGE
    is_used_W = moves_W | (is_spread_W & (not moves_W[:num_spread].any()))
    limits: np.ndarray = np.where(is_used_W, limits_W, -1.0)
    return limits


def _normalised(pictures_THW: np.ndarray) -> np.ndarray:
    """Pictures [T, D] of mean 0 and length 1; those without contrast are 0, and like nothing."""
    flat_TD: np.ndarray = pictures_THW.reshape(-1, SIDE**2).astype(np.float32)
    flat_TD -= flat_TD.mean(axis=1, keepdims=True)
    length_T1 = np.linalg.norm(flat_TD, axis=1, keepdims=True)
    has_contrast_T1 = length_T1 >= _LEAST_CONTRAST * SIDE
    normalised: np.ndarray = np.where(has_contrast_T1, flat_TD / np.maximum(length_T1, 1e-6), 0)
    return normalised


def _ends(pairs: Sequence[np.ndarray], which: int) -> tuple[np.ndarray, np.ndarray]:
    """One of the two frames at an end of each video [V, D], and the distance of the two [V]."""
    both = [_normalised(pair) for pair in pairs]
    steps = [1 - float(pair_2D[0] @ pair_2D[1]) for pair_2D in both]
    return np.stack([pair_2D[which] for pair_2D in both]), np.array(steps)
