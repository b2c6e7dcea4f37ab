"""Freezing: the frozen part stays as it is, to the bit, and the rest is trained."""

import numpy as np
import paddle
import pytest
from modeling.conftest import randomise

from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.modeling.input_spec import InputSpec
from paddlevideo.modeling.interfaces import Backbone
from paddlevideo.solver import build_optimizer, create_state
from paddlevideo.tasks.freeze import FreezePhase, FrozenStages
from paddlevideo.tasks.parts import OptimizerPart, optimizer_arrays
from paddlevideo.tasks.step import Precision, TrainStep
from paddlevideo.utils.errors import ConfigError
from paddlevideo.weights import load_arrays, model_arrays

STAGES = [
    *("stem", "block0", "block1", "block2", "block3", "block4"),
    *("backbone", "all_but_head"),
]
OPTIMIZER = {
    "name": "RMSProp",
    "momentum": 0.9,
    "learning_rate": 0.1,
    "grad_clip": 1.0,
    "weight_decay": 0.5,
}


def build(**options):
    section = model_section("movinet_t0_base", num_classes=3, stochastic_depth=0.5, **options)
    return randomise(build_recognizer(section))


def batch():
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (2, 2, 3, 32, 32)).astype("uint8")
    return {"clip": paddle.to_tensor(clip), "label": paddle.to_tensor([0, 2])}


def is_frozen(name: str, freeze: str | None) -> bool:
    """By the names of the tensors."""
    if freeze is None:
        return False
    last = STAGES.index(freeze)
    if name.startswith("head."):
        return last == STAGES.index("all_but_head") and "classifier" not in name
    if name.startswith("backbone.project."):
        return last >= STAGES.index("backbone")
    stage = "stem" if "stem" in name else name.split(".")[2].partition("_")[0]
    return STAGES.index(stage) <= last


@pytest.mark.parametrize("freeze", [None, "stem", "block2", "backbone", "all_but_head"])
def test_a_step(freeze):
    model = build()
    assert list(model.freezable_stages()) == STAGES
    frozen = FrozenStages(model, freeze)
    optimizer = build_optimizer(OPTIMIZER, model, "OPTIMIZER")
    step = TrainStep(model, optimizer, Precision())
    before = model_arrays(model)
    model.train()  # as it is left by an evaluation
    frozen.train_rest()
    for _ in range(2):
        step(batch(), 0.1, 1, update=True)
    after = model_arrays(model)
    for name, array in before.items():
        changed = not np.array_equal(array, after[name])
        assert changed != is_frozen(name, freeze), name
    trained = {p.name for p in optimizer._parameter_list}
    for name, parameter in model.named_parameters():
        if not name.endswith(("_mean", "_variance")):
            assert (parameter.name in trained) != is_frozen(name, freeze), name
    moving = {tensor.name for tensor in frozen.moving_statistics()}
    for name, parameter in model.named_parameters():
        if name.endswith(("_mean", "_variance")):
            assert (parameter.name in moving) != is_frozen(name, freeze), name


def test_the_frozen_part_computes_as_in_evaluation():
    """No stochastic depth, no batch statistics; the dropout before the classifier stays."""
    model = build(dropout=0.5)
    frozen = FrozenStages(model, "all_but_head")
    frozen.train_rest()
    features = [model.backbone(model.scaling(batch()["clip"])).numpy() for _ in range(2)]
    model.eval()
    assert np.array_equal(features[0], features[1])
    expected = model.backbone(model.scaling(batch()["clip"])).numpy()
    assert np.array_equal(features[0], expected)
    frozen.train_rest()
    assert model.head.dropout.training and model.head.classifier.training
    assert not model.head.dense.training


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        ("blok2", r'freeze: the model has no stage "blok2"; did you mean "block\d"'),
        ("backbon", r'did you mean "backbone"\? known: all_but_head, backbone, block0, '),
        ("block5", r'no stage "block5"; did you mean "block\d"'),
        ("head", r'no stage "head"; .*known: all_but_head'),
    ],
)
def test_unknown_stage(freeze, message):
    with pytest.raises(ConfigError, match=message):
        FrozenStages(build(), freeze)


class Plain(Backbone):
    """A backbone that names no stages: what docs/adding_a_model.md asks for, and no more."""

    def __init__(self) -> None:
        super().__init__(240)
        self.conv = paddle.nn.Conv3D(3, 240, 3, padding=1)

    def input_spec(self):
        return InputSpec(num_frames=4, height=32, width=32, stride_frames=2)

    def forward(self, x_BCTHW, *, endpoints=None):
        return self.conv(x_BCTHW).flatten(2).mean(axis=2)


def test_any_backbone_can_be_frozen_as_a_whole():
    model = build()
    model.backbone = Plain()
    assert list(model.freezable_stages()) == ["backbone", "all_but_head"]
    FrozenStages(model, "backbone").train_rest()
    model.loss(batch())["loss"].backward()
    assert {n for n, p in model.named_parameters() if p.grad is not None} == {
        f"head.{layer}.{kind}" for layer in ("dense", "classifier") for kind in ("weight", "bias")
    }


def phases(*pairs):
    return [FreezePhase(until_epoch=end, through=stage) for end, stage in pairs]


@pytest.mark.parametrize("name", ["RMSProp", "AdamW"])
def test_a_timetable(name):
    """What is frozen moves by nothing, its state and statistics neither; then it is trained."""
    model = build()
    frozen = FrozenStages(model, None, phases((1, "all_but_head"), (3, "block2")))
    options = {key: OPTIMIZER[key] for key in ("learning_rate", "grad_clip", "weight_decay")}
    optimizer = build_optimizer({"name": name, **options}, model, "OPTIMIZER")
    step = TrainStep(model, optimizer, Precision(), parts_rest=True)
    known = {p.name for p in optimizer._parameter_list}
    assert known == {p.name for p in model.parameters() if not p.stop_gradient}
    all_statistics = [tensor.name for tensor in frozen.statistics()]
    for epoch, freeze in enumerate(["all_but_head", "block2", "block2", None, "block2"]):
        if epoch == 4:  # an epoch of before: a run that is resumed from there
            epoch = 2
        before, state = model_arrays(model), optimizer_arrays(optimizer, model)
        model.train()
        frozen.train_rest(epoch)
        for _ in range(2):
            step(batch(), 0.1, 1, update=True)
        after = model_arrays(model)
        for key, array in before.items():
            assert np.array_equal(array, after[key]) == is_frozen(key, freeze), (epoch, key)
        for key, array in optimizer_arrays(optimizer, model).items():
            if is_frozen(key.partition("/")[0], freeze):
                np.testing.assert_array_equal(array, state[key], err_msg=key)
        assert [tensor.name for tensor in frozen.statistics()] == all_statistics
        moving = {tensor.name for tensor in frozen.moving_statistics()}
        names = {p.name: n for n, p in model.named_parameters()}
        assert moving == {n for n in all_statistics if not is_frozen(names[n], freeze)}


# Rprop wants its first rate when it is built; the state of ASGD has shapes of its own.
NOT_RESUMED = ("ASGD", "Rprop")
OPTIMIZERS = sorted(
    name
    for name, item in vars(paddle.optimizer).items()
    if isinstance(item, type) and name not in ("Optimizer", "LBFGS", *NOT_RESUMED)
)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on_with_what_was_frozen(name):
    """Stopped while the first layer is frozen, and gone on with: the same bits."""

    def start():
        paddle.seed(0)
        net = paddle.nn.Sequential(paddle.nn.Linear(2, 3), paddle.nn.Linear(3, 2))
        node = {"name": name, "learning_rate": 0.1, **({"rho": 0.9} if name == "RMSProp" else {})}
        optimizer = build_optimizer(node, net, "OPTIMIZER")
        create_state(optimizer)
        return net, optimizer

    def go(net, optimizer, epochs):
        for epoch in epochs:
            for parameter in net[0].parameters():
                parameter.stop_gradient = epoch == 0
            for _ in range(2):
                net(paddle.ones([1, 2])).square().sum().backward()
                optimizer.set_lr(0.1)
                optimizer.step()
                optimizer.clear_grad()

    whole, optimizer = start()
    before = whole[0].weight.numpy()
    go(whole, optimizer, [0])
    np.testing.assert_array_equal(whole[0].weight.numpy(), before)
    state, weights = optimizer_arrays(optimizer, whole), model_arrays(whole)
    go(whole, optimizer, [1])
    assert not np.array_equal(whole[0].weight.numpy(), before)
    resumed, optimizer = start()
    OptimizerPart(optimizer, resumed).load_state_dict(state, "file")
    load_arrays(resumed, weights, "file")
    go(resumed, optimizer, [1])
    for key, array in model_arrays(whole).items():
        np.testing.assert_array_equal(model_arrays(resumed)[key], array, err_msg=key)


@pytest.mark.parametrize(
    ("table", "freeze", "message"),
    [
        (phases((2, "stem"), (2, "block0")), None, r"FREEZE\[1\].until_epoch: 2 does not come"),
        (phases((2, "stem")), "stem", "leave one out"),
        (phases((2, "steam")), None, r'FREEZE\[0\].through: the model has no stage "steam"'),
    ],
)
def test_a_wrong_timetable(table, freeze, message):
    with pytest.raises(ConfigError, match=message):
        FrozenStages(build(), freeze, table)
