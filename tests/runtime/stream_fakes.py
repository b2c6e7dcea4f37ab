"""A runner of streams without a network, whose answers tell what it has seen."""

import threading

import numpy as np

from paddlevideo.video import ClipInput

SIDE = 8
FRAME_RATE = 5.0


def view(**changes: object) -> ClipInput:
    node = {
        "sample": {"name": "UniformSampler", "num_frames": 4},
        "transform": [
            {"Scale": {"short_size": SIDE}},
            {"CenterCrop": {"target_size": SIDE}},
            "Image2Array",
        ],
    }
    return ClipInput({**node, **changes}, "INFERENCE")


class FakeRunner:
    """States: the number of frames and the sum of their grey levels, for each row.

    The logits are (count, sum, 0): what a row has seen since its reset.
    """

    frame_shape = (3, SIDE, SIDE)
    num_classes = 3
    labels = ("count", "sum", "none")

    def __init__(self, batch_size=1, frame_rate=FRAME_RATE):
        self.frame_rate = frame_rate
        self.batch_size = batch_size
        self.states = {
            "count": np.zeros([batch_size], np.int32),
            "sum": np.zeros([batch_size, 1, 1], np.float32),
        }
        self.batches, self.snapshots, self.threads = [], 0, set()

    def step(self, frames_BCHW):
        assert frames_BCHW.shape == (self.batch_size, *self.frame_shape)
        assert frames_BCHW.dtype == np.uint8
        self.threads.add(threading.get_ident())
        self.batches.append(frames_BCHW.copy())
        self.states["count"] = self.states["count"] + 1
        self.states["sum"] = (
            self.states["sum"] + frames_BCHW.mean((1, 2, 3), np.float32)[:, None, None]
        )
        return self.seen()

    def apart(self):
        return None

    def seen(self):
        zeros = np.zeros(self.batch_size, np.float32)
        columns = [self.states["count"].astype(np.float32), self.states["sum"][:, 0, 0], zeros]
        return np.stack(columns, axis=1)

    def reset(self, rows=None):
        rows = range(self.batch_size) if rows is None else rows
        for name, array in self.states.items():
            array = array.copy()
            array[list(rows)] = 0
            self.states[name] = array

    def snapshot(self):
        self.snapshots += 1
        return {name: array.copy() for name, array in self.states.items()}

    def restore(self, states):
        self.states = {name: array.copy() for name, array in states.items()}


def grey(level: int, height: int = 20, width: int = 30) -> np.ndarray:
    """A frame of one grey level."""
    return np.full((height, width, 3), level, np.uint8)
