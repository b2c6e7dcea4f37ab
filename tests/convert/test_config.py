"""PaddleVideo's config as it is written there; one that is already ours stays as it is."""

import copy
import logging

import pytest

from paddlevideo.convert import translate_config
from paddlevideo.modeling import build_recognizer
from paddlevideo.tasks.recipe import parse_recipe
from paddlevideo.utils.config import parse_yaml
from paddlevideo.utils.errors import ConfigError

PADDLEVIDEO = """
MODEL:
    framework: "MoViNetRecognizerFrame"
    backbone:
        name: "MoViNet"
        model_type: "A0"
        causal: False
        conv_type: "3d"
        num_classes: 400
    head:
        name: "MoViNetHead"

DATASET:
    batch_size: 32
    num_workers: 4
    train:
        format: "FrameDataset"
        file_path: 'data/k400_frames/train.list'
        suffix: 'img_{:05}.jpg'
    valid:
        format: "FrameDataset"
        file_path: 'data/k400_frames/val.list'
        suffix: 'img_{:05}.jpg'
    test:
        format: "FrameDataset"
        file_path: 'data/k400_frames/val.list'
        suffix: 'img_{:05}.jpg'

PIPELINE:
    train:
        decode:
            name: "FrameDecoder"
        sample:
            name: "Sampler"
            num_seg: 50
            seg_len: 1
            valid_mode: False
        transform:
            - Scale:
                short_size: 192
            - MultiScaleCrop:
                target_size: 192
            - RandomCrop:
                target_size: 172
            - RandomFlip:
            - Image2Array:
            - Normalization:
                mean: [0.485, 0.456, 0.406]
                std: [0.229, 0.224, 0.225]
    valid: &valid
        decode:
            name: "FrameDecoder"
        sample:
            name: "Sampler"
            num_seg: 50
            seg_len: 1
            valid_mode: True
        transform:
            - Scale:
                short_size: 192
            - CenterCrop:
                target_size: 172
            - Image2Array:
            - Normalization:
                mean: [0.485, 0.456, 0.406]
                std: [0.229, 0.224, 0.225]
    test: *valid

OPTIMIZER:
  name: 'RMSProp'
  momentum: 0.9
  rho: 0.9
  epsilon: 1.0
  learning_rate:
    iter_step: True
    name: 'CustomWarmupCosineDecay'
    max_epoch: 160
    warmup_epochs: 10
    warmup_start_lr: 0.001
    cosine_base_lr: 0.5
  weight_decay:
    name: 'L2'
    value: 0.00003

METRIC:
    name: 'CenterCropMetric'

INFERENCE:
    name: 'ppTSM_Inference_helper'
    num_seg: 50
    short_size: 192
    target_size: 172

model_name: "MoViNet"
log_interval: 1
save_interval: 10
epochs: 160
log_level: "INFO"
"""


@pytest.fixture
def config() -> dict:
    return parse_yaml(PADDLEVIDEO, "movinet_k400_frame.yaml")


@pytest.fixture(autouse=True)
def log(caplog):
    caplog.set_level(logging.INFO, "paddlevideo")
    return caplog


def test_the_whole_recipe(config):
    recipe = parse_recipe(translate_config(config))
    model = recipe.MODEL
    assert model["framework"] == "ClipRecognizer" and model["scaling"] == {"scale": 1.0}
    assert model["backbone"] == {
        "name": "MoViNet",
        "model_type": "A0",
        "causal": False,
        "conv_type": "3d",
        "padding": "paddlevideo",
        "bn_epsilon": 1e-5,
    }
    assert model["head"] == {"name": "ClassifierHead", "num_classes": 400}
    assert recipe.DATASET.batch_size == 32 and recipe.DATASET.num_workers_of("test") == 4
    assert recipe.DATASET.valid["suffix"] == "img_{:05}.jpg"
    for split in ("train", "valid", "test"):
        ours, theirs = getattr(recipe.PIPELINE, split), config["PIPELINE"][split]
        assert ours == theirs
    assert [recipe.OPTIMIZER, recipe.METRIC] == [config["OPTIMIZER"], config["METRIC"]]
    assert (recipe.model_name, recipe.epochs, recipe.save_interval) == ("MoViNet", 160, 10)
    assert (recipe.log_interval, recipe.log_level) == (1, "INFO")


def test_inference_is_the_test_pipeline_on_video_files(config):
    recipe = parse_recipe(translate_config(config))
    assert recipe.INFERENCE["decode"] == {"name": "VideoDecoder", "backend": "cv2"}
    assert recipe.INFERENCE["sample"] == {**config["PIPELINE"]["test"]["sample"]}
    assert recipe.INFERENCE["transform"] == config["PIPELINE"]["test"]["transform"]


def test_defaults_of_the_inference_helper(config):
    config["INFERENCE"] = {"name": "ppTSM_Inference_helper"}
    node = translate_config(config)["INFERENCE"]
    assert (node["sample"]["num_seg"], node["sample"]["seg_len"]) == (8, 1)
    assert node["transform"][:2] == [
        {"Scale": {"short_size": 256}},
        {"CenterCrop": {"target_size": 224}},
    ]


def test_it_builds_paddlevideos_network(config, shared_dir):
    """334 names of the same sizes; the arithmetic is held by tests/modeling."""
    table = (shared_dir / "golden/paddlevideo/state_dict_base_3d.tsv").read_text().split()
    theirs = sorted(size_of(shape) for shape in table[1::2])
    model = build_recognizer(parse_recipe(translate_config(config)).MODEL)
    assert sorted(tensor.size for tensor in model.state_dict().values()) == theirs
    assert model.num_classes == 400 and model.scaling.is_identity


def size_of(shape: str) -> int:
    size = 1
    for part in shape.split("x"):
        size *= int(part)
    return size


def test_the_log_says_what_was_translated(config, log):
    translate_config(config)
    text = log.text
    for part in (
        "MODEL.backbone.num_classes is read as MODEL.head.num_classes: 400",
        "MoViNetRecognizerFrame is PaddleVideo's network: padding paddlevideo, bn_epsilon 1e-05",
        "values are scaled by the pipeline's Normalization, not by the model",
        "INFERENCE ppTSM_Inference_helper is read as the pipeline it stands for",
    ):
        assert text.count(part) == 1


def test_the_argument_is_not_changed_and_a_second_time_changes_nothing(config, log):
    before = copy.deepcopy(config)
    once = translate_config(config)
    assert config == before
    log.clear()
    assert translate_config(once) == once and not log.records


NATIVE = {
    "plain": """
MODEL:
  framework: ClipRecognizer
  backbone: {name: MoViNet, model_type: A2, causal: true, conv_type: 2plus1d}
  head: {name: ClassifierHead, num_classes: 4}
PIPELINE:
  test:
    decode: {name: VideoDecoder}
    sample: {name: UniformSampler, num_frames: 4}
    transform: [{Scale: {short_size: 32}}, Image2Array]
INFERENCE: null
device: cpu
weights: a.pdparams
""",
    "a preset": "MODEL: {preset: movinet_a0_base, backbone: {causal: true}}",
    "a preset alone": "MODEL: {preset: movinet_a0_base}",
    "nothing": "epochs: 3",
}


@pytest.mark.parametrize("name", NATIVE)
def test_ours_stays_as_it_is(name, log):
    config = parse_yaml(NATIVE[name], "ours.yaml")
    assert translate_config(config) == config and not log.records


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"causal": True, "se_type": "2plus3d"}),  # PaddleVideo's default is causal
        ({"causal": True}, {"causal": True, "se_type": "2plus3d"}),
        ({"causal": False}, {"causal": False}),
        (
            {"causal": False, "conv_type": "2plus1d"},
            {"activation": "hard_swish", "gating_activation": "hard_sigmoid"},
        ),
        ({"causal": False, "padding": "same", "bn_epsilon": 0.1}, {"padding": "same"}),
    ],
)
def test_variants_of_paddlevideos_network(changes, expected):
    backbone = {"name": "MoViNet", **changes}
    model = {"framework": "MoViNetRecognizerFrame", "backbone": backbone}
    translated = translate_config({"MODEL": model})["MODEL"]
    assert translated["backbone"].items() >= expected.items()
    assert ("se_type" in translated["backbone"]) == ("se_type" in expected)
    assert translated["backbone"]["bn_epsilon"] == changes.get("bn_epsilon", 1e-5)
    assert translated["head"] == {"name": "ClassifierHead"} and "scaling" not in translated


def test_what_stands_in_the_head_comes_first(config):
    config["MODEL"]["head"]["num_classes"] = 7
    config["MODEL"]["backbone"]["hidden_dim"] = 64
    head = translate_config(config)["MODEL"]["head"]
    assert head == {"name": "ClassifierHead", "num_classes": 7, "hidden_dim": 64}


@pytest.mark.parametrize(("pretrained", "expected"), [("", None), (None, None), ("a.pd", "a.pd")])
def test_pretrained(config, pretrained, expected):
    config["MODEL"]["backbone"]["pretrained"] = pretrained
    translated = translate_config(config)
    assert translated.get("weights") == expected
    assert "pretrained" not in translated["MODEL"]["backbone"]


@pytest.mark.parametrize("use_pil", [True, False])
def test_use_pil_is_dropped(config, use_pil, log):
    config["PIPELINE"]["train"]["sample"]["use_pil"] = use_pil
    assert "use_pil" not in translate_config(config)["PIPELINE"]["train"]["sample"]
    assert "PIPELINE.train.sample.use_pil is dropped" in log.text


@pytest.mark.parametrize(("use_gpu", "device"), [(True, "auto"), (False, "cpu")])
def test_use_gpu(use_gpu, device):
    assert translate_config({"use_gpu": use_gpu}) == {"device": device}
    assert translate_config({"use_gpu": use_gpu, "device": "gpu:1"}) == {"device": "gpu:1"}


@pytest.mark.parametrize("key", ["use_npu", "use_xpu", "use_mlu", "to_static", "is_distributed"])
def test_switches(key):
    assert translate_config({key: False}) == {}
    with pytest.raises(ConfigError, match=f"{key}: true is not available; remove the key"):
        translate_config({key: True})


@pytest.mark.parametrize(
    "change",
    [
        {"PIPELINE": 3},
        {"PIPELINE": [1]},
        {"PIPELINE": {"train": 3}},
        {"PIPELINE": {"train": {"transform": 3}}},
        {"PIPELINE": {"train": {"transform": [None, 3]}}},
        {"PIPELINE": {"train": {"sample": 3}}},
        {"MODEL": 3},
        {"MODEL": {"backbone": 3}},
        {"MODEL": {"framework": ["x"], "backbone": {}}},
        {"MODEL": {"framework": "MoViNetRecognizerFrame", "backbone": {"name": ["x"]}, "head": 3}},
        {"INFERENCE": 3},
        {"INFERENCE": {"name": ["x"]}},
    ],
)
def test_nonsense_is_left_to_the_recipes_messages(config, change):
    with pytest.raises(ConfigError):
        parse_recipe(translate_config({**config, **change}))


@pytest.mark.parametrize("decay", [0.1, {"name": "L2", "value": 0.1}])
def test_decay_and_clip_keep_paddlevideos_order(caplog, decay):
    """Paddle's regularisers come after the clip; ours by default before it."""
    optimizer = {"name": "RMSProp", "learning_rate": 1, "weight_decay": decay}
    model = {"framework": "MoViNetRecognizerFrame", "backbone": {"name": "MoViNet"}}
    assert translate_config({"MODEL": model, "OPTIMIZER": optimizer})["OPTIMIZER"] == optimizer
    clipped = {**optimizer, "grad_clip": {"name": "ClipGradByNorm", "value": 1.0}}
    with caplog.at_level("INFO", "paddlevideo"):
        translated = translate_config({"MODEL": model, "OPTIMIZER": clipped})["OPTIMIZER"]
    assert translated["weight_decay"] == {"name": "L2", "value": 0.1, "before_clip": False}
    assert "weight decay is added after grad_clip" in caplog.text
    ours = {"MODEL": {"preset": "movinet_a0_base"}, "OPTIMIZER": clipped}
    assert translate_config(ours)["OPTIMIZER"] == clipped


@pytest.mark.parametrize("framework", ["Recognizer2D", "RecognizerTransformer", "BMNLocalizer"])
def test_other_models_are_told_what_is_served(framework):
    config = {"MODEL": {"framework": framework, "backbone": {"name": "ResNet", "pretrained": ""}}}
    of_several = {"MODEL": {"framework": framework, "models": []}}
    for each in (config, of_several):
        with pytest.raises(ConfigError, match=rf"MODEL.framework: {framework} .*MoViNet is served"):
            translate_config(each)


def test_the_heads_former_name(caplog):
    """In configs of before, too, and of each member of an ensemble."""
    head = {"name": "MoViNetHead", "num_classes": 3}
    model = {"head": head, "members": {"a": {"head": dict(head)}}}
    with caplog.at_level("INFO"):
        translated = translate_config({"MODEL": model})["MODEL"]
    assert translated["head"] == translated["members"]["a"]["head"]
    assert translated["head"] == {"name": "ClassifierHead", "num_classes": 3}
    assert "MODEL.members.a.head.name: MoViNetHead is read as ClassifierHead" in caplog.text
    assert head["name"] == "MoViNetHead"
