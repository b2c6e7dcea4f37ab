"""A bundle teaches, with its own sizes and names; what DISTILL cannot mean is refused."""

import numpy as np
import paddle
import pytest
from convert.test_import_bundle import built, bundle_logits, clip_of, exported
from runtime.conftest import LABELS, PIPELINE

from paddlevideo.apps.teachers import open_teacher
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.tasks.recipe import parse_recipe
from paddlevideo.utils.errors import BundleError, ConfigError


def recipe_of(folder, names=LABELS, **section):
    return parse_recipe({
        "MODEL": {"preset": "movinet_t0_base", "head": {"num_classes": len(LABELS)}},
        "DATASET": {"class_names": list(names)},
        "PIPELINE": {"train": PIPELINE, "test": PIPELINE},
        "DISTILL": {"teacher": str(folder), **section},
    })  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("teacher") / "bundle", built("movinet_t0_stream"))


@pytest.fixture(scope="module")
def student():
    return build_recognizer(model_section("movinet_t0_base", num_classes=len(LABELS)))


def test_a_bundle(bundle, student):
    """It says to the student's clips what its program says."""
    teacher = open_teacher(recipe_of(bundle), student)
    assert teacher.sizes == {"clip": (32, 32)} and not teacher.model.training
    clip = clip_of()
    logits = teacher.logits({"clip": paddle.to_tensor(clip)}).numpy()
    expected = bundle_logits(bundle, clip)
    np.testing.assert_allclose(logits, expected, atol=1e-3 * np.abs(expected).max())


def test_refused(bundle, student, tmp_path):
    with pytest.raises(ConfigError, match=r'class 1 of MoViNet .* is "tai chi", of the training'):
        open_teacher(recipe_of(bundle, ["abseiling", "x", *LABELS[2:]]), student)
    with pytest.raises(ConfigError, match=r"DISTILL\.weights: the teacher is a bundle"):
        open_teacher(recipe_of(bundle, weights="x.pdparams"), student)
    with pytest.raises((BundleError, ConfigError), match=str(tmp_path)):
        open_teacher(recipe_of(tmp_path), student)
