"""Models whose every branch counts, and how far two arrays are apart."""

import json
from pathlib import Path

import numpy as np
import paddle
import pytest

from paddlevideo.convert.movinet_tensorflow import from_tensorflow
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.weights import load_arrays

TOLERANCE = 1e-5  # of the largest absolute value, float32

STREAM = {
    "causal": True,
    "conv_type": "2plus1d",
    "se_type": "2plus3d",
    "activation": "hard_swish",
    "gating_activation": "hard_sigmoid",
}


def relative_error(ours, expected) -> float:
    """Largest difference, as a share of the largest expected absolute value."""
    ours = np.asarray(ours, np.float64)
    expected = np.asarray(expected, np.float64)
    assert ours.shape == expected.shape
    assert np.isfinite(ours).all()
    return float(np.abs(ours - expected).max() / np.abs(expected).max())


def seeded(shape, seed: int = 0) -> np.ndarray:
    """Standard normal float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def randomise(model, seed: int = 0):
    """Give every weight a value that matters: a new network's rezero scales are all 0."""
    rng = np.random.default_rng(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith(("_variance", "bn.weight")):
            value = rng.uniform(0.6, 1.4, tensor.shape)
        elif name.endswith("scale"):
            value = rng.uniform(0.1, 0.4, tensor.shape)
        elif name.endswith(("_mean", "bias")):
            value = rng.normal(0.0, 0.2, tensor.shape)
        else:
            fan_in = tensor.shape[0] if tensor.ndim == 2 else int(np.prod(tensor.shape[1:]))
            value = rng.normal(0.0, (2.0 / fan_in) ** 0.5, tensor.shape)
        tensor.set_value(value.astype("float32"))
    return model


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a golden."""
    with np.load(path, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def part(golden: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays under ``prefix/``, without it."""
    return {k.removeprefix(prefix): v for k, v in golden.items() if k.startswith(prefix)}


def shapes_of(tensors) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in tensors.items()}


def tensorflow_model(golden: dict[str, np.ndarray], **options):
    """Our A0 with the golden's weights; every one of them is used."""
    section = model_section("movinet_a0_base", num_classes=10, **options)
    section["loss"] = {"name": "CrossEntropyLoss", "label_smoothing": 0.1}
    model = build_recognizer(section)
    arrays, left_over = from_tensorflow(
        part(golden, "weight/"), shapes_of(model.state_dict()), list(model.backbone.blocks.keys())
    )
    assert left_over == []
    load_arrays(model, arrays, "golden")
    return model.eval()


def pixels(golden: dict[str, np.ndarray]):
    """The golden's input [B, T, H, W, 3] in [0, 1) as our clip [B, T, 3, H, W] in [0, 255]."""
    return paddle.to_tensor(golden["input"].transpose(0, 1, 4, 2, 3) * np.float32(255))


@pytest.fixture(scope="session")
def tf_base(shared_dir) -> dict[str, np.ndarray]:
    return read_npz(shared_dir / "golden" / "tf" / "a0_base.npz")


@pytest.fixture(scope="session")
def tf_stream(shared_dir) -> dict[str, np.ndarray]:
    golden = read_npz(shared_dir / "golden" / "tf" / "a0_stream.npz")
    config = json.loads(str(golden["config"]))
    assert {key: config[key] for key in STREAM} == STREAM
    return golden


@pytest.fixture(autouse=True)
def fixed_seed():
    paddle.seed(0)
