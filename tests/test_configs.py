"""Every shipped config is a whole recipe: it parses, builds, and its clips fit the model."""

from pathlib import Path

import numpy as np
import paddle
import pytest

from paddlevideo.apps.recipes import open_recipe
from paddlevideo.modeling import build_recognizer, list_models, model_section
from paddlevideo.modeling.backbones.movinet.specs import SPECS
from paddlevideo.runtime.streams.frame_clock import FrameClock
from paddlevideo.solver import build_optimizer, build_schedule
from paddlevideo.tasks.build import build_split
from paddlevideo.utils.config import merge
from paddlevideo.video import Pipeline
from paddlevideo.video.transforms.augment.policies import POLICIES

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((ROOT / "configs" / "recognition").rglob("*.yaml"))
PUBLISHED = [path for path in CONFIGS if path.stem.endswith(("_k600", "_k400"))]
OWN = [path for path in CONFIGS if path not in PUBLISHED]

# docs/movinet.md: frames in training where they are not those of evaluation; what jitters.
TRAINED_FRAMES = {"a3": 64, "a4": 32, "a5": 32}
NO_JITTER = {"t0_base", "t0_stream", "a0_stream", "a1_stream", "a2_stream", "a3_stream"}


def pipelines(recipe):
    for description, training in (
        (recipe.PIPELINE.train, True),
        (recipe.PIPELINE.valid, False),
        (recipe.PIPELINE.test, False),
        (recipe.inference_description(), False),
    ):
        yield Pipeline(description, training=training)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_a_config_is_a_whole_recipe(path):
    recipe = open_recipe(path)
    model = build_recognizer(recipe.MODEL)
    build_optimizer(recipe.OPTIMIZER, model, "OPTIMIZER")
    check_schedule(recipe)
    for pipeline in pipelines(recipe):
        clips = check_clips(pipeline, model)
    model.eval()
    logits = model(*(paddle.to_tensor(clip[None]) for clip in clips))
    assert logits.shape == [1, model.num_classes]


def test_the_mobile_config_is_the_released_int8_network():
    """Its options in full: relu6 in backbone and head, no gates (shared/pretrained holds one)."""
    recipe = open_recipe(ROOT / "configs/recognition/movinet/movinet_a0_stream_mobile.yaml")
    built = build_recognizer(recipe.MODEL)
    options = {"activation": "relu6", "classifier_activation": "relu6", "se_type": "none"}
    released = build_recognizer(model_section("movinet_a0_stream", num_classes=600, **options))
    released.set_state_dict(built.state_dict())
    clip = paddle.rand([1, 3, 3, 64, 64]) * 255
    built.eval()
    released.eval()
    np.testing.assert_array_equal(built(clip).numpy(), released(clip).numpy())


def check_schedule(recipe):
    """The schedule ends with the training: at its last step little of the highest rate is left."""
    schedule = build_schedule(recipe.OPTIMIZER["learning_rate"], "LR")
    rates = [schedule.rate(epoch, step, 10) for epoch in range(recipe.epochs) for step in range(10)]
    assert 0 < rates[-1] < 0.01 * max(rates)


def check_clips(pipeline, model):
    """A clip of two frames for every input of the model, as it takes them."""
    frames = np.random.default_rng(0).integers(0, 256, (2, 240, 320, 3)).astype(np.uint8)
    clips = []
    for name, spec in model.input_specs().items():
        view = pipeline.inputs[name]
        clips.append(view.transform(frames))
        assert clips[-1].dtype == view.output_dtype == spec.dtype
        assert clips[-1].shape == (2, 3, *view.output_size)
    return clips


# --- one config for every model that was published, with its recipe


def name_of(path):
    """``movinet_a0_base`` of movinet_a0_base_k600.yaml."""
    return path.stem.rpartition("_")[0]


@pytest.fixture(scope="module", params=PUBLISHED, ids=lambda path: path.stem)
def published(request):
    """The config's name, its recipe, and its model without weights."""
    recipe = open_recipe(request.param)
    with paddle.LazyGuard():
        return request.param.stem, recipe, build_recognizer(recipe.MODEL)


def test_every_published_model_has_its_config():
    assert {name_of(path) for path in PUBLISHED} == set(list_models("movinet_*"))
    of_kinetics400 = {name_of(path) for path in PUBLISHED if path.stem.endswith("_k400")}
    assert of_kinetics400 == {f"movinet_a{number}_base" for number in range(6)}
    assert all(
        len(path.read_text().splitlines()) <= 12 for path in PUBLISHED if "a6" not in str(path)
    )


def test_it_is_the_registered_model(published):
    """Nothing but the regularisation of training differs from the name's own section."""
    stem, recipe, model = published
    num_classes = int(stem[-3:])
    section = model_section(stem[:-5], num_classes=num_classes)
    loss = {"name": "CrossEntropyLoss", "label_smoothing": 0.1}
    regularised = {"backbone": {"stochastic_depth": 0.2}}
    if "members" in section:
        own = {**regularised, "loss": loss}
        regularised = {"members": {member: own for member in section["members"]}}
    assert recipe.MODEL == merge(section, {**regularised, "loss": loss})
    assert model.num_classes == num_classes and recipe.model_name.endswith(f"K{num_classes}")


def test_its_pipeline_gives_the_native_clip(published):
    stem, recipe, model = published
    letter, kind = stem.split("_")[1:3]
    train, *others = pipelines(recipe)
    for pipeline in (train, *others):
        check_clips(pipeline, model)
    for name, spec in model.input_specs().items():
        variant = name.partition("_")[2] or letter
        for pipeline in others:
            view = pipeline.inputs[name]
            # TensorFlow's own evaluation of A5 stream took 115 frames: its memory was short.
            num_frames = 115 if stem == "movinet_a5_stream_k600" else spec.num_frames
            assert view.num_frames == num_frames
            assert view.output_size == (spec.height, spec.width)
            assert (view.sampler.stride, view.sampler.stride_fps) == (spec.stride_frames, 25)
            assert view.transforms[0].short_size == SPECS[variant.upper()].short_side
        view = train.inputs[name]
        assert view.num_frames == TRAINED_FRAMES.get(variant, spec.num_frames)
        assert view.output_size == (spec.height, spec.width)
        assert (view.sampler.stride, view.sampler.stride_fps) == (spec.stride_frames, 25)
        assert view.sampler.random_stride_range == (f"{letter}_{kind}" not in NO_JITTER)


def test_its_augmentation_is_the_recipes(published):
    """AutoAugment for the base models A0 to A6 and the stream A4, TensorFlow's translation."""
    stem, recipe, _ = published
    letter, kind = stem.split("_")[1:3]
    train, *others = pipelines(recipe)
    augmented = letter != "t0" and (kind == "base" or letter == "a4")
    for view in train.inputs.values():
        names = [type(step).__name__ for step in view.transforms]
        expected = ["RandomResizedCrop", "RandomFlip", "AutoAugment", "Image2Array"]
        assert names == [name for name in expected if augmented or name != "AutoAugment"]
        if augmented:
            assert view.transforms[2].policy == POLICIES["v0"]
            assert view.transforms[2].reach.translate == 250.0
    for pipeline in others:
        for view in pipeline.inputs.values():
            assert "AutoAugment" not in {type(step).__name__ for step in view.transforms}


def test_its_optimizer_is_the_recipes(published):
    _, recipe, model = published
    build_optimizer(recipe.OPTIMIZER, model, "OPTIMIZER")
    check_schedule(recipe)
    schedule = build_schedule(recipe.OPTIMIZER["learning_rate"], "LR")
    steps = 366016 // 1024
    assert schedule.rate(0, 0, steps) == 0.0
    rates = [schedule.rate(epoch, 0, steps) for epoch in range(6, 240)]
    expected = 0.9 * (1 + np.cos(np.pi * np.arange(6, 240) / 240))
    np.testing.assert_allclose(rates, expected, rtol=1e-9)
    assert recipe.GRADIENT_ACCUMULATION.global_batch_size == 1024
    assert 1024 % recipe.DATASET.batch_size == 0


def test_the_configs_are_there():
    assert {"movinet_k400_frame", "movinet_a0_motion"} <= {path.stem for path in OWN}


@pytest.mark.parametrize(
    "path",
    # Clips of the built-in data set are sampled whole, which has no rate: export warns of that.
    [path for path in CONFIGS if "stream" in path.stem and "motion" not in path.stem],
    ids=lambda path: path.stem,
)
def test_a_stream_is_exported_at_the_rate_of_training(path):
    """Of every causal model: stated by the samplers of training and test alike."""
    train, *others = (pipeline.input.sampler for pipeline in pipelines(open_recipe(path)))
    lowest, highest = train.trained_rates
    assert all(lowest <= sampler.frame_rate <= highest for sampler in others)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_a_shorter_run_has_a_shorter_schedule(path):
    mixed_to_the_end = ["MIX.off_epochs=0"] if "off_epochs" in path.read_text() else []
    check_schedule(open_recipe(path, ["epochs=6", *mixed_to_the_end]))


# --- seven steps of hand washing, trained to be streamed

HANDWASH7 = ROOT / "configs/recognition/movinet/movinet_a0_stream_handwash7.yaml"


def test_handwash7_is_tested_on_the_frames_that_a_stream_takes():
    """So accuracy on clips and on streams of the same files is one figure, not two."""
    test = Pipeline(open_recipe(HANDWASH7).PIPELINE.test, training=False).inputs["clip"]
    rng = np.random.default_rng(0)
    of_clip = test.sampler.indices(64, rng, False, "video", np.arange(64) / 30)
    clock = FrameClock(test.sampler.stride_fps / test.sampler.stride)
    of_stream = [frame for frame in range(64) if clock.take(frame / 30) is not None]
    np.testing.assert_array_equal(of_clip, of_stream)


def test_handwash7_finds_its_clips(shared_dir):
    recipe = open_recipe(HANDWASH7)
    sets = {}
    for split in ("train", "valid", "test"):
        node = getattr(recipe.DATASET, split)
        assert node["root"].startswith("../shared/")  # beside the checkout
        node["root"] = str(shared_dir / node["root"].removeprefix("../shared/"))
        sets[split] = build_split(recipe, split)
    assert [len(sets[split]) for split in ("train", "valid", "test")] == [141, 50, 50]
    assert sets["train"].class_names == sets["valid"].class_names
    assert len(sets["train"].class_names) == 7 == recipe.MODEL["head"]["num_classes"]
    assert sets["train"][0, 0].clip.shape == (8, 3, 96, 96)
    assert sets["valid"][0, 0].clip.shape == (16, 3, 96, 96)
