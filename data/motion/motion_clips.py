"""Clips whose class is the motion of a shape, and of which no single frame tells the class.

A shape has four attributes: x, y, orientation and the logarithm of its size. Each is a *phase*, a
point on a circle of length 1: positions live on a torus (what leaves on the right comes in on the
left), orientation is a circle anyway, and the size jumps from largest to smallest. A motion lets
one phase drift at a constant rate, ``+`` or ``-``; the others stay. Phases at the middle of the
clip are uniform and independent of the rate, so they are uniform at *every* frame, in *every*
class: the distribution of a single frame is the same for all classes by construction.

Only the sign and the choice of the attribute depend on the class, every random number on the seed
alone. With one seed, therefore, the two directions of a pair are exact time reversals of each
other, and the middle frame of a clip with an odd number of frames is the same in all classes.

Axes: N shapes, T frames, H height, W width, C colour (RGB), V vertices, A attributes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

ATTRIBUTES = ("x", "y", "orientation", "size")

# Motion: (attribute that drifts, direction). Image axes: y grows downwards, so a growing
# orientation turns clockwise. The order is the order of the labels.
MOTIONS: dict[str, tuple[str, int]] = {
    "left": ("x", -1),
    "right": ("x", +1),
    "up": ("y", -1),
    "down": ("y", +1),
    "clockwise": ("orientation", +1),
    "counter_clockwise": ("orientation", -1),
    "growing": ("size", +1),
    "shrinking": ("size", -1),
}
OPPOSITES = {
    name: next(other for other, drift in MOTIONS.items() if drift == (attribute, -direction))
    for name, (attribute, direction) in MOTIONS.items()
}

# Periods of the drifting attribute in one clip. Between two of eight frames spread over the clip
# that is 2 to 6 pixels of 64, 18 to 40 degrees, or 8 to 18 % of size: edges move by a few pixels
# in each, which a network that first looks across frames on a map of a quarter of the size follows.
PERIODS_PER_CLIP = {
    "x": (0.3, 0.7),
    "y": (0.3, 0.7),
    "orientation": (0.4, 0.9),
    "size": (0.6, 1.2),
}

NUM_SHAPES = (2, 4)  # smallest and largest number in a clip

# Largest distance of a vertex from the centre, as a fraction of the side of the frame. Less than
# half, so that a shape never meets its own wrapped copy.
RADIUS_RANGE = (0.1, 0.3)

# Backgrounds are dark and shapes are bright: with either polarity a small network spends most of a
# short training on learning that the sign of the contrast means nothing.
DARK_RANGE = (15, 85)
BRIGHT_RANGE = (120, 255)

_SUPERSAMPLING = 4
_FIXED_POINT_BITS = 4
_STREAM = 0x6D6F74  # separates our random numbers from others drawn with the same seed

Seed = int | Sequence[int]

# Body and tip of each shape, before scaling to a largest radius of 1. None looks like itself after
# a turn of less than a full circle; the tip has another colour and makes that plain.
_SHAPES: tuple[tuple[list[tuple[float, float]], list[tuple[float, float]]], ...] = (
    (  # bar
        [(-1, -0.32), (1, -0.32), (1, 0.32), (-1, 0.32)],
        [(0.35, -0.32), (1, -0.32), (1, 0.32), (0.35, 0.32)],
    ),
    (  # long triangle
        [(-0.75, -0.6), (1, 0), (-0.75, 0.6)],
        [(0.2, -0.275), (1, 0), (0.2, 0.275)],
    ),
    (  # L
        [(-0.5, -1), (0.05, -1), (0.05, 0.45), (0.8, 0.45), (0.8, 1), (-0.5, 1)],
        [(0.05, 0.45), (0.8, 0.45), (0.8, 1), (0.05, 1)],
    ),
    (  # arrow
        [(-1, -0.25), (0.1, -0.25), (0.1, -0.7), (1, 0), (0.1, 0.7), (0.1, 0.25), (-1, 0.25)],
        [(0.1, -0.7), (1, 0), (0.1, 0.7)],
    ),
    (  # flag
        [(-0.6, -1), (0.8, -1), (0.8, 0), (-0.2, 0), (-0.2, 1), (-0.6, 1)],
        [(-0.2, -1), (0.8, -1), (0.8, 0), (-0.2, 0)],
    ),
    (  # drop: most of a circle, drawn out to a point
        [
            *((-0.3 + 0.6 * np.cos(a), 0.6 * np.sin(a)) for a in np.linspace(1.1, 5.18, 16)),
            (1.1, 0),
        ],
        [(0.15, -0.46), (1.1, 0), (0.15, 0.46)],
    ),
)


@dataclass(frozen=True)
class _Look:
    """What a shape looks like; nothing of it depends on the motion.

    Attributes:
        body, tip: polygons ``[V, 2]`` around the origin, largest radius 1.
        body_colour, tip_colour: RGB ``[3]``, 0 to 255.
        radius_range: smallest and largest radius in pixels.
    """

    body: np.ndarray
    tip: np.ndarray
    body_colour: np.ndarray
    tip_colour: np.ndarray
    radius_range: tuple[float, float]


def draw_clip(motion: str, seed: Seed, num_frames: int = 24, size: int = 64) -> np.ndarray:
    """Draw one clip.

    Args:
        motion: a key of :data:`MOTIONS`.
        seed: a non-negative number or several; the same seed gives the same scene for each motion.
        num_frames: T.
        size: height and width in pixels.

    Returns:
        uint8 ``[T, H, W, 3]``, RGB.
    """
    phases_NTA = attribute_phases(motion, seed, num_frames)
    rng = _generators(seed)[1]
    background_HWC = _background(rng, size)
    looks = _looks(rng, len(phases_NTA), background_HWC.mean(axis=(0, 1)), size)
    clip_THWC = np.repeat(background_HWC[None], num_frames, axis=0)
    for look, phases_TA in zip(looks, phases_NTA, strict=True):
        for frame_HWC, phases_A in zip(clip_THWC, phases_TA, strict=True):
            _paint(frame_HWC, look, phases_A)
    return np.clip(np.rint(clip_THWC), 0, 255).astype(np.uint8)


def attribute_phases(motion: str, seed: Seed, num_frames: int) -> np.ndarray:
    """The trajectories of the shapes of ``draw_clip(motion, seed, num_frames)``.

    Returns:
        float64 ``[N, T, A]``, attributes in the order of :data:`ATTRIBUTES`, in
        periods, from 0 to 1. Uniform at each frame, whatever the motion.
    """
    attribute, direction = MOTIONS[motion]
    rng = _generators(seed)[0]
    num_shapes = int(rng.integers(NUM_SHAPES[0], NUM_SHAPES[1] + 1))
    middle_NA = rng.uniform(size=(num_shapes, len(ATTRIBUTES)))
    rate_N = rng.uniform(*PERIODS_PER_CLIP[attribute], size=num_shapes)
    # Counted from the middle, in halves: exactly antisymmetric, hence the exact time reversal.
    time_T = (np.arange(num_frames) - (num_frames - 1) / 2) / num_frames
    phases_NTA = np.repeat(middle_NA[:, None], num_frames, axis=1)
    phases_NTA[:, :, ATTRIBUTES.index(attribute)] += direction * rate_N[:, None] * time_T
    return np.mod(phases_NTA, 1.0)


def _generators(seed: Seed) -> tuple[np.random.Generator, np.random.Generator]:
    """Two independent generators of one seed: for the trajectories, and for the looks."""
    words = (seed,) if isinstance(seed, int) else tuple(seed)
    motion, look = np.random.SeedSequence((_STREAM, len(words), *words)).spawn(2)
    return np.random.default_rng(motion), np.random.default_rng(look)


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A still background: gradient + smooth texture + fine noise. float32 ``[H, W, 3]``."""
    base_C = rng.uniform(*DARK_RANGE, size=3)
    gradient_C = rng.uniform(-12, 12, size=3)
    angle = rng.uniform(0, 2 * np.pi)
    cells = int(rng.integers(3, 9))
    texture = rng.normal(0, rng.uniform(0, 6), size=(cells, cells, 3)).astype(np.float32)
    noise_HWC = rng.normal(0, rng.uniform(0, 3), size=(size, size, 3))
    axis = np.linspace(-1, 1, size)
    slope_HW = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
    smooth_HWC = cv2.resize(texture, (size, size), interpolation=cv2.INTER_CUBIC)
    background_HWC = base_C + slope_HW[:, :, None] * gradient_C + smooth_HWC + noise_HWC
    return np.clip(background_HWC, 0, 255).astype(np.float32)


def _looks(
    rng: np.random.Generator, num_shapes: int, background_C: np.ndarray, size: int
) -> list[_Look]:
    """Draw the looks of all shapes; each colour stands out from the background."""
    radius_range = (RADIUS_RANGE[0] * size, RADIUS_RANGE[1] * size)
    looks = []
    for kind in rng.choice(len(_SHAPES), size=num_shapes, replace=False):
        stretch_2 = np.array([1.0, rng.uniform(0.8, 1.2) * rng.choice((-1, 1))])
        body_V2, tip_V2 = (np.array(polygon) * stretch_2 for polygon in _SHAPES[kind])
        largest = np.linalg.norm(np.concatenate((body_V2, tip_V2)), axis=1).max()
        body_C = _distinct_colour(rng, [background_C])
        tip_C = _distinct_colour(rng, [background_C, body_C])
        looks.append(_Look(body_V2 / largest, tip_V2 / largest, body_C, tip_C, radius_range))
    return looks


def _distinct_colour(rng: np.random.Generator, others: list[np.ndarray]) -> np.ndarray:
    """The one of a few random bright colours that is farthest from the nearest of ``others``.

    Brightness counts most: video codecs keep colour at half the resolution.
    """
    candidates_KC = rng.uniform(*BRIGHT_RANGE, size=(12, 3))
    luma_C = np.array([0.299, 0.587, 0.114])
    difference_KOC = candidates_KC[:, None] - np.array(others)
    distance_KO = 2 * np.abs(difference_KOC @ luma_C) + np.abs(difference_KOC).mean(axis=2)
    return candidates_KC[distance_KO.min(axis=1).argmax()]


def _paint(frame_HWC: np.ndarray, look: _Look, phases_A: np.ndarray) -> None:
    """Paint one shape over a float32 frame, in place."""
    size = len(frame_HWC)
    x, y, orientation, log_size = phases_A
    smallest, largest = look.radius_range
    radius = smallest * (largest / smallest) ** log_size
    angle = 2 * np.pi * orientation
    turn = radius * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre_2 = np.array([x, y]) * size
    for polygon_V2, colour_C in (
        (look.body, look.body_colour),
        (look.tip, look.tip_colour),
    ):
        cover_HW1 = _coverage(polygon_V2 @ turn + centre_2, size)[:, :, None]
        frame_HWC += cover_HW1 * (colour_C.astype(np.float32) - frame_HWC)


def _coverage(polygon_V2: np.ndarray, size: int) -> np.ndarray:
    """How much of each pixel a polygon covers, on the torus: float32 ``[H, W]``, 0 to 1.

    Args:
        polygon_V2: x and y in pixels; vertices may lie up to one period outside the frame.
    """
    low_2, high_2 = polygon_V2.min(axis=0), polygon_V2.max(axis=0)
    shifts_x, shifts_y = (
        [shift for shift in (-size, 0, size) if high + shift > 0 and low + shift < size]
        for low, high in zip(low_2, high_2, strict=True)
    )
    fine: np.ndarray = np.zeros((size * _SUPERSAMPLING, size * _SUPERSAMPLING), np.uint8)
    for shift_x in shifts_x:
        for shift_y in shifts_y:
            # cv2 counts from the centre of the first pixel, we count from its corner.
            moved_V2 = (polygon_V2 + np.array([shift_x, shift_y])) * _SUPERSAMPLING - 0.5
            fixed_V2 = np.rint(moved_V2 * (1 << _FIXED_POINT_BITS)).astype(np.int32)
            cv2.fillPoly(fine, [fixed_V2], 255, lineType=cv2.LINE_8, shift=_FIXED_POINT_BITS)
    cover_HW = cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)
    return cover_HW.astype(np.float32) / 255
