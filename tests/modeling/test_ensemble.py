"""The ensemble: the mean of its members' logits, their training each for itself, their weights."""

import numpy as np
import paddle
import pytest

import paddlevideo
from modeling.conftest import TOLERANCE, randomise, relative_error
from paddlevideo.apps.recipes import load_weights
from paddlevideo.modeling import (
    build_recognizer,
    model_section,
    number_of_classes,
    resolve_model_section,
)
from paddlevideo.modeling.complexity import model_complexity
from paddlevideo.utils.errors import ConfigError, DataError, WeightsError
from paddlevideo.weights import model_arrays, write_weights

CLASSES = 4


def member(num_classes=CLASSES, **section):
    """A model section that shares nothing with its preset's."""
    return {**model_section("movinet_t0_base", num_classes=num_classes), **section}


def ensemble(**members):
    members = members or {"small": member(), "large": member()}
    return build_recognizer({"framework": "EnsembleRecognizer", "members": members})


def clip(num_frames, height, width, seed=0, batch=2):
    shape = (batch, num_frames, 3, height, width)
    return paddle.to_tensor(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


@pytest.fixture(scope="module")
def model():
    return randomise(ensemble()).eval()


@pytest.fixture
def batch():
    return {"clip_small": clip(2, 32, 32), "clip_large": clip(4, 48, 40, seed=1)}


# --- what it computes


def test_logits_are_the_mean_of_the_members(model, batch):
    with paddle.no_grad():
        own = [model.members[name](batch[f"clip_{name}"]).numpy() for name in ("small", "large")]
        logits = model(batch).numpy()
        assert np.array_equal(model(*batch.values()).numpy(), logits)
        assert np.array_equal(model({**batch, "label": None}).numpy(), logits)
        probabilities = model.predict(batch).numpy()
    assert relative_error(logits, np.mean(own, axis=0)) < 1e-6
    assert relative_error(probabilities, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)) < (
        TOLERANCE
    )
    assert not np.allclose(own[0], own[1])


def test_training_is_that_of_each_member_alone(batch):
    """Loss: the sum. Gradients: those of each by itself, label smoothing and all."""
    loss = {"name": "CrossEntropyLoss", "label_smoothing": 0.1}
    sections = {"small": member(), "large": member(loss={"name": "CrossEntropyLoss"})}
    for section in sections.values():
        section["head"] = {**section["head"], "dropout": 0.0}
        section["backbone"] = {**section["backbone"], "stochastic_depth": 0.0}
    node = {"framework": "EnsembleRecognizer", "members": sections, "loss": loss}
    model = randomise(build_recognizer(node))
    label = paddle.to_tensor([1, 3])
    result = model.loss({**batch, "label": label})
    result["loss"].backward()
    assert result["logits"].shape == [2, CLASSES]
    together = {n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None}
    total = 0.0
    for name, smoothing in (("small", 0.1), ("large", 0.0)):
        section = {**sections[name], "loss": {**loss, "label_smoothing": smoothing}}
        alone = build_recognizer(section)
        prefix = f"members.{name}."
        alone.set_state_dict(
            {n.removeprefix(prefix): t for n, t in model.state_dict().items() if prefix in n}
        )
        own = alone.loss({"clip": batch[f"clip_{name}"], "label": label})
        own["loss"].backward()
        total += own["loss"].item()
        for parameter, tensor in alone.named_parameters():
            if tensor.grad is not None:
                ours = together.pop(prefix + parameter)
                assert relative_error(ours, tensor.grad.numpy()) < TOLERANCE
    assert together == {} and result["loss"].item() == pytest.approx(total, rel=1e-5)


def test_what_it_says_of_itself(model):
    assert model.num_classes == number_of_classes(_section(model_classes=9)) - 5 == CLASSES
    assert model.architecture == "MoViNet + MoViNet"
    specs = model.input_specs()
    assert list(specs) == ["clip_small", "clip_large"]
    assert specs["clip_small"] == model.members["small"].input_spec()
    names = {name for name, _ in model.named_parameters()}
    assert set(model.decayed_kernels()) < names and set(model.class_axes()) < names
    own = set(model.members["small"].decayed_kernels())
    kernels = {f"members.{name}.{k}" for name in ("small", "large") for k in own}
    assert set(model.decayed_kernels()) == kernels
    facts = model_complexity(model, 2, (32, 32))
    assert facts.parameters == 2 * model_complexity(model.members["small"]).parameters
    assert set(facts.inputs) == {"small", "large"}


def _section(model_classes):
    sections = {name: member(model_classes) for name in ("a", "b")}
    return {"framework": "EnsembleRecognizer", "members": sections}


def test_stages_are_those_of_all_members(model):
    stages = model.freezable_stages()
    assert list(stages) == list(model.members["small"].freezable_stages())
    small, large = (m.freezable_stages()["block1"] for m in model.members.values())
    assert [id(layer) for layer in stages["block1"]] == [id(layer) for layer in small + large]


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ((clip(2, 32, 32),), "takes 2 clips, clip_small, clip_large; got 1"),
        (({"clip_small": clip(2, 32, 32)},), "the batch has no clip_large; this model takes"),
        (({"clip": clip(2, 32, 32)},), "the batch has no clip_small, clip_large"),
        ((clip(2, 32, 32), clip(2, 32, 32)[0]), r"\[2, 3, 32, 32\]"),
    ],
)
def test_wrong_inputs(model, clips, message):
    with pytest.raises(DataError, match=message):
        model(*clips)


def test_it_does_not_stream():
    causal = model_section("movinet_t0_stream", num_classes=CLASSES)
    model = ensemble(a=causal, b=causal)
    for call in (lambda: model.init_states(1, 32, 32), lambda: model.step(clip(1, 32, 32), {})):
        with pytest.raises(ConfigError, match="does not run frame by frame, even if its members"):
            call()


# --- its section


def test_members_may_be_presets_and_share_a_loss():
    loss = {"name": "CrossEntropyLoss", "label_smoothing": 0.2}
    own = {"name": "CrossEntropyLoss"}
    node = {
        "framework": "EnsembleRecognizer",
        "loss": loss,
        "members": {
            "a": {"preset": "movinet_t0_base", "head": {"num_classes": 3}},
            "b": {"preset": "movinet_a0_base", "head": {"num_classes": 3}, "loss": own},
        },
    }
    resolved = resolve_model_section(node)
    assert resolved["members"]["a"]["backbone"] == {"name": "MoViNet", "model_type": "T0"}
    assert [resolved["members"][name]["loss"] for name in "ab"] == [loss, own]
    assert resolve_model_section(resolved) == resolved
    assert number_of_classes(resolved) == 3


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, r"M\.members: an ensemble needs members"),
        ({"a": 3}, r"M\.members: Input should be a valid dictionary, got 3"),
        ({"a.b": member()}, r"M\.members\.a\.b: a member's name is letters, digits"),
        ({"a": {"preset": "movinet_a9"}}, r'M\.members\.a\.preset: unknown model "movinet_a9"'),
        ({"a": {"head": {"name": "ClassifierHead"}}}, r"M\.members\.a: missing argument backbone"),
        (
            {"a": member(backbone={"name": "MoViNet", "model_typ": "A0"})},
            r'M\.members\.a\.backbone: unknown argument "model_typ"',
        ),
        ({"a": _section(3)}, r"M\.members\.a: an ensemble cannot be a member"),
        ({"a": member(3), "b": member(4)}, r"M\.members differ in .* classes: a 3, b 4"),
    ],
)
def test_wrong_sections(members, message):
    with pytest.raises(ConfigError, match=message):
        build_recognizer({"framework": "EnsembleRecognizer", "members": members}, "M")


def test_a6_is_a4_and_a5():
    """The names and sizes of the two, under one name; options are for both."""
    section = model_section("movinet_a6_base", num_classes=7, dropout=0.1)
    assert section["framework"] == "EnsembleRecognizer"
    for name in ("a4", "a5"):
        alone = model_section(f"movinet_{name}_base", num_classes=7, dropout=0.1)
        assert section["members"][name] == alone
    with paddle.LazyGuard():
        specs = build_recognizer(section).input_specs()
    found = {n: (s.num_frames, s.stride_frames, s.height, s.short_side) for n, s in specs.items()}
    assert found == {"clip_a4": (80, 3, 290, 320), "clip_a5": (120, 2, 320, 368)}
    for kind in ("a6_stream", "a6"):
        with pytest.raises(ConfigError, match=f'unknown model "movinet_{kind}"'):
            model_section(f"movinet_{kind}")


# --- its weights


@pytest.fixture
def files(tmp_path):
    """A file for each member, of two formats; and the members."""
    members = {}
    for seed, (name, suffix) in enumerate({"small": "pdparams", "large": "safetensors"}.items()):
        members[name] = randomise(build_recognizer(member()), seed)
        write_weights(tmp_path / f"{name}.{suffix}", model_arrays(members[name]))
    paths = {"small": tmp_path / "small.pdparams", "large": tmp_path / "large.safetensors"}
    return paths, members


@pytest.mark.parametrize("initial", [True, False])
def test_from_a_file_for_each_member(files, batch, initial):
    paths, members = files
    model = ensemble().eval()
    load_weights(model, dict(reversed(paths.items())), initial)
    with paddle.no_grad():
        own = [m.eval()(batch[f"clip_{name}"]).numpy() for name, m in members.items()]
        assert relative_error(model(batch).numpy(), np.mean(own, axis=0)) < 1e-6


def test_one_file_of_the_whole(model, tmp_path):
    names = set(model_arrays(model))
    assert all(name.startswith(("members.small.", "members.large.")) for name in names)
    write_weights(tmp_path / "w.safetensors", model_arrays(model))
    other = ensemble()
    load_weights(other, tmp_path / "w.safetensors")
    arrays = model_arrays(other)
    assert all(np.array_equal(arrays[name], a) for name, a in model_arrays(model).items())


def test_files_of_another_number_of_classes(files, caplog):
    paths, members = files
    model = ensemble(small=member(6), large=member(6))
    with caplog.at_level("WARNING", "paddlevideo"):
        load_weights(model, paths, initial=True)
    assert "is of 4 classes, the model has 6: members.small.head.classifier.weight" in caplog.text
    arrays = model_arrays(model)
    for name, one in members.items():
        for tensor, array in model_arrays(one).items():
            same = np.array_equal(arrays[f"members.{name}.{tensor}"], array)
            assert same == (not tensor.startswith("head.classifier"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"large": None}, "given for small; the members are small, large, and each needs a file"),
        ({"huge": "small"}, "given for small, large, huge; the members are small, large"),
        ({"large": "none.pdparams"}, "none.pdparams cannot be read"),
        ({"large": "bare.safetensors"}, "does not fit the model; nothing was loaded"),
    ],
)
def test_wrong_files_load_nothing(files, tmp_path, change, message):
    paths, _ = files
    write_weights(tmp_path / "bare.safetensors", {"x": np.zeros(3, np.float32)})
    for name, value in change.items():
        paths[name] = paths.get(value, tmp_path / str(value))
        if value is None:
            del paths[name]
    model = ensemble()
    before = model_arrays(model)
    with pytest.raises(WeightsError, match=message):
        load_weights(model, paths)
    assert all(np.array_equal(before[name], a) for name, a in model_arrays(model).items())


def test_files_for_members_of_a_model_that_has_none(files):
    paths, _ = files
    with pytest.raises(WeightsError, match="given for small, large, but the model is no ensemble"):
        paddlevideo.create_model("movinet_t0_base", CLASSES, weights=paths)
