"""The result of a test is a property of weights and videos, not of how they were batched."""

import json

import pytest
from modeling.conftest import randomise

from end_to_end.conftest import NUM_VIDEOS, launch, metrics, write_config
from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.weights import model_arrays, write_weights

FORM = "VideoDataset"
SEED = 2  # of weights with which some answers are right, and some more at second try


@pytest.fixture(scope="module")
def lively(tiny, tmp_path_factory):
    """A folder with a config and weights for it that answer differently to each video."""
    folder = tmp_path_factory.mktemp("lively")
    config = tiny.config(FORM, METRIC={"name": "TopKAccuracy", "topk": [1, 2, 5]})
    recipe = open_recipe(write_config(folder / "tiny.yaml", config))
    model = randomise(open_model(recipe, None), seed=SEED)
    write_weights(folder / "lively.pdparams", model_arrays(model))
    return folder


def arguments_of(lively, output, **keys) -> list:
    keys = {"output_dir": output, **keys}
    overrides = [text for key, value in keys.items() for text in ("-o", f"{key}={value}")]
    weights = lively / "lively.pdparams"
    return ["--test", "-c", lively / "tiny.yaml", "-w", weights, *overrides]


@pytest.fixture
def reference(main_here, lively, tmp_path):
    """The result with one video at a time."""
    arguments = arguments_of(lively, "one", **{"DATASET.test_batch_size": 1})
    done = main_here(*arguments)
    assert done.code == 0, done.stderr
    return metrics(tmp_path / "one", "test")[0]


def check_equal(result, reference):
    """Counts are equal, the mean loss to 1e-6; three classes: the fifth best is always right."""
    assert 0 < reference["top1"] < reference["top2"] < reference["top5"] == 1.0
    for key in ("top1", "top2", "top5", "samples", "unreadable"):
        assert result[key] == reference[key], key
    assert result["loss"] == pytest.approx(reference["loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("batch_size", "num_workers"),
    [(3, 0), (3, 2), (NUM_VIDEOS, 1), (100, 2)],
)
def test_batch_size_and_workers(batch_size, num_workers, reference, main_here, lively, tmp_path):
    """Batches of three leave one video over."""
    sizes = {"DATASET.test_batch_size": batch_size, "DATASET.test_num_workers": num_workers}
    done = main_here(*arguments_of(lively, "many", **sizes))
    assert done.code == 0, done.stderr
    check_equal(metrics(tmp_path / "many", "test")[0], reference)


def test_two_processes(reference, lively, tmp_path):
    """Seven videos for two processes, in batches of three: four and three, the last one short."""
    done = launch(
        "main.py",
        *arguments_of(lively, "two", **{"DATASET.test_batch_size": 3}),
        cwd=tmp_path,
        log_dir=tmp_path / "log",
    )
    assert done.code == 0, done.stderr
    (result,) = metrics(tmp_path / "two", "test")
    check_equal(result, reference)
    assert done.stderr.count("[TEST] finished") == 1
    ours, theirs = answers(tmp_path / "two"), answers(tmp_path / "one")
    assert len(ours) == NUM_VIDEOS
    assert [line["path"] for line in ours] == [line["path"] for line in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one["top"][0]["index"] == other["top"][0]["index"]
        assert one["label_score"] == pytest.approx(other["label_score"], abs=1e-5)
    for name in ("confusion_matrix.csv", "classes.csv"):
        assert (tmp_path / "two" / name).read_text() == (tmp_path / "one" / name).read_text()


def answers(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def test_unreadable_videos_are_among_the_answers(lively, tiny, main_here, tmp_path):
    """Counted as wrong: a class's recall has it, the confusion matrix a column for it."""
    good = tiny.root / "val" / "green" / "1.mp4"
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 50)
    (tmp_path / "two.list").write_text(f"{tmp_path}/bad.mp4 1\n{good} 1\n")
    split = {
        "DATASET.test": f"{{format: VideoDataset, file_path: {tmp_path}/two.list}}",
        "DATASET.on_unreadable": "count_wrong",
        "DATASET.class_names": "[blau, gruen, rot]",
    }
    done = main_here(*arguments_of(lively, "run", **split))
    assert done.code == 0, done.stderr
    bad, other = answers(tmp_path / "run")
    assert (bad["readable"], bad["top"], bad["frames_read"]) == (False, [], 0)
    assert (other["readable"], other["label_name"], other["frames_read"]) == (True, "gruen", 6)
    rows = (tmp_path / "run" / "confusion_matrix.csv").read_text().splitlines()
    assert rows[0] == "class,blau,gruen,rot,(unreadable)" and rows[2].endswith(",1")
