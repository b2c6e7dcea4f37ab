"""What a fit starts from: a bundle shows its own network."""

import pytest
from modeling.conftest import randomise
from runtime.conftest import LABELS, PIPELINE

from paddlevideo.apps.fit.options import FitOptions
from paddlevideo.apps.fit.weights import choose_start
from paddlevideo.export import export_model
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.utils.errors import WeightsError

T0 = "movinet_t0_stream"
NO_GATES = {"se_type": "none", "activation": "relu6", "classifier_activation": "relu6"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    section = model_section(T0, num_classes=len(LABELS), **NO_GATES)
    model = randomise(build_recognizer({**section, "scaling": {"mean": [0.4, 0.5, 0.6]}}))
    return export_model(model, PIPELINE, tmp_path_factory.mktemp("b"), "m", LABELS).folder


def start_of(tmp_path, weights, model=T0):
    options = FitOptions(tmp_path, tmp_path / "run", weights=str(weights), model=model)
    return choose_start(options, 3, lambda line: None)


def test_the_network_of_a_bundle(tmp_path, bundle):
    start = start_of(tmp_path, bundle)
    assert start.weights == str(bundle) and "weights in" in start.sentence
    assert start.section["backbone"]["se_type"] == "none"
    assert start.section["head"]["activation"] == "relu6"
    assert start.section["head"]["num_classes"] == 3
    assert start.section["scaling"]["mean"] == pytest.approx([0.4, 0.5, 0.6])


def test_a_bundle_of_another_model(tmp_path, bundle):
    with pytest.raises(WeightsError, match="is a movinet_t0_stream, not movinet_a0_stream"):
        start_of(tmp_path, bundle, "movinet_a0_stream")
    with pytest.raises(WeightsError, match="no such file, and no released weights"):
        start_of(tmp_path, tmp_path / "nothing")
