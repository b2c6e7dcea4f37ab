"""PaddleVideo's names of weights: every one has its place, and each place one name."""

import numpy as np
import pytest

from paddlevideo.convert import translate_config, translate_weights
from paddlevideo.modeling import build_recognizer
from paddlevideo.utils.errors import WeightsError
from paddlevideo.weights import load_arrays, model_arrays

NAMES_3D = 334


@pytest.fixture(scope="module")
def theirs(shared_dir) -> dict[str, np.ndarray]:
    """An array of its own value for each name of the table."""
    lines = (shared_dir / "golden/paddlevideo/state_dict_base_3d.tsv").read_text().splitlines()
    shapes = dict(line.split("\t") for line in lines)
    assert len(shapes) == NAMES_3D
    return {
        name: number + np.arange(np.prod(dims(shape)), dtype="float32").reshape(dims(shape)) / 1e6
        for number, (name, shape) in enumerate(shapes.items())
    }


def dims(shape: str) -> tuple[int, ...]:
    return tuple(int(part) for part in shape.split("x"))


@pytest.fixture(scope="module")
def model():
    backbone = {"name": "MoViNet", "causal": False, "num_classes": 400}
    section = {"framework": "MoViNetRecognizerFrame", "backbone": backbone}
    return build_recognizer(translate_config({"MODEL": section})["MODEL"])


@pytest.mark.parametrize("prefix", ["backbone.", ""])
def test_every_name_has_one_place_of_the_right_shape(theirs, model, prefix):
    named = {prefix + name.removeprefix("backbone."): array for name, array in theirs.items()}
    ours = translate_weights(named, "file")
    state = model.state_dict()
    assert len(ours) == NAMES_3D and set(ours) == set(state)
    for name, tensor in state.items():
        assert list(ours[name].shape) == tensor.shape, name


def test_every_number_arrives(theirs, model):
    load_arrays(model, translate_weights(theirs, "file"), "file")
    loaded = model_arrays(model)
    by_value = {int(array.flat[0]): array for array in loaded.values()}
    assert len(by_value) == NAMES_3D
    for number, array in enumerate(theirs.values()):
        assert np.array_equal(np.sort(by_value[number], None), np.sort(array, None))


@pytest.mark.parametrize(
    ("their_name", "our_name"),
    [
        ("conv1.conv_1.0.weight", "backbone.stem.conv.weight"),
        ("conv1.conv_1.1._mean", "backbone.stem.bn._mean"),
        ("blocks.0.alpha", "backbone.blocks.block0_layer0.rezero.scale"),
        ("blocks.3.alpha", "backbone.blocks.block1_layer2.rezero.scale"),
        ("blocks.11.res.1.conv_1.0.weight", "backbone.blocks.block4_layer0.shortcut.project.conv."),
        ("blocks.14.deep.conv_1.0.weight", "backbone.blocks.block4_layer3.feature.spatial.conv."),
        ("blocks.7.se.fc1.conv_1.0.bias", "backbone.blocks.block3_layer0.attention.reduce.bias"),
        ("conv7.conv_1.1.bias", "backbone.project.bn.bias"),
        ("classifier.0.conv_1.0.weight", "head.dense.weight"),
        ("classifier.3.conv_1.0.bias", "head.classifier.bias"),
    ],
)
def test_chosen_names(theirs, their_name, our_name):
    array = theirs[f"backbone.{their_name}"]
    ours = translate_weights(theirs, "file")
    (found,) = [name for name in ours if name.startswith(our_name)]
    assert ours[found].flat[0] == array.flat[0]


def test_dense_layers_are_turned(theirs):
    ours = translate_weights(theirs, "file")["head.dense.weight"]
    array = theirs["backbone.classifier.0.conv_1.0.weight"]
    assert array.shape == (2048, 480, 1, 1, 1) and ours.shape == (480, 2048)
    assert ours[3, 5] == array[5, 3, 0, 0, 0]


def test_kernels_of_2plus1d():
    """[E, 1, kh, kw] in space and [E, 1, kt, 1] in time (docs/paddlevideo.md)."""
    rng = np.random.default_rng(0)
    space, time = rng.random((80, 1, 3, 3)), rng.random((80, 1, 5, 1))
    block = "backbone.blocks.1.deep."
    ours = translate_weights(
        {f"{block}conv_1.0.weight": space, f"{block}conv_2.0.weight": time,
         f"{block}conv_2.1._mean": time[:, 0, 0, 0]},
        "file",
    )  # fmt: skip
    name = "backbone.blocks.block1_layer0.feature."
    parts = ("spatial.conv.weight", "temporal.conv.weight", "temporal.bn._mean")
    assert set(ours) == {name + part for part in parts}
    assert ours[f"{name}spatial.conv.weight"].shape == (80, 1, 1, 3, 3)
    assert ours[f"{name}temporal.conv.weight"].shape == (80, 1, 5, 1, 1)
    assert np.array_equal(ours[f"{name}spatial.conv.weight"][:, :, 0], space)
    assert np.array_equal(ours[f"{name}temporal.conv.weight"][:, 0, :, 0, 0], time[:, 0, :, 0])


@pytest.mark.parametrize(
    "name",
    [
        "backbone.blocks.15.alpha",
        "backbone.blocks.0.extra.conv_1.0.weight",
        "backbone.blocks.0.expand.conv_3.0.weight",
        "backbone.conv2.conv_1.0.weight",
        "optimizer_step",
    ],
)
def test_unknown_names_stay_and_are_reported(theirs, model, name):
    before = model_arrays(model)
    ours = translate_weights({**theirs, name: np.zeros(1, "float32")}, "file")
    assert name in ours and len(ours) == NAMES_3D + 1
    with pytest.raises(WeightsError, match=f"(?s)1 unknown to the model:\n +{name}\n"):
        load_arrays(model, ours, "file")
    after = model_arrays(model)
    assert all(np.array_equal(before[key], after[key]) for key in before)


def test_a_missing_name_is_reported(theirs, model):
    fewer = {name: a for name, a in theirs.items() if name != "backbone.blocks.4.alpha"}
    with pytest.raises(WeightsError, match=r"1 missing in the file:\n +backbone.*layer0.rezero"):
        load_arrays(model, translate_weights(fewer, "file"), "file")


def test_ours_pass_through(model):
    ours = model_arrays(model)
    passed = translate_weights(ours, "file")
    assert list(passed) == list(ours) and all(passed[name] is ours[name] for name in ours)
