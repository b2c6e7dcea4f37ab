"""What a family of its own gets by keeping to the interfaces; no file of the package is changed."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from modeling.conftest import TOLERANCE, randomise, relative_error

from paddlevideo.apps.recipes import open_recipe
from paddlevideo.modeling import build_recognizer
from paddlevideo.modeling.complexity import model_complexity, traced_multiply_adds
from paddlevideo.modeling.layers.restore_batch_norm import restore_batch_norm
from paddlevideo.solver import build_optimizer
from paddlevideo.tasks.freeze import FrozenStages
from paddlevideo.tasks.step import Precision, TrainStep
from paddlevideo.utils.errors import ConfigError

FOLDER = Path(__file__).parent
BATCH, FRAMES, HEIGHT, WIDTH = 2, 6, 33, 40


@pytest.fixture(scope="module")
def recipe():
    return open_recipe(FOLDER / "config.yaml")


@pytest.fixture(scope="module")
def model(recipe):
    paddle.seed(0)
    return randomise(build_recognizer(recipe.MODEL)).eval()


def clip(frames=FRAMES, height=HEIGHT, width=WIDTH, seed=0):
    shape = (BATCH, frames, 3, height, width)
    return paddle.to_tensor(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def test_it_is_small():
    assert len((FOLDER / "network.py").read_text(encoding="utf-8").splitlines()) <= 150


def test_wrong_options(recipe):
    node = {**recipe.MODEL, "backbone": {"name": "ShiftNet", "width": 7}}
    with pytest.raises(ConfigError, match="width is a multiple of 4"):
        build_recognizer(node)


@pytest.mark.parametrize("split", [[1] * FRAMES, [2, 1, 3], [5, 1], [FRAMES]], ids=str)
def test_stream_is_clip(model, split):
    states, start = model.init_states(BATCH, HEIGHT, WIDTH), 0
    names = list(states)
    with paddle.no_grad():
        whole = model(clip()).numpy()
        for size in split:
            logits, states = model.step(clip()[:, start : start + size], states)
            start += size
    assert list(states) == names and relative_error(logits, whole) < TOLERANCE
    again = model.reset_states(states, [1])
    assert not any(again[name][1].numpy().any() for name in names)


def test_the_future_does_not_matter(model):
    pixels = clip().numpy()
    pixels[:, 4:] = 0
    logits = []
    with paddle.no_grad():
        for frames in (clip(), paddle.to_tensor(pixels)):
            states = model.init_states(BATCH, HEIGHT, WIDTH)
            logits.append(model.step(frames[:, :4], states)[0].numpy())
    assert np.array_equal(*logits)


@pytest.mark.parametrize("freeze", [None, "stage0", "backbone"])
def test_a_training_step(recipe, freeze):
    paddle.seed(0)
    model = build_recognizer(recipe.MODEL)
    frozen = FrozenStages(model, freeze)
    frozen.train_rest()
    before = {name: p.numpy().copy() for name, p in model.named_parameters() if not p.stop_gradient}
    step = TrainStep(model, build_optimizer(recipe.OPTIMIZER, model, "OPTIMIZER"), Precision())
    batch = {"clip": clip(), "label": paddle.to_tensor([1, 3])}
    result = step(batch, learning_rate=0.01, group_size=1, update=True)
    assert np.isfinite(result["loss"].item()) and result["logits"].shape == [BATCH, 8]
    after = dict(model.named_parameters())
    assert all((after[name].numpy() != value).any() for name, value in before.items())


def test_complexity(model):
    found = model_complexity(model)
    assert found.receptive_field == 4 and found.num_states == 3 + 3
    assert found.multiply_adds_per_clip == traced_multiply_adds(model, [1, 8, 3, 64, 64], "uint8")
    assert found.multiply_adds_per_frame == traced_multiply_adds(model, [1, 1, 3, 64, 64], "uint8")
    assert found.backbone_parameters < found.parameters


def test_batch_norm_can_be_put_back(recipe):
    paddle.seed(0)
    model = randomise(build_recognizer(recipe.MODEL)).eval()
    with paddle.no_grad():
        before = model(clip()).numpy()
        assert restore_batch_norm(model, [clip(seed=1)]) == 2 * 3
        assert relative_error(model(clip()), before) < TOLERANCE
