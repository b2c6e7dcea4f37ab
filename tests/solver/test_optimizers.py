"""Optimizers against their formulas in NumPy, on a layer whose gradients are known."""

import numpy as np
import paddle
import pytest
from paddle import nn

from paddlevideo.solver import build_optimizer, check_optimizer
from paddlevideo.utils.errors import ConfigError

WHERE = "OPTIMIZER"
RMSPROP = {"name": "RMSProp", "learning_rate": 0.1, "rho": 0.9, "momentum": 0.9, "epsilon": 1.0}


class Net(nn.Layer):
    """A weight, a bias, batch norm and a scalar, as MoViNet has; loss = sum of g * w."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(3, 4)
        self.bn = nn.BatchNorm1D(4)
        self.alpha = self.create_parameter([1])
        rng = np.random.default_rng(0)
        for _, parameter in self.named_parameters():
            parameter.set_value(rng.standard_normal(parameter.shape).astype("float32"))

    def backward_of(self, gradients: dict[str, np.ndarray]) -> None:
        weights = dict(self.named_parameters())
        sum((weights[n] * paddle.to_tensor(g)).sum() for n, g in gradients.items()).backward()


def values(net: nn.Layer) -> dict[str, np.ndarray]:
    """The weights; Paddle counts running statistics among the parameters."""
    return {
        name: p.numpy().astype("float64")
        for name, p in net.named_parameters()
        if not name.endswith(("_mean", "_variance"))
    }


def run(node, num_steps: int = 5, rates=None, size: float = 1.0):
    """Train with random gradients; return the weights at the start and the end, the gradients."""
    net = Net()
    optimizer = build_optimizer(node, net, WHERE)
    start = values(net)
    rng = np.random.default_rng(1)
    history = []
    for step in range(num_steps):
        gradients = {
            name: (size * rng.standard_normal(value.shape)).astype("float32")
            for name, value in start.items()
        }
        net.backward_of(gradients)
        optimizer.set_lr(rates[step] if rates else 0.1)
        optimizer.step()
        optimizer.clear_grad()
        history.append(gradients)
    return start, values(net), history


def assert_close(ours, expected):
    assert set(ours) == set(expected)
    for name in expected:
        np.testing.assert_allclose(ours[name], expected[name], rtol=2e-5, atol=2e-6, err_msg=name)


def rmsprop(start, history, rates, rho, momentum, epsilon, decay):
    """The formula of docs/paddlevideo.md; epsilon is inside the root."""
    weights = {name: value.copy() for name, value in start.items()}
    square = {name: np.zeros_like(value) for name, value in start.items()}
    moment = {name: np.zeros_like(value) for name, value in start.items()}
    for gradients, rate in zip(history, rates, strict=True):
        for name, w in weights.items():
            g = gradients[name] + decay.get(name, 0.0) * w
            square[name] = rho * square[name] + (1 - rho) * g**2
            moment[name] = momentum * moment[name] + rate * g / np.sqrt(square[name] + epsilon)
            weights[name] = w - moment[name]
    return weights


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("epsilon", [1.0, 1e-3])
def test_rmsprop(decay, epsilon):
    node = {**RMSPROP, "epsilon": epsilon}
    if decay:
        node["weight_decay"] = {"name": "L2", "value": decay}
    rates = [0.1, 0.2, 0.3, 0.05, 0.01]
    start, end, history = run(node, rates=rates)
    everywhere = dict.fromkeys(start, decay)  # batch norm, biases and alpha too
    assert_close(end, rmsprop(start, history, rates, 0.9, 0.9, epsilon, everywhere))


def test_a_bare_number_is_l2():
    named = {**RMSPROP, "weight_decay": {"name": "L2", "value": 0.2}}
    for one, other in zip(
        run(named)[1].values(), run({**RMSPROP, "weight_decay": 0.2})[1].values(), strict=True
    ):
        assert np.array_equal(one, other)


def test_l1():
    node = {"name": "SGD", "learning_rate": 1, "weight_decay": {"name": "L1", "value": 0.2}}
    start, end, (gradients,) = run(node, 1)
    expected = {n: w - 0.1 * (gradients[n] + 0.2 * np.sign(w)) for n, w in start.items()}
    assert_close(end, expected)


def test_parts_of_names_that_are_not_decayed():
    node = {**RMSPROP, "weight_decay": 0.2, "no_weight_decay_name": "bn alpha"}
    start, end, history = run(node)
    decay = {name: 0.2 for name in start if name.startswith("dense")}
    assert set(start) - set(decay) == {"bn.weight", "bn.bias", "alpha"}
    assert_close(end, rmsprop(start, history, [0.1] * 5, 0.9, 0.9, 1.0, decay))


def adamw(start, history, decay, rate=0.1, beta1=0.9, beta2=0.999, epsilon=1e-8):
    weights = {name: value.copy() for name, value in start.items()}
    first = {name: np.zeros_like(value) for name, value in start.items()}
    second = {name: np.zeros_like(value) for name, value in start.items()}
    for step, gradients in enumerate(history, start=1):
        for name, g in gradients.items():
            weights[name] *= 1 - rate * decay.get(name, 0.0)
            first[name] = beta1 * first[name] + (1 - beta1) * g
            second[name] = beta2 * second[name] + (1 - beta2) * g.astype("float64") ** 2
            corrected = np.sqrt(second[name] / (1 - beta2**step)) + epsilon
            weights[name] -= rate * first[name] / (1 - beta1**step) / corrected
    return weights


@pytest.mark.parametrize("given", [None, 0.5, 0, {"name": "L2", "value": 0.5}])
@pytest.mark.parametrize("excluded", [None, "bn alpha", "bias"])
def test_adamw_decays_apart_from_the_gradient(given, excluded):
    node = {"name": "AdamW", "learning_rate": 0.1}
    if given is not None:
        node["weight_decay"] = given
    if excluded:
        node["no_weight_decay_name"] = excluded
    start, end, history = run(node)
    number = 0.01 if given is None else 0 if given == 0 else 0.5  # 0.01 is Paddle's default
    kept = excluded.split() if excluded else []
    decay = {name: number for name in start if not any(part in name for part in kept)}
    assert_close(end, adamw(start, history, decay))


def test_lamb_keeps_excluded_weights_from_decay():
    """Without decay Lamb's step has the direction of Adam's; with decay it has not."""
    node = {"name": "Lamb", "learning_rate": 1, "weight_decay": 5.0, "no_weight_decay_name": "bn"}
    _, decayed, _ = run({**node, "no_weight_decay_name": "alpha"}, 1)
    start, end, (gradients,) = run(node, 1)
    for name in ("bn.weight", "bn.bias"):
        step = start[name] - end[name]
        assert np.allclose(np.sign(step), np.sign(gradients[name]))
        assert not np.allclose(decayed[name], end[name])
    _, plain, _ = run({"name": "Lamb", "learning_rate": 1, "lamb_weight_decay": 5.0}, 1)
    assert np.allclose(plain["dense.weight"], end["dense.weight"])


@pytest.mark.parametrize("name", ["AdamW", "Lamb"])
def test_no_l1_where_decay_is_apart(name):
    node = {"name": name, "learning_rate": 1, "weight_decay": {"name": "L1", "value": 1}}
    with pytest.raises(ConfigError, match=f"OPTIMIZER.weight_decay: {name} has no L1 decay"):
        check_optimizer(node, WHERE)


@pytest.mark.parametrize(
    ("clip", "kind"),
    [
        (0.5, "global"),
        ({"name": "ClipGradByGlobalNorm", "value": 0.5}, "global"),
        ({"name": "ClipGradByNorm", "value": 0.5}, "norm"),
        ({"name": "ClipGradByValue", "value": 0.5}, "value"),
        ({"name": "ClipGradByGlobalNorm", "value": 1e6}, "none"),
        (None, "none"),
    ],
)
def test_clipping(clip, kind):
    start, end, (gradients,) = run({"name": "SGD", "learning_rate": 1, "grad_clip": clip}, 1)
    norms = {name: np.sqrt((g.astype("float64") ** 2).sum()) for name, g in gradients.items()}
    whole = np.sqrt(sum(norm**2 for norm in norms.values()))
    expected = {}
    for name, g in gradients.items():
        clipped = {
            "global": g * min(1, 0.5 / whole),
            "norm": g * min(1, 0.5 / norms[name]),
            "value": np.clip(g, -0.5, 0.5),
            "none": g,
        }[kind]
        expected[name] = start[name] - 0.1 * clipped
    assert_close(end, expected)


def test_frozen_weights_stay():
    net = Net()
    net.dense.weight.stop_gradient = True
    optimizer = build_optimizer({**RMSPROP, "weight_decay": 0.5}, net, WHERE)
    before = values(net)
    net.backward_of({name: np.ones(value.shape, "float32") for name, value in before.items()})
    optimizer.set_lr(0.1)
    optimizer.step()
    changed = {
        name for name, value in values(net).items() if not np.array_equal(value, before[name])
    }
    assert changed == set(before) - {"dense.weight"}


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"name": "RMSprop"}, r'OPTIMIZER.name: unknown optimizer "RMSprop"; did you mean "RMSPr'),
        ({"name": "Optimizer"}, r'unknown optimizer "Optimizer"'),
        ({"name": "LBFGS"}, r'unknown optimizer "LBFGS"'),
        ({"name": ["SGD"]}, r"unknown optimizer"),
        ({}, r'unknown optimizer "None"'),
        ({**RMSPROP, "rhoo": 1}, r'OPTIMIZER: unknown argument "rhoo"; did you mean "rho"'),
        ({**RMSPROP, "rho": "x"}, r"OPTIMIZER.rho: .*number.*, got 'x'"),
        ({**RMSPROP, "parameters": []}, r'OPTIMIZER: unknown argument "parameters"'),
        ({"name": "SGD"}, r"OPTIMIZER: the key learning_rate is missing"),
        ({**RMSPROP, "weight_decay": "x"}, r"OPTIMIZER.weight_decay: expected a number or {name"),
        ({**RMSPROP, "weight_decay": True}, r"OPTIMIZER.weight_decay: expected"),
        (
            {**RMSPROP, "weight_decay": {"name": "L3", "value": 1}},
            r"decay.name: .*'L1' or 'L2', got",
        ),
        ({**RMSPROP, "weight_decay": {"name": ["L2"], "value": 1}}, r"decay.name: .*'L1' or 'L2'"),
        ({**RMSPROP, "weight_decay": {"value": 1}}, r"weight_decay: missing argument name"),
        ({**RMSPROP, "weight_decay": -1}, r"weight_decay: -1.0 is negative"),
        (
            {**RMSPROP, "weight_decay": {"name": "L2", "value": 1, "parameter": "all"}},
            r'weight_decay: unknown argument "parameter"; did you mean "parameters"',
        ),
        (
            {**RMSPROP, "weight_decay": {"name": "L2", "value": 1, "parameters": "kernel"}},
            r"weight_decay.parameters: .*'all' or 'kernels', got 'kernel'",
        ),
        (
            {
                "name": "AdamW",
                "learning_rate": 1,
                "weight_decay": {"name": "L2", "value": 1, "before_clip": True},
            },
            r"weight_decay.before_clip: AdamW decays the weights themselves",
        ),
        ({**RMSPROP, "weight_decay": {"name": "L2", "value": "x"}}, r"weight_decay: expected"),
        ({**RMSPROP, "weight_decay": {"name": "L2"}}, r"weight_decay: expected"),
        ({**RMSPROP, "grad_clip": "x"}, r"OPTIMIZER.grad_clip: expected {name, value} with name o"),
        ({**RMSPROP, "grad_clip": {"name": "Clip", "value": 1}}, r"grad_clip: expected"),
        ({**RMSPROP, "grad_clip": {"name": "ClipGradByNorm", "value": "x"}}, r"grad_clip: expec"),
        ({**RMSPROP, "grad_clip": {"value": 1}}, r"grad_clip: expected"),
    ],
)
def test_wrong_sections(node, message):
    with pytest.raises(ConfigError, match=message):
        check_optimizer(node, WHERE)


def test_a_part_that_no_name_has():
    node = {**RMSPROP, "weight_decay": 0.1, "no_weight_decay_name": "bn norm"}
    with pytest.raises(ConfigError, match='no_weight_decay_name: no parameter has "norm" in it'):
        build_optimizer(node, Net(), WHERE)
    net = Net()
    for parameter in net.bn.parameters():
        parameter.stop_gradient = True
    build_optimizer({**node, "no_weight_decay_name": "bn"}, net, WHERE)  # a name of what is frozen


@pytest.mark.parametrize("name", ["SGD", "Momentum", "Adam", "AdamW", "RMSProp", "Adagrad", "Lamb"])
def test_the_rate_comes_from_the_caller_alone(name):
    node = {
        "name": name,
        "learning_rate": {"name": "StepDecay", "learning_rate": 9, "step_size": 1},
    }
    check_optimizer(node, WHERE)
    optimizer = build_optimizer(node, Net(), WHERE)
    assert optimizer.get_lr() == 0.0
    optimizer.set_lr(0.25)
    assert optimizer.get_lr() == 0.25
