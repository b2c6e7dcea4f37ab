"""Parameters and states of every variant, as the TF package has them (spec section 1.2)."""

import math

import pytest

from modeling.conftest import STREAM
from paddlevideo.modeling import build_recognizer, list_models, model_section
from paddlevideo.modeling.backbones.movinet.specs import SPECS

# 600 classes: total, trainable; 400 classes: total.
BASE = {
    "t0": (1_740_502, 1_727_414, 1_535_502),
    "a0": (3_126_071, 3_111_799, 2_716_271),
    "a1": (4_717_912, 4_690_296, 4_308_112),
    "a2": (5_280_922, 5_249_562, 4_871_122),
    "a3": (7_443_289, 7_397_545, 7_033_489),
    "a4": (11_422_727, 11_349_463, 11_012_927),
    "a5": (18_763_355, 18_650_523, 18_353_555),
}
STREAMING = {
    "t0": (2_385_118, 2_368_958, 2_180_118),
    "a0": (3_765_983, 3_748_031, 3_356_183),
    "a1": (6_481_560, 6_447_352, 6_071_760),
    "a2": (7_366_050, 7_326_962, 6_956_250),
    "a3": (11_043_146, 10_986_618, 10_633_346),
    "a4": (18_228_326, 18_136_182, 17_818_526),
    "a5": (31_636_734, 31_495_934, 31_226_934),
}
BACKBONE = {
    "t0": (878_718, 1_523_334),
    "a0": (911_583, 1_551_495),
    "a1": (2_257_664, 4_021_312),
    "a2": (2_738_754, 4_823_882),
    "a3": (4_688_129, 8_287_986),
    "a4": (8_438_191, 15_243_790),
    "a5": (15_500_291, 28_373_670),
}
# States, stream buffers, megabytes at the native size.
STATES = {
    "t0": (38, 8, 1.31),
    "a0": (43, 11, 2.70),
    "a1": (67, 17, 4.88),
    "a2": (73, 19, 10.83),
    "a3": (124, 23, 18.28),
    "a4": (178, 35, 49.40),
    "a5": (222, 43, 75.09),
}


def counts(model) -> tuple[int, int]:
    state = model.state_dict()
    trainable = {name for name, tensor in model.named_parameters() if not tensor.stop_gradient}
    total = sum(tensor.size for tensor in state.values())
    return total, sum(state[name].size for name in trainable)


def smaller_classifier(total: int, model) -> int:
    """The total with 400 classes, of a model with 600."""
    return total - 200 * (model.head.dense.weight.shape[1] + 1)


@pytest.mark.parametrize("variant", BASE)
def test_base(variant):
    model = build_recognizer(model_section(f"movinet_{variant}_base", num_classes=600))
    total, trainable = counts(model)
    assert (total, trainable, smaller_classifier(total, model)) == BASE[variant]
    assert counts(model.backbone)[0] == BACKBONE[variant][0]


def test_base_400_classes():
    """The classifier is what the number of classes changes (the table's other column)."""
    model = build_recognizer(model_section("movinet_t0_base", num_classes=400))
    assert counts(model)[0] == BASE["t0"][2] and model.num_classes == 400


@pytest.fixture(scope="module", params=STREAMING)
def stream_model(request):
    positions = SPECS[request.param.upper()].positional_encoding
    assert positions == (request.param in ("a3", "a4", "a5"))
    section = model_section(
        f"movinet_{request.param}_base",
        num_classes=600,
        use_positional_encoding=positions,
        **STREAM,
    )
    return request.param, build_recognizer(section)


def test_stream(stream_model):
    variant, model = stream_model
    total, trainable = counts(model)
    assert (total, trainable, smaller_classifier(total, model)) == STREAMING[variant]
    assert counts(model.backbone)[0] == BACKBONE[variant][1]


def test_states(stream_model):
    variant, model = stream_model
    size = SPECS[variant.upper()].size
    specs = model.backbone.state_specs(size, size)
    buffers = [spec for spec in specs if spec.name.endswith("_stream_buffer")]
    num_bytes = 4 * sum(math.prod(spec.shape) for spec in specs)
    assert len({spec.name for spec in specs}) == len(specs)
    assert (len(specs), len(buffers)) == STATES[variant][:2]
    assert num_bytes / 1e6 == pytest.approx(STATES[variant][2], abs=0.0051)
    assert {spec.dtype for spec in specs} == {"float32", "int32"}


def test_all_variants_are_here():
    assert {f"movinet_{variant}_base" for variant in BASE} == set(list_models("movinet_*_base"))


INPUTS = {  # evaluation frames, stride, crop, short side
    "t0": (25, 10, 160, 176),
    "a0": (50, 5, 172, 192),
    "a1": (50, 5, 172, 192),
    "a2": (50, 5, 224, 256),
    "a3": (120, 2, 256, 288),
    "a4": (80, 3, 290, 320),
    "a5": (120, 2, 320, 368),
}
DROPOUT = {"t0": 0.2, "a0": 0.2, "a1": 0.5, "a2": 0.5, "a3": 0.5, "a4": 0.5, "a5": 0.5}
RECEPTIVE_FIELD = {"t0": 23, "a0": 29, "a1": 41, "a2": 45, "a3": 53, "a4": 77, "a5": 95}


@pytest.mark.parametrize("variant", INPUTS)
def test_what_a_variant_was_designed_for(variant):
    spec = SPECS[variant.upper()]
    assert (spec.num_frames, spec.stride_frames, spec.size, spec.short_side) == INPUTS[variant]
    assert spec.dropout == DROPOUT[variant]
    assert sum(layer.kernel[0] - 1 for layer in spec.layers()) + 1 == RECEPTIVE_FIELD[variant]
    assert [layer.stride for layer in spec.layers() if layer.layer == 0] == [2, 2, 2, 1, 2]
    assert all(layer.stride == 1 for layer in spec.layers() if layer.layer > 0)
