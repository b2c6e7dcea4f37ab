"""One of several processes that normalise together; writes what it computed to ``rank<N>.npz``."""

import sys
from pathlib import Path

import numpy as np
import paddle

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from paddlevideo.modeling.distributed import rank, setup_distributed, world_size
from paddlevideo.modeling.layers.batch_norm import BatchNorm


def run(clips_BCTHW: np.ndarray, weights_BCTHW: np.ndarray, synchronised: bool) -> dict:
    """Two steps of forward and backward of sum(weights * y) / clips."""
    norm = BatchNorm(3, momentum=0.7, activation_name="swish")
    norm.synchronised = synchronised
    norm.weight.set_value(np.array([0.5, 1.0, -2.0], "float32"))
    norm.bias.set_value(np.array([0.1, 0.2, 0.3], "float32"))
    norm.train()
    for _ in range(2):
        x = paddle.to_tensor(clips_BCTHW, stop_gradient=False)
        y = norm(x)
        norm.clear_gradients()
        (y * paddle.to_tensor(weights_BCTHW)).sum().backward()
    return {
        "y": y.numpy(), "gx": x.grad.numpy(), "ggamma": norm.weight.grad.numpy(),
        "gbeta": norm.bias.grad.numpy(), "mean": norm._mean.numpy(),
        "variance": norm._variance.numpy(),
    }  # fmt: skip


def data() -> tuple[np.ndarray, np.ndarray]:
    """Clips of a whole batch, and what their outputs count; one has another mean."""
    rng = np.random.default_rng(0)
    clips, weights = rng.standard_normal((2, 4, 3, 2, 3, 3)).astype("float32")
    return clips + 5 * (np.arange(4) > 2)[:, None, None, None, None].astype("float32"), weights


if __name__ == "__main__":
    setup_distributed()
    clips, weights = data()
    own = slice(0, 3) if rank() == 0 else slice(3, 4)  # shares of different sizes
    assert world_size() == 2
    np.savez(f"rank{rank()}.npz", **run(clips[own], weights[own], synchronised=True))
