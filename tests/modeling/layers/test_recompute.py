"""Activation checkpointing changes memory and time, and no number."""

import sys

import numpy as np
import paddle
import pytest

import paddlevideo
from modeling.conftest import randomise
from paddlevideo.modeling.backbones.movinet import backbone as backbone_module
from paddlevideo.modeling.layers.recompute import run_with_recompute
from paddlevideo.tasks.freeze import FrozenStages
from paddlevideo.weights import model_arrays


def batch(seed: int = 0):
    clip = np.random.default_rng(seed).integers(0, 256, (2, 3, 3, 40, 40)).astype("uint8")
    return {"clip": paddle.to_tensor(clip), "label": paddle.to_tensor([0, 2])}


def train(recompute, name="movinet_t0_base", freeze=None, num_batches=2, **options):
    """Loss, gradients, state and next random number after some batches added up."""
    options = {"stochastic_depth": 0.5, "dropout": 0.5, **options}
    model = randomise(paddlevideo.create_model(name, num_classes=3, recompute=recompute, **options))
    FrozenStages(model, freeze).train_rest()
    paddle.seed(5)
    losses = []
    for number in range(num_batches):  # gradients that are there already are added to
        loss = model.loss(batch(number))["loss"]
        loss.backward()
        losses.append(loss.item())
    gradients = {n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None}
    return losses, gradients, model_arrays(model), paddle.rand([1]).item()


@pytest.mark.parametrize(
    "case",
    [
        {"name": "movinet_t0_base"},
        {"name": "movinet_t0_stream", "use_positional_encoding": True},
        {"freeze": "block1"},
        {"freeze": "all_but_head"},
    ],
    ids=str,
)
def test_equal_to_training_without(case, monkeypatch):
    warned = []
    paddles = sys.modules["paddle.distributed.fleet.recompute.recompute"]
    monkeypatch.setattr(paddles.logger, "warning", warned.append)
    plain, ours = train(False, **case), train(True, **case)
    assert not warned  # Paddle's, about an input that is frozen
    assert ours[0] == plain[0] and ours[3] == plain[3]
    for mine, expected in zip(ours[1:3], plain[1:3], strict=True):
        assert mine.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(mine[name], array, err_msg=name)


def test_each_trained_block_and_no_other(monkeypatch):
    runs = []

    def counted(layer, x):
        runs.append(layer.spec.name)
        return run_with_recompute(layer, x)

    monkeypatch.setattr(backbone_module, "run_with_recompute", counted)
    model = paddlevideo.create_model("movinet_t0_stream", num_classes=3, recompute=True)
    names = list(model.backbone.blocks.keys())
    model.loss(batch())
    assert runs == names
    runs.clear()
    FrozenStages(model, "block2").train_rest()
    model.loss(batch())
    assert runs == [name for name in names if name[5] > "2"]
    runs.clear()
    with paddle.no_grad():
        model(batch()["clip"])
    model.eval()
    model(batch()["clip"])
    model.step(batch()["clip"], model.init_states(2, 40, 40))
    assert runs == []
