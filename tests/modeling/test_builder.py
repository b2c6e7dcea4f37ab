"""Models by name, the checks of a MODEL section, the recognizer's contract."""

import numpy as np
import paddle
import pytest

from modeling.conftest import relative_error, seeded
from paddlevideo.modeling import (
    build_recognizer,
    list_models,
    model_section,
    resolve_model_section,
)
from paddlevideo.modeling.backbones.movinet.specs import SPECS
from paddlevideo.utils.errors import ConfigError, DataError


def small(**options):
    return build_recognizer(model_section("movinet_t0_base", num_classes=4, **options))


# --- names


def test_list_models():
    names = list_models()
    assert {f"movinet_a{number}_base" for number in range(6)} <= set(names)
    assert names == sorted(names)
    assert list_models("movinet_a0_*") == ["movinet_a0_base", "movinet_a0_stream"]
    assert list_models("*t0_b*") == ["movinet_t0_base"]
    assert list_models("resnet*") == []


@pytest.mark.parametrize("name", list_models("movinet_*"))
def test_every_section_passes_its_own_check(name):
    section = resolve_model_section(model_section(name))
    if section["framework"] == "EnsembleRecognizer":
        return  # tests/modeling/test_ensemble.py
    spec = SPECS[name.split("_")[1].upper()]
    stream = name.endswith("_stream")
    assert section["head"]["dropout"] == (spec.stream_dropout if stream else spec.dropout)
    assert section["backbone"].get("causal", False) == stream
    assert section["head"]["hidden_dim"] == spec.hidden_channels
    assert section["head"]["num_classes"] == 600


def test_unknown_name():
    with pytest.raises(ConfigError, match='unknown model "movinet_a0"; did you mean "movinet_a0_'):
        model_section("movinet_a0")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"causual": True}, r'backbone: unknown argument "causual"; did you mean "causal"'),
        ({"num_classes": 1}, r"head\.num_classes: .*greater than or equal to 2, got 1"),
        ({"dropout": 1.0}, r"head\.dropout: .*less than 1, got 1.0"),
        ({"classifier_activation": "swisch"}, 'unknown activation "swisch"'),
        ({"se_type": "4d"}, r"backbone\.se_type: .*'4d'"),
        ({"causal": "perhaps"}, r"backbone\.causal: "),
    ],
)
def test_wrong_option(options, message):
    with pytest.raises(ConfigError, match=message):
        build_recognizer(model_section("movinet_t0_base", **options), "here")


# --- the MODEL section


def test_preset_with_changes_on_top():
    section = {"preset": "movinet_a2_base", "head": {"num_classes": 7}}
    resolved = resolve_model_section(section)
    assert resolved["backbone"] == {"name": "MoViNet", "model_type": "A2"}
    assert resolved["head"]["num_classes"] == 7 and resolved["head"]["hidden_dim"] == 2048
    assert section == {"preset": "movinet_a2_base", "head": {"num_classes": 7}}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"preset": "movinet_a7_base"}, r'MODEL.preset: unknown model "movinet_a7_base"; did you'),
        ({"framework": "ClipRecogniser"}, r"MODEL.framework: unknown recognizer .* did you mean"),
        ({"backbone": {"name": "MoViNet"}}, "head"),
        ({"preset": "movinet_a0_base", "haed": {}}, r'MODEL: unknown argument "haed"; did you'),
        (
            {"preset": "movinet_a0_base", "loss": {"name": "CrossEntropyLoss", "smooth": 0.1}},
            r'MODEL.loss: unknown argument "smooth"',
        ),
        (
            {"preset": "movinet_a0_base", "head": {"in_channels": 3}},
            r'MODEL.head: unknown argument "in_channels"',
        ),
        (
            {"preset": "movinet_a0_base", "loss": {"name": "CrossEntropyLos"}},
            r"MODEL.loss.name: unknown loss .* did you mean",
        ),
    ],
)
def test_wrong_section(section, message):
    with pytest.raises(ConfigError, match=message):
        resolve_model_section(section)


def test_scaling_is_checked():
    section = {**model_section("movinet_t0_base"), "scaling": {"scales": 1.0}}
    with pytest.raises(ConfigError, match=r'MODEL.scaling: unknown argument "scales"'):
        build_recognizer(section)


# --- the recognizer


@pytest.fixture(scope="module")
def model():
    return small().eval()


@pytest.mark.parametrize(
    "shape", [(4, 3, 32, 32), (1, 3, 4, 32, 32), (1, 4, 32, 32, 3), (1, 4, 1, 32, 32)]
)
def test_wrong_clip(model, shape):
    with pytest.raises(DataError) as caught:
        model(paddle.zeros(list(shape)))
    assert str(list(shape)) in str(caught.value) and "[batch, frames, 3, height" in str(
        caught.value
    )


def test_bytes_and_floats_are_the_same_pixels(model):
    clip = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 33, 40), np.uint8)
    with paddle.no_grad():
        from_bytes = model(paddle.to_tensor(clip))
        from_floats = model(paddle.to_tensor(clip.astype("float32")))
    assert from_bytes.shape == [2, 4] and paddle.equal_all(from_bytes, from_floats)


def test_predict_gives_probabilities(model):
    clip = paddle.to_tensor(seeded((2, 3, 3, 32, 32)))
    with paddle.no_grad():
        probabilities, logits = model.predict({"clip": clip}).numpy(), model(clip).numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert relative_error(probabilities, expected) < 1e-5


def test_input_spec():
    spec = build_recognizer(model_section("movinet_a2_base")).input_spec()
    assert (spec.num_frames, spec.height, spec.width, spec.stride_frames) == (50, 224, 224, 5)
    assert spec.dtype == "uint8"
    unscaled = build_recognizer({**model_section("movinet_t0_base"), "scaling": {"scale": 1.0}})
    assert unscaled.input_spec().dtype == "float32"


def test_dropout_is_of_training_only(model):
    clip = paddle.to_tensor(seeded((1, 2, 3, 32, 32)))
    with paddle.no_grad():
        assert paddle.equal_all(model(clip), model(clip))
    model.head.train()
    with paddle.no_grad():
        assert not paddle.equal_all(model(clip), model(clip))
    model.eval()


# --- the loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_label_smoothing(smoothing):
    section = model_section("movinet_t0_base", num_classes=4)
    section["loss"] = {"name": "CrossEntropyLoss", "label_smoothing": smoothing}
    criterion = build_recognizer(section).criterion
    logits, labels = seeded((6, 4)), np.array([0, 3, 2, 1, 1, 0])
    log_probability = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
    smoothed = -(target * log_probability).sum(axis=1).mean()
    plain = -log_probability[np.arange(6), labels].mean()
    arguments = paddle.to_tensor(logits), paddle.to_tensor(labels)
    criterion.train()
    assert criterion(*arguments).item() == pytest.approx(smoothed, rel=1e-5)
    criterion.eval()
    assert criterion(*arguments).item() == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_wrong_smoothing(smoothing):
    section = model_section("movinet_t0_base")
    section["loss"] = {"name": "CrossEntropyLoss", "label_smoothing": smoothing}
    with pytest.raises(ConfigError, match=r"label_smoothing is .*, expected \[0, 1\)"):
        build_recognizer(section)


def test_initial_values_of_the_head():
    head = build_recognizer(model_section("movinet_a0_base", num_classes=400)).head
    assert head.classifier.weight.numpy().std() == pytest.approx(0.01, rel=0.02)
    assert head.dense.weight.numpy().std() == pytest.approx((2 / 480) ** 0.5, rel=0.02)
    assert not head.classifier.bias.numpy().any() and not head.dense.bias.numpy().any()
