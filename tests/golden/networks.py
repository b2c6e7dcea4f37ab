"""Networks, weights and clips of the small goldens: the same numbers on every machine.

Nothing here draws from a library's generator, whose stream may change between versions: weights
and pixels are an integer hash (splitmix64) of their name and position.
"""

import numpy as np
import paddle

from paddlevideo.modeling import build_recognizer, model_section

CLASSES = 10
SHAPE_BTCHW = (2, 8, 3, 48, 40)
LABELS = [3, 7]
SAMPLES = 24  # values kept of a large array

NETWORKS = {
    "a0_base": ("movinet_a0_base", {}),
    "a0_stream": ("movinet_a0_stream", {}),
    "a0_stream_no_gates": ("movinet_a0_stream", {"se_type": "none", "activation": "relu6"}),
    "a1_stream": ("movinet_a1_stream", {}),
    "a2_base": ("movinet_a2_base", {}),
    "t0_base": ("movinet_t0_base", {}),
    "a0_paddlevideo": ("movinet_a0_base", {"padding": "paddlevideo", "bn_epsilon": 1e-5}),
}


def uniform(name: str, count: int) -> np.ndarray:
    """Numbers in [0, 1), float64 [count], a function of ``name`` alone."""
    key = np.uint64(int.from_bytes(name.encode()[-8:].rjust(8, b"."), "little"))
    salt = np.uint64(sum(name.encode()) * 0x9E3779B97F4A7C15 % 2**64)
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key + salt
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**53


def weights_of(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """A value that matters for every weight: scales are not 0, variances are not 1."""
    arrays = {}
    for name, shape in shapes.items():
        values = uniform(name, int(np.prod(shape))).reshape(shape)
        if name.endswith(("_variance", "bn.weight")):
            values = 0.6 + 0.8 * values
        elif name.endswith("scale"):
            values = 0.1 + 0.3 * values
        elif name.endswith(("_mean", "bias")):
            values = 0.4 * values - 0.2
        else:
            fan_in = shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))
            values = (2 * values - 1) * (6.0 / fan_in) ** 0.5
        arrays[name] = values.astype(np.float32)
    return arrays


def clip_BTCHW() -> np.ndarray:
    """Pixels, uint8 [2, 8, 3, 48, 40]: a moving gradient with noise."""
    batch, frames, channels, height, width = SHAPE_BTCHW
    noise = uniform("clip", int(np.prod(SHAPE_BTCHW))).reshape(SHAPE_BTCHW)
    grids = np.ix_(*(np.arange(size) for size in SHAPE_BTCHW))
    ramp = (grids[3] * 5 + grids[4] * 3 + grids[1] * 9 + grids[2] * 40 + grids[0] * 25) % 256
    assert ramp.shape == (batch, frames, channels, height, width)
    return (0.7 * ramp + 0.3 * 255 * noise).astype(np.uint8)


def network(name: str) -> paddle.nn.Layer:
    """The network ``name`` of `NETWORKS` with the weights above, in evaluation mode."""
    model_name, options = NETWORKS[name]
    section = model_section(model_name, num_classes=CLASSES, **options)
    section["loss"] = {"name": "CrossEntropyLoss", "label_smoothing": 0.1}
    model = build_recognizer(section)
    state = model.state_dict()
    arrays = weights_of({key: list(tensor.shape) for key, tensor in state.items()})
    for key, tensor in state.items():
        tensor.set_value(arrays[key])
    return model.eval()
