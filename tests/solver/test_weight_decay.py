"""The decay term in the gradient: of the right parameters, before the clip or after it."""

import numpy as np
import paddle
import pytest
from tasks.test_step import Recognizer, batches

import paddlevideo
from paddlevideo.solver import build_optimizer
from paddlevideo.tasks.step import Precision, TrainStep
from solver.test_optimizers import RMSPROP, WHERE, Net, assert_close, values

RATES = [0.1, 0.2, 0.3, 0.05]


class NetWithKernels(Net):
    def decayed_kernels(self) -> list[str]:
        return ["dense.weight"]


def gradients_of(start, num_steps, size):
    rng = np.random.default_rng(1)
    return [
        {n: (size * rng.standard_normal(v.shape)).astype("float32") for n, v in start.items()}
        for _ in range(num_steps)
    ]


def train(node, size: float = 1.0):
    """Some steps with random gradients; the weights at the start and the end, the gradients."""
    net = NetWithKernels()
    optimizer = build_optimizer(node, net, WHERE)
    start = values(net)
    history = gradients_of(start, len(RATES), size)
    for gradients, rate in zip(history, RATES, strict=True):
        net.backward_of(gradients)
        before = {n: p.grad.numpy() for n, p in net.named_parameters() if p.grad is not None}
        optimizer.set_lr(rate)
        optimizer.step()
        for name, parameter in net.named_parameters():  # the caller's gradients are left alone
            assert parameter.grad is None or np.array_equal(parameter.grad.numpy(), before[name])
        optimizer.clear_grad()
    return start, values(net), history


def clip_by_norm(g, most):
    norm = np.sqrt((g.astype("float64") ** 2).sum())
    return g * min(1.0, most / norm) if norm else g


def by_hand(start, history, decay, most, before):
    """RMSProp of docs/movinet.md: the term, the clip of each variable, the update."""
    weights = {name: value.copy() for name, value in start.items()}
    square = {name: np.zeros_like(value) for name, value in start.items()}
    moment = {name: np.zeros_like(value) for name, value in start.items()}
    clipped = 0
    for gradients, rate in zip(history, RATES, strict=True):
        for name, w in weights.items():
            term = decay.get(name, 0.0) * w
            g = gradients[name] + term if before else gradients[name]
            clipped += np.sqrt((g**2).sum()) > most
            g = clip_by_norm(g, most) if before else clip_by_norm(g, most) + term
            square[name] = 0.9 * square[name] + 0.1 * g**2
            moment[name] = 0.9 * moment[name] + rate * g / np.sqrt(square[name] + 1.0)
            weights[name] = w - moment[name]
    return weights, clipped


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("size", [1.0, 0.01], ids=["clip active", "clip inactive"])
@pytest.mark.parametrize("parameters", ["all", "kernels"])
def test_rmsprop_with_a_clip_of_each_variable(parameters, size, before):
    most = 0.9 if size == 1.0 else 50.0
    node = {
        **RMSPROP,
        "grad_clip": {"name": "ClipGradByNorm", "value": most},
        "weight_decay": {
            "name": "L2",
            "value": 0.2,
            "parameters": parameters,
            **({} if before else {"before_clip": False}),
        },
    }
    start, end, history = train(node, size)
    names = start if parameters == "all" else ["dense.weight"]
    expected, clipped = by_hand(start, history, dict.fromkeys(names, 0.2), most, before)
    assert (clipped > 0) == (size == 1.0)
    assert_close(end, expected)
    if clipped:  # the order is seen
        other, _ = by_hand(start, history, dict.fromkeys(names, 0.2), most, not before)
        assert np.abs(other["dense.weight"] - end["dense.weight"]).max() > 1e-3


def test_after_the_clip_is_paddles_regulariser():
    node = {
        **RMSPROP,
        "grad_clip": {"name": "ClipGradByNorm", "value": 0.5},
        "weight_decay": {"name": "L2", "value": 0.2, "before_clip": False},
    }
    _, ours, history = train(node)
    net = Net()
    optimizer = paddle.optimizer.RMSProp(
        0.1,
        rho=0.9,
        momentum=0.9,
        epsilon=1.0,
        parameters=[p for p in net.parameters() if not p.stop_gradient],
        weight_decay=paddle.regularizer.L2Decay(0.2),
        grad_clip=paddle.nn.ClipGradByNorm(0.5),
    )
    for gradients, rate in zip(history, RATES, strict=True):
        net.backward_of(gradients)
        optimizer.set_lr(rate)
        optimizer.step()
        optimizer.clear_grad()
    assert_close(ours, values(net))


def test_the_global_norm_is_of_all_parameters_decayed_or_not():
    node = {
        "name": "SGD",
        "learning_rate": 1,
        "grad_clip": 0.5,
        "weight_decay": 0.2,
        "no_weight_decay_name": "bn alpha",
    }
    net = Net()
    optimizer = build_optimizer(node, net, WHERE)
    start = values(net)
    (gradients,) = gradients_of(start, 1, 1.0)
    net.backward_of(gradients)
    optimizer.set_lr(1.0)
    optimizer.step()
    terms = {n: g + 0.2 * start[n] * n.startswith("dense") for n, g in gradients.items()}
    norm = np.sqrt(sum((g**2).sum() for g in terms.values()))
    assert norm > 0.5
    assert_close(values(net), {n: start[n] - 0.5 / norm * g for n, g in terms.items()})


def test_kernels_for_an_optimizer_that_decays_apart_from_the_gradient():
    node = {"name": "AdamW", "learning_rate": 0.1}
    decay = {"name": "L2", "value": 0.5, "parameters": "kernels"}
    _, plain, _ = train({**node, "weight_decay": 0})
    _, ours, _ = train({**node, "weight_decay": decay})
    different = {n for n in plain if not np.array_equal(plain[n], ours[n])}
    assert different == {"dense.weight"}


def test_a_group_of_batches_is_decayed_and_clipped_once():
    """The averaged gradient of the group, as that of one large batch."""
    node = {
        **RMSPROP,
        "grad_clip": {"name": "ClipGradByNorm", "value": 0.05},
        "weight_decay": {"name": "L2", "value": 0.2},
    }
    ends = []
    for whole in (False, True):
        several = batches(3)
        if whole:
            several = [{key: paddle.concat([b[key] for b in several]) for key in several[0]}]
        model = Recognizer()
        step = TrainStep(model, build_optimizer(node, model, WHERE), Precision())
        for number, batch in enumerate(several):
            step(batch, 0.3, len(several), update=number == len(several) - 1)
        ends.append(values(model))
    assert_close(*ends)


def test_a_step_of_movinet():
    """TensorFlow's recipe (docs/movinet.md) on the network itself, from its own gradients."""
    paddle.seed(0)
    model = paddlevideo.create_model("movinet_t0_stream", num_classes=3, dropout=0.0)
    model.train()
    node = {
        **RMSPROP,
        "grad_clip": {"name": "ClipGradByNorm", "value": 0.01},
        "weight_decay": {"name": "L2", "value": 0.3, "parameters": "kernels"},
    }
    optimizer = build_optimizer(node, model, WHERE)
    optimizer.set_lr(0.1)
    start = values(model)
    clip = np.random.default_rng(0).integers(0, 256, (2, 2, 3, 32, 32)).astype("uint8")
    batch = {"clip": paddle.to_tensor(clip), "label": paddle.to_tensor([0, 2])}
    model.loss(batch)["loss"].backward()
    gradients = {n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None}
    optimizer.step()
    clipped = {True: 0, False: 0}
    for name, w in values(model).items():
        kernel = start[name].ndim >= 2 and "classifier" not in name
        g = gradients[name] + (0.3 * start[name] if kernel else 0.0)
        norm = np.sqrt((g**2).sum())
        clipped[bool(norm > 0.01)] += 1
        g = g * min(1.0, 0.01 / norm) if norm else g
        expected = start[name] - 0.1 * g / np.sqrt(0.1 * g**2 + 1.0)
        np.testing.assert_allclose(w, expected, rtol=2e-5, atol=2e-6, err_msg=name)
    assert min(clipped.values()) > 10


@pytest.mark.parametrize("name", ["movinet_t0_base", "movinet_t0_stream"])
def test_the_kernels_of_movinet(name):
    """As in docs/movinet.md: every convolution, gate and dense kernel; not the classifier's."""
    options = {"use_positional_encoding": True} if name.endswith("stream") else {}
    model = paddlevideo.create_model(name, num_classes=3, **options)
    kernels = set(model.decayed_kernels())
    trained = {n for n, p in model.named_parameters() if not p.stop_gradient}
    assert kernels < trained
    for left in trained - kernels:
        assert left.endswith((".bias", "bn.weight", "scale")) or left == "head.classifier.weight"
    endings = ("conv.weight", "reduce.weight", "expand.weight", "dense.weight")
    assert all(kernel.endswith(endings) for kernel in kernels)
    for part in ("stem", "spatial", "shortcut", "attention.reduce", "project", "head.dense"):
        assert any(part in kernel for kernel in kernels), part
    assert any("temporal" in kernel for kernel in kernels) == name.endswith("stream")
