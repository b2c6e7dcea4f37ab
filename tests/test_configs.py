"""Every shipped config is a whole recipe: it parses, builds, and its clips fit the model."""

from pathlib import Path

import numpy as np
import paddle
import pytest

from paddlevideo.entry import open_recipe
from paddlevideo.loader import Pipeline
from paddlevideo.modeling import build_recognizer
from paddlevideo.solver import build_optimizer, build_schedule

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((ROOT / "configs" / "recognition").rglob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_a_whole_recipe(path):
    recipe = open_recipe(path)
    model = build_recognizer(recipe.MODEL)
    build_optimizer(recipe.OPTIMIZER, model, "OPTIMIZER")
    rate = build_schedule(recipe.OPTIMIZER["learning_rate"], "LR").rate(recipe.epochs - 1, 0, 10)
    assert 0 < rate < 0.01  # the schedule ends with the training
    for description, training in (
        (recipe.PIPELINE.train, True),
        (recipe.PIPELINE.valid, False),
        (recipe.PIPELINE.test, False),
        (recipe.inference_description(), False),
    ):
        pipeline = Pipeline(description, training=training)
        frames = np.random.default_rng(0).integers(0, 256, (2, 240, 320, 3)).astype(np.uint8)
        clip = pipeline.transform_clip(frames)
        assert clip.dtype == pipeline.output_dtype == model.input_spec().dtype
        assert clip.shape == (2, 3, *pipeline.output_size)
    model.eval()
    assert model(paddle.to_tensor(clip[None])).shape == [1, model.num_classes]


def test_the_configs_are_there():
    assert {"movinet_k400_frame", "movinet_a0_motion"} <= {path.stem for path in CONFIGS}
