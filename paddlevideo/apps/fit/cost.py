"""What a training step, a test step and reading a video cost on this machine."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import paddle
from paddle import nn

from paddlevideo.apps.fit.plan import Cost
from paddlevideo.solver import build_optimizer
from paddlevideo.tasks.step import Precision, TrainStep
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.video import Pipeline

_SIDE, _FRAMES, _CLIPS = 128, 8, 4
_OPTIMIZER = {"name": "AdamW", "learning_rate": 0.0, "weight_decay": 0.0}
_VIDEOS = 6
# Two processes that compute at once wait for the same memory.
_SHARED_MEMORY = 1.2


def measure_cost(
    model: nn.Layer, num_classes: int, pipeline: ReadNode, videos: Sequence[str], native_side: int
) -> Cost:
    """Time a few steps of ``model`` on noise and the reading of a few videos.

    The weights are left as they are.

    Args:
        pipeline: description that reads one clip.
    """
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rng = np.random.default_rng(0)
    batch = {
        "clip": paddle.to_tensor(
            rng.integers(0, 256, (_CLIPS, _FRAMES, 3, _SIDE, _SIDE), np.uint8)
        ),
        "label": paddle.to_tensor(rng.integers(0, num_classes, _CLIPS)),
    }
    step = TrainStep(model, build_optimizer(_OPTIMIZER, model, "OPTIMIZER"), Precision())
    model.train()
    train = _least_seconds(lambda: step(batch, 0.0, 1, True))
    model.eval()
    with paddle.no_grad():
        test = _least_seconds(lambda: model.predict(batch))
    for name, tensor in model.state_dict().items():
        tensor.set_value(before[name])
    frames = _CLIPS * _FRAMES
    return Cost(
        train * _SHARED_MEMORY / frames,
        test * _SHARED_MEMORY / frames,
        _decode_seconds(pipeline, videos),
        native_side,
    )


def _least_seconds(run: Callable[[], object]) -> float:
    taken = []
    for _ in range(4):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def _decode_seconds(pipeline: ReadNode, videos: Sequence[str]) -> float:
    """Mean over some videos, spread evenly."""
    built = Pipeline(pipeline)
    chosen = [videos[len(videos) * index // _VIDEOS] for index in range(min(_VIDEOS, len(videos)))]
    begun = time.perf_counter()
    for path in chosen:
        try:
            built.load(path)
        except DataError:
            continue
    return (time.perf_counter() - begun) / max(1, len(chosen))
