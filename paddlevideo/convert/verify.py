"""How far a model is from another implementation on a golden's input."""

import math
import re
from collections import OrderedDict

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor

from paddlevideo.convert.golden import Golden, our_endpoint, our_state
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.modeling.states import States
from paddlevideo.utils.damage import damage_of, shown
from paddlevideo.utils.errors import WeightsError

_STEP = re.compile(r"state_step(\d+)/")
# PaddleVideo counts blocks as the paper's table does, whose first is 2.
_FEATURE = re.compile(r"b(\d+)_l(\d+)(\.res)?$")
_FIRST_BLOCK = 2


def differences(model: Recognizer, golden: Golden) -> dict[str, float]:
    """Return the largest difference of each thing that ``golden`` holds.

    Args:
        model: with the weights of the golden, and no scaling of its input.

    Returns:
        ``{what: largest difference, as a share of the largest absolute value of its array}``.

    Raises:
        WeightsError: an array has another shape than the model's, or states are of another model.
    """
    with damage_of(golden.path, "a golden of this model"):
        return _differences(model, golden)


def _differences(model: Recognizer, golden: Golden) -> dict[str, float]:
    model.eval()
    clip = paddle.to_tensor(golden.clip_BTCHW())
    with paddle.no_grad():
        found = _of_clip(model, golden, clip)
        if "stream_logits" in golden.arrays:
            found |= _of_frames(model, golden, clip)
        if "chunk_logits" in golden.arrays:
            found |= _of_chunks(model, golden, clip)
        if golden.part("state_clip/") or golden.part("state_init_shape/"):
            found |= _of_clip_states(model, golden, clip)
    return found


def _of_clip(model: Recognizer, golden: Golden, clip: Tensor) -> dict[str, float]:
    endpoints: OrderedDict[str, Tensor] = OrderedDict()
    logits = model(clip, endpoints=endpoints)
    found = {"logits": _difference("logits", logits, golden.logits())}
    if "probs" in golden.arrays:
        found["probabilities"] = _difference("probs", F.softmax(logits), golden.arrays["probs"])
    expected = golden.part("endpoint/")
    if expected:
        found[f"endpoints ({len(expected)})"] = max(
            _difference(name, _named(endpoints, name), our_endpoint(array, golden.is_tensorflow))
            for name, array in expected.items()
        )
    features = golden.part("feat/")
    if features:
        found[f"features ({len(features)})"] = max(
            _difference(name, _feature(model, endpoints, name), our_endpoint(array, False))
            for name, array in features.items()
        )
    return found


def _of_frames(model: Recognizer, golden: Golden, clip: Tensor) -> dict[str, float]:
    """One frame at a time: the logits after each, and the states after some."""
    states = _first_states(model, clip)
    expected = golden.arrays["stream_logits"]
    wanted = {int(m[1]) for name in golden.arrays if (m := _STEP.match(name))}
    if len(expected) != clip.shape[1]:
        raise WeightsError(f"stream_logits has {len(expected)} steps for {clip.shape[1]} frames")
    logits_error, states_error = 0.0, 0.0
    for step in range(clip.shape[1]):
        logits, states = model.step(clip[:, step : step + 1], states)
        logits_error = max(logits_error, _difference("stream_logits", logits, expected[step]))
        if step in wanted:
            error = _states_difference(states, golden.part(f"state_step{step}/"))
            states_error = max(states_error, error)
    found = {"streamed logits, frame by frame": logits_error}
    return {**found, "states between frames": states_error} if wanted else found


def _of_chunks(model: Recognizer, golden: Golden, clip: Tensor) -> dict[str, float]:
    sizes = golden.arrays.get("chunk_sizes", np.zeros(0)).reshape(-1).tolist()
    if sum(sizes) != clip.shape[1] or len(sizes) != len(golden.arrays["chunk_logits"]):
        raise WeightsError(f"chunk_sizes {sizes} do not split {clip.shape[1]} frames as the logits")
    states = _first_states(model, clip)
    error, start = 0.0, 0
    for size, expected in zip(sizes, golden.arrays["chunk_logits"], strict=True):
        logits, states = model.step(clip[:, start : start + size], states)
        error = max(error, _difference("chunk_logits", logits, expected))
        start += size
    return {f"streamed logits, chunks of {', '.join(map(str, sizes))}": error}


def _of_clip_states(model: Recognizer, golden: Golden, clip: Tensor) -> dict[str, float]:
    """States before the clip (their shapes) and after it."""
    states = _first_states(model, clip)
    shapes = golden.part("state_init_shape/")
    if shapes:  # a state of another shape is an error
        for name, shape in shapes.items():
            if name in states and math.prod(shape.tolist()) > states[name].size:
                raise WeightsError(f"the golden's state {shown(name)} is {shape.tolist()[:8]}")
        _states_difference(states, {name: np.zeros(shape) for name, shape in shapes.items()})
    after = golden.part("state_clip/")
    if not after:
        return {}
    _, states = model.step(clip, states)
    return {f"states after the clip ({len(after)})": _states_difference(states, after)}


def _first_states(model: Recognizer, clip: Tensor) -> States:
    batch_size, _, _, height, width = clip.shape
    return model.init_states(batch_size, height, width)


def _states_difference(states: dict[str, Tensor], expected: dict[str, np.ndarray]) -> float:
    # What rounding took from a running sum has no counterpart in TensorFlow.
    states = {n: tensor for n, tensor in states.items() if not n.endswith("pool_rest")}
    if set(states) != set(expected):
        odd = sorted(set(states) ^ set(expected))
        raise WeightsError(f"the golden has other states than the model: {', '.join(odd[:5])}")
    worst = 0.0
    for name, tensor in states.items():
        array = our_state(name, expected[name])
        if name.endswith("frame_count"):  # theirs is one number for the whole batch
            array = np.broadcast_to(array, tensor.shape)
        worst = max(worst, _difference(name, tensor, array))
    return worst


def _named(endpoints: dict[str, Tensor], name: str) -> Tensor:
    if name not in endpoints:
        raise WeightsError(f"the golden has an endpoint {name}, which the model has not")
    return endpoints[name]


def _feature(model: Recognizer, endpoints: dict[str, Tensor], name: str) -> Tensor:
    """One of PaddleVideo's features by its name."""
    if name == "dense9":
        return model.head.dense(endpoints["head"])
    found = _FEATURE.match(name)
    if found is None:
        raise WeightsError(f"the golden has a feature {name}, which is not known")
    layer = f"block{int(found[1]) - _FIRST_BLOCK}_layer{found[2]}"
    if not found[3]:
        return _named(endpoints, layer)
    names = list(endpoints)
    before = endpoints[names[names.index(layer) - 1]]
    return model.backbone.blocks[layer].shortcut(before)


def _difference(name: str, ours: Tensor, expected: np.ndarray) -> float:
    """Largest difference relative to the largest expected value; infinite if not finite."""
    array = ours.numpy().astype(np.float64)
    if array.shape != expected.shape:
        raise WeightsError(
            f"the golden's {name} is {list(expected.shape)}, the model's {list(array.shape)}"
        )
    largest = float(np.abs(expected).max(initial=0.0))
    difference = float(np.abs(array - expected.astype(np.float64)).max(initial=0.0))
    if not np.isfinite(array).all() or not np.isfinite(expected).all():
        return float("inf")
    if largest == 0.0:  # what has not been seen yet
        return 0.0 if difference == 0.0 else float("inf")
    return difference / largest
