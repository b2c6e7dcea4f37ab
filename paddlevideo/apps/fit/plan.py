"""How long to train, on clips of which size: what the time that is given allows."""

import math
from dataclasses import dataclass

# (short side of a clip's frames in pixels, frames of a clip in training), the dearest first.
_SHAPES = ((144, 8), (128, 8), (112, 8), (96, 8), (80, 8))
_SMALLEST_BATCH = 2


@dataclass(frozen=True)
class Wanted:
    """How much training is enough.

    Attributes:
        updates: of the weights.
        epochs: at least so many, whatever the number of updates.
        most_epochs: more gain nothing.
        learning_rate: at the start of the cosine.
        least_area: share of a frame that a random crop shows at least.
        colour: strength of the colour's random changes, from 0 to 1.
    """

    updates: int
    epochs: int
    most_epochs: int
    learning_rate: float
    least_area: float
    colour: float


# A network that knows videos needs few updates (docs/own_data.md has the measurements); one that
# knows nothing learns nothing in its first 200, while rezero's scales leave 0.
PRETRAINED = Wanted(
    updates=180, epochs=20, most_epochs=60, learning_rate=6e-4, least_area=0.35, colour=0.3
)
FROM_SCRATCH = Wanted(
    updates=1500, epochs=80, most_epochs=300, learning_rate=3e-3, least_area=0.25, colour=0.5
)


@dataclass(frozen=True)
class Data:
    """What the plan depends on.

    Attributes:
        num_train, num_val: videos.
        num_frames: of a validation clip, which covers the whole of most videos.
    """

    num_train: int
    num_val: int
    num_frames: int


@dataclass(frozen=True)
class Cost:
    """Measured on this machine, for frames of 128x128 pixels, of one process with one thread.

    Attributes:
        train_frame_seconds: forward, backward and update, of one frame of a clip.
        test_frame_seconds: forward alone.
        decode_seconds: reading one clip.
        native_side: pixels of a frame that the model was made for; no larger ones are taken.
    """

    train_frame_seconds: float
    test_frame_seconds: float
    decode_seconds: float
    native_side: int


@dataclass(frozen=True)
class Plan:
    """What is trained.

    Attributes:
        side: pixels of a frame, in training and in test.
        num_frames: of a training clip.
        batch_size: clips of each process.
        processes: that train together.
        epochs, val_interval: validation takes at most a quarter of the time.
        seconds: that it is thought to take.
    """

    side: int
    num_frames: int
    batch_size: int
    processes: int
    epochs: int
    val_interval: int
    seconds: float


def make_plan(
    data: Data,
    cost: Cost,
    wanted: Wanted,
    seconds: float,
    processes: int,
    epochs: int | None = None,
) -> Plan:
    """Choose the largest frames on which the wanted training fits the time.

    Args:
        seconds: for training and validation.
        epochs: fixed by the user; the frames are then the largest that fit.

    Where nothing fits, it is the smallest frames, and fewer epochs.
    """
    batch_size = min(8, max(_SMALLEST_BATCH, math.ceil(data.num_train / processes / 4)))
    per_epoch = max(1, data.num_train // (batch_size * processes))
    enough = epochs or min(
        wanted.most_epochs, max(wanted.epochs, math.ceil(wanted.updates / per_epoch))
    )
    shapes = [shape for shape in _SHAPES if shape[0] <= cost.native_side] or [_SHAPES[-1]]
    plans = [_planned(data, cost, shape, batch_size, processes, enough) for shape in shapes]
    fitting = [plan for plan in plans if plan.seconds <= seconds]
    if fitting:
        return fitting[0]
    if epochs is not None:
        return plans[-1]
    affordable = max(2, int(enough * seconds / plans[-1].seconds))
    return _planned(data, cost, shapes[-1], batch_size, processes, affordable)


def _planned(
    data: Data, cost: Cost, shape: tuple[int, int], batch_size: int, processes: int, epochs: int
) -> Plan:
    side, num_frames = shape
    area = (side / 128) ** 2
    per_epoch = max(1, data.num_train // (batch_size * processes))
    clip = num_frames * area * cost.train_frame_seconds + cost.decode_seconds
    train_seconds = per_epoch * batch_size * clip
    test_clip = data.num_frames * area * cost.test_frame_seconds + cost.decode_seconds
    test_seconds = data.num_val / processes * test_clip
    # Validation takes at most a quarter of the time, and is done ten times at least.
    interval = max(1, math.ceil(3 * test_seconds / train_seconds))
    interval = min(interval, max(1, epochs // 10))
    seconds = epochs * train_seconds + math.ceil(epochs / interval) * test_seconds
    return Plan(side, num_frames, batch_size, processes, epochs, interval, seconds)
