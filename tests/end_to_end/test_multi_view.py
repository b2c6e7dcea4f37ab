"""Several views of each video, and frames one by one: through the commands, to the last file."""

import json

import numpy as np
import paddle
import pytest
from modeling.conftest import randomise

from end_to_end.conftest import CLASSES, NUM_VIDEOS, launch, metrics, pipeline, write_config
from end_to_end.evaluated_sizes import NUM_CLASSES, PIPELINES, SIZES, evaluated
from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.export import export_model
from paddlevideo.tasks.build import build_split
from paddlevideo.tasks.recipe import parse_recipe
from paddlevideo.utils.errors import ConfigError
from paddlevideo.weights import model_arrays, write_weights

VIEWS = 6
NUM_TESTED = 3


def views_pipeline() -> dict:
    several = pipeline({"UniformCrop": {"target_size": 32}})
    several["transform"][0] = {"Scale": {"short_size": 32, "fixed_ratio": True}}
    several["sample"].update(num_frames=3, num_clips=2)
    return several


@pytest.fixture(scope="module")
def lively(tiny, tmp_path_factory):
    """A config of six views in test and validation, and weights that answer differently."""
    folder = tmp_path_factory.mktemp("views")
    config = tiny.config(METRIC={"name": "TopKAccuracy", "topk": [1, 2]})
    config["MODEL"]["preset"] = "movinet_a0_stream"
    config["PIPELINE"].update(test=views_pipeline(), valid=views_pipeline())
    lines = (tiny.root / "val.list").read_text().splitlines(keepends=True)
    (folder / "few.list").write_text("".join(lines[:NUM_TESTED]))
    for split in ("test", "valid"):
        config["DATASET"][split] = {
            **tiny.split("VideoDataset", "val"),
            "file_path": str(folder / "few.list"),
        }
    recipe = open_recipe(write_config(folder / "tiny.yaml", config))
    model = randomise(open_model(recipe, None), seed=2)
    write_weights(folder / "lively.pdparams", model_arrays(model))
    return folder


def run_test(main_here, lively, tmp_path, output, **keys):
    keys = {"output_dir": output, **keys}
    overrides = [text for key, value in keys.items() for text in ("-o", f"{key}={value}")]
    weights = lively / "lively.pdparams"
    done = main_here("--test", "-c", lively / "tiny.yaml", "-w", weights, *overrides)
    assert done.code == 0, done.stderr
    lines = (tmp_path / output / "predictions.jsonl").read_text().splitlines()
    return metrics(tmp_path / output, "test")[0], [json.loads(line) for line in lines], done


def test_mean_of_softmax_over_the_views(main_here, lively, tmp_path):
    """Held against the model run on each view by itself, and NumPy; by frames the same digits."""
    result, answers, done = run_test(main_here, lively, tmp_path, "clips")
    assert f"on {NUM_TESTED} clips, {VIEWS} views of each" in done.stderr
    recipe = open_recipe(lively / "tiny.yaml")
    model = open_model(recipe, lively / "lively.pdparams").eval()
    dataset = build_split(recipe, "test")
    correct = losses = 0.0
    for index, answer in enumerate(answers):
        sample = dataset[0, index]
        with paddle.no_grad():
            logits_VN = model(paddle.to_tensor(sample.clip)).numpy().astype(np.float64)
        each = np.exp(logits_VN - logits_VN.max(axis=1, keepdims=True))
        mean_N = (each / each.sum(axis=1, keepdims=True)).mean(axis=0)
        assert answer["label_score"] == pytest.approx(mean_N[sample.label], rel=1e-4)
        assert answer["top"][0]["index"] == mean_N.argmax()
        assert len(logits_VN) == VIEWS and np.ptp(logits_VN, axis=0).max() > 1e-3
        correct += mean_N.argmax() == sample.label
        losses -= np.log(mean_N[sample.label])
    assert result["top1"] == pytest.approx(correct / NUM_TESTED)
    assert result["loss"] == pytest.approx(losses / NUM_TESTED, rel=1e-4)
    keys = {"TEST.stream": "true", "DATASET.test_batch_size": 3}
    by_frames, by_frames_answers, done = run_test(main_here, lively, tmp_path, "stream", **keys)
    assert "clips, frame by frame, 6 views of each" in done.stderr
    for key in ("top1", "top2", "samples", "unreadable"):
        assert by_frames[key] == result[key]
    assert f"{by_frames['loss']:.4f}" == f"{result['loss']:.4f}"
    for ours, theirs in zip(by_frames_answers, answers, strict=True):
        assert ours["label_score"] == pytest.approx(theirs["label_score"], abs=1e-5)


def test_validation_takes_them_and_training_does_not(main_here, lively, tmp_path):
    keys = ("-o", "epochs=1", "-o", "MODEL.preset=movinet_a0_base")
    arguments = ["-c", lively / "tiny.yaml", "--validate", "--max_iters", 1, *keys]
    done = main_here(*arguments)
    assert done.code == 0, done.stderr
    assert metrics(tmp_path / "output" / "Tiny", "valid")[0]["samples"] == NUM_TESTED
    done = main_here(*arguments, "-o", "PIPELINE.train.sample.num_clips=2")
    assert "PIPELINE.train: 2 views of a video" in done.error()
    assert "training takes one clip of a video" in done.error()


def test_a_bundle_takes_one_clip(lively, tmp_path):
    recipe = open_recipe(lively / "tiny.yaml")
    model = open_model(recipe, None)
    message = "INFERENCE: 6 views of a video .* a bundle takes one clip of a video"
    with pytest.raises(ConfigError, match=message):
        export_model(model, recipe.inference_description(), tmp_path / "bundle", "tiny")
    assert not (tmp_path / "bundle").exists()


def test_a_model_of_clips_has_no_stream_test(main_here, lively, tiny):
    config = tiny.config(TEST={"stream": True})
    assert parse_recipe(config).TEST.stream
    write_config(lively / "clips.yaml", config)
    model = open_model(parse_recipe(config), None)
    write_weights(lively / "clips.pdparams", model_arrays(model))
    done = main_here("--test", "-c", lively / "clips.yaml", "-w", lively / "clips.pdparams")
    assert done.error().startswith("TEST.stream: MoViNet, as MODEL describes it")


def test_two_processes_count_every_video_once(tiny, tmp_path):
    """1 to 7 videos over two processes, one of which may have none; of one view, and of six."""
    lines = [
        f"{tiny.root}/val/{CLASSES[i % NUM_CLASSES]}/{i}.mp4 {i % NUM_CLASSES}\n"
        for i in range(NUM_VIDEOS)
    ]
    (tmp_path / "val.list").write_text("".join(lines))
    done = launch(
        *("tests/end_to_end/evaluated_sizes.py", tmp_path / "val.list", tmp_path / "two.json"),
        cwd=tmp_path,
        log_dir=tmp_path / "log",
    )
    assert done.code == 0, done.stderr
    two = json.loads((tmp_path / "two.json").read_text())
    one = evaluated(tmp_path / "val.list", tmp_path)
    assert len(one) == len(SIZES) * len(PIPELINES)
    for name, result in one.items():
        assert result["samples"] == int(name.partition("x")[0])
        for key, value in result.items():
            assert two[name][key] == pytest.approx(value, rel=1e-9), (name, key)
    assert one["7x6"]["loss"] != one["7x1"]["loss"]
