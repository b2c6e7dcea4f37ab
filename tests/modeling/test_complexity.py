"""The facts of every variant are those of the spec's tables (section 1.2)."""

import paddle
import pytest
from paddle import nn

from paddlevideo.modeling import build_recognizer, list_models, model_section
from paddlevideo.modeling.backbones.movinet.specs import SPECS
from paddlevideo.modeling.complexity import model_complexity, traced_multiply_adds
from paddlevideo.modeling.input_spec import InputSpec
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.utils.errors import ConfigError

# Variant: total and trainable with 600 classes, total with 400, backbone.
PARAMETERS = {
    "t0_base": (1_740_502, 1_727_414, 1_535_502, 878_718),
    "a0_base": (3_126_071, 3_111_799, 2_716_271, 911_583),
    "a1_base": (4_717_912, 4_690_296, 4_308_112, 2_257_664),
    "a2_base": (5_280_922, 5_249_562, 4_871_122, 2_738_754),
    "a3_base": (7_443_289, 7_397_545, 7_033_489, 4_688_129),
    "a4_base": (11_422_727, 11_349_463, 11_012_927, 8_438_191),
    "a5_base": (18_763_355, 18_650_523, 18_353_555, 15_500_291),
    "t0_stream": (2_385_118, 2_368_958, 2_180_118, 1_523_334),
    "a0_stream": (3_765_983, 3_748_031, 3_356_183, 1_551_495),
    "a1_stream": (6_481_560, 6_447_352, 6_071_760, 4_021_312),
    "a2_stream": (7_366_050, 7_326_962, 6_956_250, 4_823_882),
    "a3_stream": (11_043_146, 10_986_618, 10_633_346, 8_287_986),
    "a4_stream": (18_228_326, 18_136_182, 17_818_526, 15_243_790),
    "a5_stream": (31_636_734, 31_495_934, 31_226_934, 28_373_670),
}
GIGA_PER_CLIP = {  # multiply-adds of a base model
    "t0": 0.87, "a0": 2.63, "a1": 5.87, "a2": 11.56, "a3": 55.6, "a4": 103.3, "a5": 276.3,
}  # fmt: skip
STREAM = {  # million multiply-adds of a frame; states, stream buffers, megabytes
    "t0": (34.2, 53, 8, 1.32),
    "a0": (50.7, 59, 11, 2.71),
    "a1": (113.2, 92, 17, 4.91),
    "a2": (216.5, 100, 19, 10.86),
    "a3": (437.2, 158, 23, 18.32),
    "a4": (1212, 226, 35, 49.46),
    "a5": (2184, 282, 43, 75.19),
}
RECEPTIVE_FIELD = {"t0": 23, "a0": 29, "a1": 41, "a2": 45, "a3": 53, "a4": 77, "a5": 95}
INPUT = {  # frames, stride on 25 fps, crop, short side
    "t0": (25, 10, 160, 176),
    "a0": (50, 5, 172, 192),
    "a1": (50, 5, 172, 192),
    "a2": (50, 5, 224, 256),
    "a3": (120, 2, 256, 288),
    "a4": (80, 3, 290, 320),
    "a5": (120, 2, 320, 368),
}


def build(name, **options):
    with paddle.LazyGuard():
        return build_recognizer(model_section(name, **options))


@pytest.fixture(scope="module", params=PARAMETERS)
def variant(request):
    return request.param, model_complexity(build(f"movinet_{request.param}", num_classes=600))


def test_parameters(variant):
    name, facts = variant
    total, trainable, total_400, backbone = PARAMETERS[name]
    assert facts.parameters == total
    assert facts.trainable_parameters == trainable
    assert facts.backbone_parameters == backbone
    assert model_complexity(build(f"movinet_{name}", num_classes=400)).parameters == total_400


def test_multiply_adds_and_states(variant):
    name, facts = variant
    letter, kind = name.split("_")
    states = (facts.num_states, facts.num_stream_buffers)
    if kind == "base":
        assert facts.multiply_adds_per_clip / 1e9 == pytest.approx(GIGA_PER_CLIP[letter], rel=0.01)
        assert facts.multiply_adds_per_frame is None
        assert (*states, facts.state_bytes) == (0, 0, 0)
        return
    mega_per_frame, num_states, num_buffers, megabytes = STREAM[letter]
    assert facts.multiply_adds_per_frame / 1e6 == pytest.approx(mega_per_frame, rel=0.01)
    assert states == (num_states, num_buffers)
    assert facts.state_bytes / 1e6 == pytest.approx(megabytes, abs=0.0051)


def test_receptive_field_and_input(variant):
    name, facts = variant
    clip = facts.inputs["clip"]
    size = (clip.num_frames, clip.stride_frames, clip.height, clip.short_side)
    assert facts.receptive_field == RECEPTIVE_FIELD[name.split("_")[0]]
    assert size == INPUT[name.split("_")[0]] and clip.width == clip.height


def test_every_network_of_the_family_is_in_the_tables():
    networks = {
        f"movinet_{letter.lower()}_{kind}" for letter in SPECS for kind in ("base", "stream")
    }
    assert networks == {f"movinet_{name}" for name in PARAMETERS} <= set(list_models())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("movinet_t0_base", {}),
        ("movinet_t0_base", {"conv_type": "2plus1d", "se_type": "2d"}),
        ("movinet_t0_base", {"se_type": "none"}),
        ("movinet_t0_stream", {}),
        ("movinet_t0_stream", {"conv_type": "3d", "se_type": "3d"}),
        ("movinet_t0_stream", {"use_positional_encoding": True}),
        ("movinet_a0_base", {"padding": "paddlevideo"}),
    ],
    ids=str,
)
@pytest.mark.parametrize(("num_frames", "height", "width"), [(1, 32, 57), (5, 45, 34)])
def test_the_layers_own_count_is_that_of_the_traced_program(
    name, options, num_frames, height, width
):
    """Two ways to the same number: shapes by our arithmetic, and by Paddle's."""
    if options.get("padding") == "paddlevideo":  # it does not pad: small sizes vanish
        height, width = height + 64, width + 64
    model = build(name, num_classes=7, **options)
    counted = model_complexity(model, num_frames, (height, width)).multiply_adds_per_clip
    shape = [1, num_frames, 3, height, width]
    assert counted == traced_multiply_adds(model, shape, "uint8")


def test_a_stream_of_another_size():
    """States follow the frame; parameters and receptive field do not."""
    model = build("movinet_t0_stream")
    native, small = model_complexity(model), model_complexity(model, 8, (80, 80))
    assert small.state_bytes < native.state_bytes and small.num_states == native.num_states
    assert small.multiply_adds_per_frame < native.multiply_adds_per_frame
    assert small.parameters == native.parameters
    assert small.receptive_field == native.receptive_field
    assert small.inputs["clip"].num_frames == 8 and small.inputs["clip"].short_side is None


@pytest.mark.parametrize("wrong", [{"num_frames": 0}, {"size": (0, 4)}])
def test_no_clip_at_all(wrong):
    with pytest.raises(ConfigError, match="at least 1 frame of at least 1x1"):
        model_complexity(build("movinet_t0_base"), **wrong)


def test_frozen_parameters_are_not_trainable():
    model = build("movinet_t0_base", num_classes=5)
    before = model_complexity(model).trainable_parameters
    model.head.classifier.bias.stop_gradient = True
    assert model_complexity(model).trainable_parameters == before - 5


def test_an_ensemble_is_the_sum_of_its_members():
    """A6 (docs/movinet.md): the pair's cost, each with its own clip, and no stream."""
    facts = model_complexity(build("movinet_a6_base", num_classes=600))
    members = [
        model_complexity(build(f"movinet_{name}_base", num_classes=600)) for name in ("a4", "a5")
    ]
    for field in ("parameters", "trainable_parameters", "multiply_adds_per_clip"):
        assert getattr(facts, field) == sum(getattr(member, field) for member in members)
    assert facts.inputs == {"a4": members[0].inputs["clip"], "a5": members[1].inputs["clip"]}
    assert facts.multiply_adds_per_frame is None and facts.num_states == 0
    assert facts.receptive_field == 95


# --- networks outside the family


class Plain(nn.Layer):
    """Layers whose cost is known by hand."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3D(3, 4, (3, 1, 3), stride=(1, 2, 2), padding=(1, 0, 1))
        self.groups = nn.Conv2D(4, 4, 5, groups=4, padding=2)
        self.spread = nn.Conv2DTranspose(4, 6, 2, stride=2)
        self.dense = nn.Linear(6, 10)
        self.norm = nn.BatchNorm2D(6)

    def forward(self, clip_BTCHW):
        x = self.conv(clip_BTCHW.transpose([0, 2, 1, 3, 4]))
        batch, channels, frames, height, width = x.shape
        x = x.transpose([0, 2, 1, 3, 4]).reshape([batch * frames, channels, height, width])
        x = nn.functional.relu(self.norm(self.spread(self.groups(x))))
        x = x.flatten(2).transpose([0, 2, 1])
        return self.dense(paddle.matmul(x, x, transpose_x=True).mean(axis=1))


def test_a_network_that_does_not_say():
    frames, height, width, places = 4, 3, 4, 3 * 4
    by_hand = (
        frames * places * (4 * 3 * 3 * 3)  # kernel 3x1x3, 3 -> 4 channels
        + frames * places * (4 * 25)
        + frames * places * (4 * 6 * 4)
        + frames * 6 * 6 * (4 * places)  # 6 x 6 sums over the doubled map
        + frames * 6 * 10
    )
    shape = [1, frames, 3, 2 * height - 1, 2 * width]
    model = Plain()
    assert traced_multiply_adds(model, shape) == by_hand
    assert model.training


class Tiny(Recognizer):
    """A recognizer that says neither cost nor receptive field."""

    num_classes = 10
    loss = predict = class_axes = check_node = inputs_of_node = None  # nobody asks

    def __init__(self):
        super().__init__()
        self.backbone = Plain()

    def input_specs(self):
        return {"clip": InputSpec(num_frames=4, height=5, width=8, stride_frames=2)}

    def forward(self, clip_BTCHW):
        return self.backbone(clip_BTCHW)


def test_a_recognizer_of_another_family():
    facts = model_complexity(Tiny())
    assert facts.multiply_adds_per_clip == traced_multiply_adds(Plain(), [1, 4, 3, 5, 8])
    assert facts.multiply_adds_per_frame is None and facts.receptive_field is None
    num_batch_norm = 6
    assert facts.parameters - facts.trainable_parameters == 2 * num_batch_norm
