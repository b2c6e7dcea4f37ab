"""PaddleVideo's A0 on its own random weights: another padding, another batch-norm epsilon."""

from collections import OrderedDict

import numpy as np
import paddle
import pytest

from modeling.conftest import TOLERANCE, read_npz, relative_error
from paddlevideo.convert import translate_weights
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.weights import load_arrays, read_weights


@pytest.fixture(scope="module")
def folder(shared_dir):
    return shared_dir / "golden" / "paddlevideo"


def build(folder, **options):
    section = model_section("movinet_a0_base", num_classes=400, **options)
    model = build_recognizer({**section, "scaling": {"scale": 1.0}})
    path = folder / "movinet_a0_base_random.pdparams"
    load_arrays(model, translate_weights(read_weights(path), str(path)), str(path))
    return model.eval()


@pytest.fixture(scope="module")
def model(folder):
    return build(folder, padding="paddlevideo", bn_epsilon=1e-5)


def test_every_name_of_its_state_dict_is_read(folder, model):
    lines = (folder / "state_dict_base_3d.tsv").read_text().splitlines()
    assert len([line for line in lines if line.startswith("backbone.")]) == 334
    assert len(model.state_dict()) == 334


def test_eight_frames(folder, model):
    golden = read_npz(folder / "golden_base_8f.npz")
    endpoints = OrderedDict()
    with paddle.no_grad():
        logits = model(paddle.to_tensor(golden["x"].transpose(0, 2, 1, 3, 4)), endpoints=endpoints)
        dense = model.head.dense(endpoints["head"])
        shortcut = model.backbone.blocks["block1_layer0"].shortcut(endpoints["block0_layer0"])
    assert relative_error(logits, golden["logits"]) < TOLERANCE
    for ours, theirs in (
        ("block2_layer0", "b4_l0"),
        ("block4_layer0", "b6_l0"),
        ("block4_layer3", "b6_l3"),
    ):
        assert relative_error(endpoints[ours], golden[f"feat/{theirs}"]) < TOLERANCE, ours
    assert relative_error(dense, golden["feat/dense9"][:, :, 0, 0, 0]) < TOLERANCE
    assert relative_error(shortcut, golden["feat/b3_l0.res"]) < TOLERANCE


def test_fifty_frames(folder, model):
    x = np.random.RandomState(2).standard_normal((1, 3, 50, 172, 172)).astype("float32")
    with paddle.no_grad():
        logits = model(paddle.to_tensor(x.transpose(0, 2, 1, 3, 4)))
    golden = read_npz(folder / "golden_base_50f.npz")
    assert relative_error(logits, golden["logits"]) < TOLERANCE


@pytest.mark.parametrize("options", [{"bn_epsilon": 1e-5}, {"padding": "paddlevideo"}])
def test_both_differences_matter(folder, options):
    """TF's padding or epsilon on these weights is another network: the options are needed."""
    golden = read_npz(folder / "golden_base_8f.npz")
    with paddle.no_grad():
        clip = paddle.to_tensor(golden["x"][:1].transpose(0, 2, 1, 3, 4))
        logits = build(folder, **options)(clip)
    assert relative_error(logits, golden["logits"][:1]) > 10 * TOLERANCE
