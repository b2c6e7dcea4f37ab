"""Rates by layer: every optimizer moves a stage as if that stage had a smaller rate of its own."""

from collections import OrderedDict

import numpy as np
import paddle
import pytest
from paddle import nn

from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.solver import build_optimizer, check_optimizer
from paddlevideo.solver.layer_rates import rate_multipliers
from paddlevideo.utils.errors import ConfigError

WHERE = "OPTIMIZER"
DECAY = 0.5
OPTIMIZERS = sorted(
    name
    for name, item in vars(paddle.optimizer).items()
    if isinstance(item, type) and name not in ("Optimizer", "LBFGS", "Rprop")
)


class Staged(nn.Layer):
    """Two stages and a head; loss = sum of g * w."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        rng = np.random.default_rng(0)
        for parameter in self.parameters():
            parameter.set_value(rng.standard_normal(parameter.shape).astype("float32"))

    def freezable_stages(self):
        return OrderedDict(first=[self.first], none=[nn.ReLU()], second=[self.second])


def arguments_of(name):
    return {"Adagrad": {"learning_rate": 0.1}, "RMSProp": {"rho": 0.9}}.get(name, {})


def train(node, rates, steps=3):
    """Weights after some steps, by name, with the rate of the schedule ``rates[step]``."""
    net = Staged()
    optimizer = build_optimizer({"learning_rate": 0.1, **node}, net, WHERE)
    rng = np.random.default_rng(1)
    for rate in rates[:steps]:
        weights = dict(net.named_parameters())
        terms = [
            (w * paddle.to_tensor(rng.standard_normal(w.shape).astype("float32"))).sum()
            for w in weights.values()
        ]
        sum(terms).backward()
        optimizer.set_lr(rate)
        optimizer.step()
        optimizer.clear_grad()
    return {name: p.numpy() for name, p in net.named_parameters()}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_follows_the_rates(name):
    """Decay of the weights (AdamW, Lamb) and the decay term included."""
    node = {"name": name, "weight_decay": 0.1, **arguments_of(name)}
    rates = np.array([0.1, 0.2, 0.05])
    found = train({**node, "layer_decay": DECAY}, rates)
    for stage, power in (("first", 2), ("second", 1), ("head", 0)):
        expected = train(node, DECAY**power * rates)
        for kind in ("weight", "bias"):
            key = f"{stage}.{kind}"
            np.testing.assert_allclose(found[key], expected[key], rtol=2e-6, atol=1e-7)


def test_a_step_of_sgd_is_numpys():
    """W - rate * decay^depth * (g + value * w), the biases without the second term."""
    node = {"name": "SGD", "weight_decay": 0.2, "no_weight_decay": ["bias"], "layer_decay": DECAY}
    start = {name: p.numpy() for name, p in Staged().named_parameters()}
    rng = np.random.default_rng(1)
    found = train(node, [0.3], 1)
    for name, w in start.items():
        g = rng.standard_normal(w.shape).astype("float32")
        rate = 0.3 * DECAY ** {"first": 2, "second": 1, "head": 0}[name.partition(".")[0]]
        term = 0.0 if name.endswith("bias") else 0.2 * w
        np.testing.assert_allclose(found[name], w - rate * (g + term), rtol=1e-6, atol=1e-7)


def test_a_clip_sees_all_layers_together():
    node = {"name": "SGD", "grad_clip": 0.5, "layer_decay": DECAY}
    start = {name: p.numpy() for name, p in Staged().named_parameters()}
    rng = np.random.default_rng(1)
    gradients = {n: rng.standard_normal(w.shape).astype("float32") for n, w in start.items()}
    norm = np.sqrt(sum((g.astype("float64") ** 2).sum() for g in gradients.values()))
    found = train(node, [1.0], 1)
    for name, w in start.items():
        rate = DECAY ** {"first": 2, "second": 1, "head": 0}[name.partition(".")[0]]
        expected = w - rate * gradients[name] * 0.5 / norm
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6)


def test_rates_of_a_recognizer():
    """Each stage has layer_decay times the rate of the next; the last layer has all of it."""
    model = build_recognizer(model_section("movinet_t0_base", num_classes=3))
    rates = rate_multipliers(model, 0.75, "layer_decay")
    assert set(rates) == {name for name, _ in model.named_parameters()}
    assert rates["head.classifier.weight"] == 1.0 and rates["head.dense.weight"] == 0.75
    stages = list(model.freezable_stages().values())
    names = {id(p): name for name, p in model.named_parameters()}
    for depth, layers in enumerate(reversed(stages[:6]), start=3):
        assert {rates[names[id(p)]] for part in layers for p in part.parameters()} == {0.75**depth}


def test_parameters_that_are_not_decayed():
    """``norm`` and patterns; what is decayed is what is left."""
    still = {"name": "SGD", "weight_decay": 0.5}
    model = build_recognizer(model_section("movinet_t0_base", num_classes=3))
    node = {**still, "no_weight_decay": ["bias", "norm", "*rezero*", "head.classifier.*"]}
    optimizer = build_optimizer({"learning_rate": 0.1, **node}, model, WHERE)
    names = {p.name: name for name, p in model.named_parameters()}
    decayed = {names[name] for name in optimizer._grad_clip.names}
    assert decayed and all(dict(model.named_parameters())[n].ndim >= 2 for n in decayed)
    assert decayed == set(model.decayed_kernels())


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"layer_decay": 0.0}, r"layer_decay: expected a number above 0 and at most 1, got 0.0"),
        ({"layer_decay": True}, "layer_decay: expected a number"),
        ({"name": "Rprop", "layer_decay": 0.5}, "layer_decay has no effect: Rprop"),
        ({"no_weight_decay": ["bias"]}, "no_weight_decay has no effect without weight_decay"),
        ({"weight_decay": 0.1, "no_weight_decay": "bias"}, "expected a list of bias, norm"),
    ],
)
def test_refused(node, message):
    with pytest.raises(ConfigError, match=message):
        check_optimizer({"name": "SGD", "learning_rate": 0.1, **node}, WHERE)


def test_refused_for_a_model():
    node = {"name": "SGD", "learning_rate": 0.1, "weight_decay": 0.1, "no_weight_decay": ["nrom"]}
    with pytest.raises(ConfigError, match='no parameter of the model is meant by "nrom"'):
        build_optimizer(node, Staged(), WHERE)
    model = Staged()
    model.freezable_stages = OrderedDict
    with pytest.raises(ConfigError, match="layer_decay: the model names no stages"):
        build_optimizer({"name": "SGD", "learning_rate": 0.1, "layer_decay": 0.5}, model, WHERE)
