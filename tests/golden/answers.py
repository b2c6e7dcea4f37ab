"""What a network answers, in a few hundred numbers: the content of the small goldens.

``python -m golden.answers`` in ``tests/`` writes ``tests/golden/*.npz`` anew. That is right only
where the tests against other implementations (``pytest tests/modeling/test_golden_tensorflow.py
tests/modeling/test_golden_paddlevideo.py``) pass on the same tree, without a skip.
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import paddle

from golden.networks import LABELS, NETWORKS, SAMPLES, clip_BTCHW, network

FOLDER = Path(__file__).resolve().parent
TRAINED = ("a0_base", "a0_stream")
SPLITS = ([1] * 8, [3, 1, 4])


def samples(array: np.ndarray) -> np.ndarray:
    """Return at most SAMPLES values, evenly spaced over the flat array, and its largest."""
    flat = np.asarray(array).reshape(-1)
    chosen = np.linspace(0, flat.size - 1, min(SAMPLES, flat.size)).astype(np.int64)
    return np.append(flat[chosen], np.abs(flat).max()).astype(flat.dtype)


@paddle.no_grad()
def clip_answers(name: str) -> dict[str, np.ndarray]:
    """Logits and every endpoint of the clip."""
    endpoints: OrderedDict[str, paddle.Tensor] = OrderedDict()
    logits = network(name)(paddle.to_tensor(clip_BTCHW()), endpoints=endpoints)
    found = {f"endpoint/{key}": samples(tensor.numpy()) for key, tensor in endpoints.items()}
    return {"logits": logits.numpy(), **found}


@paddle.no_grad()
def stream_answers(name: str, sizes: list[int]) -> dict[str, np.ndarray]:
    """Logits after each piece of the clip and every state after the last.

    What ``pool_rest`` holds is the rounding of a sum alone, which another machine rounds otherwise.
    """
    model, clip = network(name), paddle.to_tensor(clip_BTCHW())
    states, start, logits = model.init_states(clip.shape[0], *clip.shape[3:]), 0, []
    for size in sizes:
        out, states = model.step(clip[:, start : start + size], states)
        logits.append(out.numpy())
        start += size
    kept = {key: tensor for key, tensor in states.items() if not key.endswith("pool_rest")}
    found = {f"state/{key}": samples(tensor.numpy()) for key, tensor in kept.items()}
    return {"logits_after": np.stack(logits), **found}


def training_answers(name: str) -> dict[str, np.ndarray]:
    """Loss, gradients and running statistics of one training step without dropout."""
    model = network(name)
    model.train()
    model.head.dropout.p = 0.0
    batch = {"clip": paddle.to_tensor(clip_BTCHW()), "label": paddle.to_tensor(LABELS)}
    loss = model.loss(batch)["loss"]
    loss.backward()
    found = {"loss": loss.numpy()}
    for key, tensor in model.named_parameters():
        if not tensor.stop_gradient:
            found[f"gradient/{key}"] = samples(tensor.grad.numpy())
    for key, tensor in model.state_dict().items():
        if key.endswith(("_mean", "_variance")):
            found[f"running/{key}"] = samples(tensor.numpy())
    return found


def answers(name: str) -> dict[str, np.ndarray]:
    """All of the network ``name``."""
    found = clip_answers(name)
    if "stream" in name:
        found |= stream_answers(name, SPLITS[0])
    if name in TRAINED:
        found |= training_answers(name)
    return found


if __name__ == "__main__":
    for network_name in NETWORKS:
        np.savez_compressed(FOLDER / f"{network_name}.npz", **answers(network_name))
