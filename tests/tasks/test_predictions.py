"""The files of a test: every sample once, names of classes, shares that are left empty."""

import csv
import json

import numpy as np
import paddle
import pytest
from PIL import Image

from paddlevideo.tasks.predictions import PredictionCollector, titles_of, write_predictions
from paddlevideo.tasks.run_records import last_of, read_lines, read_metrics
from paddlevideo.utils.errors import DataError
from paddlevideo.video import Record

NAMES = ["run, fast", 'say "hi"', "=1+1"]
RECORDS = [
    Record("a.mp4", 0, "x:1"),
    Record("b\udcff.mp4", 1, "x:2"),
    Record("类.mp4", 2, "x:3"),
    Record("d.mp4", 0, "x:4"),
]


def batch(index, readable=None, frames=None):
    index = np.array(index)
    labels = np.array([RECORDS[place].label for place in index])
    arrays = {
        "index": index,
        "label": labels,
        "readable": np.ones(len(index), bool) if readable is None else np.array(readable),
        "frames_read": np.full(len(index), 7) if frames is None else np.array(frames),
        "frames_lost": np.arange(len(index)),
    }
    return {name: paddle.to_tensor(array) for name, array in arrays.items()}


@pytest.fixture
def predictions():
    collector = PredictionCollector(4, 3, top_k=2)
    collector(np.log([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]]), batch([2, 0]))
    collector(np.log([[0.2, 0.2, 0.6], [1, 1, 1]]), batch([1, 3], [True, False], [5, 0]))
    return collector.gathered()


def test_rows_are_in_the_order_of_the_list(predictions):
    assert predictions.predicted_S.tolist() == [0, 2, 0, -1]
    assert predictions.top_SK[:3].tolist() == [[0, 1], [2, 0], [0, 1]]
    np.testing.assert_allclose(predictions.label_score_S[:3], [0.5, 0.2, 0.1])
    assert predictions.frames_read_S.tolist() == [7, 5, 7, 0]
    assert predictions.frames_lost_S.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("indices", [[[0, 1, 2]], [[0, 1, 2, 3], [0]]])
def test_a_sample_left_out_or_seen_twice_is_a_defect(indices):
    collector = PredictionCollector(4, 3)
    for index in indices:
        collector(np.zeros((len(index), 3)), batch(index))
    with pytest.raises(RuntimeError, match="left out"):
        collector.gathered()


def test_files(predictions, tmp_path):
    write_predictions(tmp_path, RECORDS, predictions, NAMES)
    text = (tmp_path / "predictions.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["path"] for line in lines] == [record.path for record in RECORDS]
    assert "类.mp4" in text
    assert lines[1] == {
        "path": "b\udcff.mp4",
        "label": 1,
        "label_name": 'say "hi"',
        "label_score": 0.2,
        "readable": True,
        "frames_read": 5,
        "frames_lost": 0,
        "top": [
            {"index": 2, "label": "=1+1", "score": 0.6},
            {"index": 0, "label": "run, fast", "score": 0.2},
        ],
    }
    assert (lines[3]["readable"], lines[3]["label_score"], lines[3]["top"]) == (False, None, [])
    with (tmp_path / "confusion_matrix.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["class", *NAMES, "(unreadable)"],
        ["run, fast", "1", "0", "0", "1"],
        ['say "hi"', "0", "0", "1", "0"],
        ["=1+1", "1", "0", "0", "0"],
    ]
    with (tmp_path / "classes.csv").open(newline="", encoding="utf-8") as file:
        first, second, _ = csv.DictReader(file)
    assert first == {
        "index": "0", "class": "run, fast", "count": "2", "correct": "1", "unreadable": "1",
        "precision": "0.5000", "recall": "0.5000", "f1": "0.5000",
    }  # fmt: skip
    assert (second["precision"], second["recall"]) == ("", "0.0000")
    with Image.open(tmp_path / "confusion_matrix.png") as image:
        assert image.width > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "classes.csv", "confusion_matrix.csv", "confusion_matrix.png", "predictions.jsonl"
    ]  # fmt: skip


def test_names_of_classes():
    assert titles_of(None, 2) == ["class 0", "class 1"]
    assert titles_of(["a", ""], 2) == ["a", "class 1"]


def test_records_of_a_run_that_was_killed(tmp_path):
    lines = ['{"kind": "start", "n": 1}', '{"kind": "valid"}', '{"kind": "start", "n": 2}']
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join([*lines, "", '{"kind": "valid", "epo']))
    assert read_metrics(tmp_path) == [{"kind": "start", "n": 2}]
    assert last_of(read_metrics(tmp_path), "test") is None
    path.write_bytes(b'{"kind": "test", "a": 1}\n{"kind": "\xe7\xb1')  # cut inside a character
    assert last_of(read_metrics(tmp_path), "test") == {"kind": "test", "a": 1}
    path.write_text('{"kind": "sta\n{"kind": "valid"}\n')
    with pytest.raises(DataError, match=r"metrics.jsonl:1 is no JSON record"):
        read_metrics(tmp_path)
    with pytest.raises(DataError, match="No such file or directory; has it"):
        read_lines(tmp_path / "none", "has it")
