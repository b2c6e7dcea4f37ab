"""From video files to classes: one, many, a folder, a list; failures in between."""

import numpy as np
import paddle
import pytest
from video.conftest import write_video

from paddlevideo.apps.bulk.prediction import VideoFailure, find_videos, predict_files
from paddlevideo.runtime import load_predictor
from paddlevideo.runtime.predictor import VideoPredictor
from paddlevideo.utils.errors import DataError
from paddlevideo.video import Pipeline
from runtime.conftest import LABELS, NUM_CLASSES, PIPELINE


@pytest.fixture(scope="module")
def predictor(exported):
    return load_predictor(exported.folder, device="cpu", cpu_threads=1)


# --- one video


def test_one_video(predictor, model, video):
    result = predictor(video, top_k=3)
    with paddle.no_grad():
        clip = paddle.to_tensor(predictor.pipeline.load(str(video))[None])
        expected = model.predict({"clip": clip})[0].numpy()
    order = np.argsort(-expected)[:3]
    assert [item.index for item in result.top] == order.tolist()
    np.testing.assert_allclose([item.score for item in result.top], expected[order], rtol=1e-4)
    assert [item.label for item in result.top] == [LABELS[index] for index in order]
    best = result.top[0]
    assert (result.label, result.index, result.score) == (best.label, best.index, best.score)
    assert result.path == str(video)
    assert result.as_dict() == {
        "file": str(video),
        "predictions": [
            {"label": item.label, "index": item.index, "score": item.score} for item in result.top
        ],
        "frames_read": 12,
        "frames_lost": 0,
    }


def test_more_classes_asked_for_than_there_are(predictor, video):
    result = predictor(str(video), top_k=100)
    assert sorted(item.index for item in result.top) == list(range(NUM_CLASSES))
    scores = [item.score for item in result.top]
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, rel=1e-5)
    assert len(predictor(video).top) == 5


def test_wrong_arguments(predictor, video, tmp_path):
    with pytest.raises(DataError, match="top_k is 0, expected at least 1"):
        predictor(video, top_k=0)
    with pytest.raises(DataError, match=r"none.mp4"):
        predictor(tmp_path / "none.mp4")


# --- what a source stands for


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "clips" / "sub dir").mkdir(parents=True)
    for name in ("b.mp4", "a b.AVI", "sub dir/c.webm", "notes.txt", "picture.jpg", "d.mp4.part"):
        (tmp_path / "clips" / name).touch()
    (tmp_path / "clips" / "empty.mp4").mkdir()
    return tmp_path / "clips"


def test_a_folder(folder):
    found = find_videos(folder)
    names = [str(path.relative_to(folder)) for path in found]
    assert names == ["a b.AVI", "b.mp4", "sub dir/c.webm"]
    assert find_videos(folder / "a b.AVI") == [folder / "a b.AVI"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("videos.txt", "b.mp4\n\n# a comment\na b.AVI\nsub dir/c.webm\n"),
        ("videos.list", "b.mp4 0\na b.AVI 12\n  sub dir/c.webm 3  \n"),
        ("videos.csv", "path,label\nb.mp4,0\na b.AVI,1\nsub dir/c.webm,2\n"),
        ("videos.csv", "b.mp4, 0, x\r\na b.AVI\r\nsub dir/c.webm\r\n"),
        ("windows.csv", "\ufeffb.mp4,0\na b.AVI,1\nsub dir/c.webm,2\n"),
    ],
)
def test_a_list(folder, name, text):
    """Relative to the list; blanks in names; labels behind them."""
    (folder / name).write_text(text, encoding="utf-8")
    expected = [folder / "b.mp4", folder / "a b.AVI", folder / "sub dir" / "c.webm"]
    assert find_videos(folder / name) == expected


def test_a_list_relative_to_the_working_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "v.txt").write_text("clips/b.mp4\n/nowhere/e.mp4\n")
    assert [str(path) for path in find_videos("lists/v.txt")] == ["clips/b.mp4", "/nowhere/e.mp4"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none", None, "no such file or folder"),
        ("empty.txt", b"\n# nothing\n", "lists no files"),
        ("header.csv", b"path,label\n", "lists no files"),
        ("bytes.txt", b"\xff\xfe\x00", "is not a text file"),
    ],
)
def test_sources_that_are_none(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        find_videos(tmp_path / name)


def test_a_folder_without_videos(tmp_path):
    with pytest.raises(DataError, match="the folder holds no video files"):
        find_videos(tmp_path)


# --- many files


@pytest.mark.parametrize("batch_size", [1, 2, 3, 10])
def test_failures_in_the_middle(predictor, tmp_path, batch_size):
    good = [write_video(tmp_path / f"v{number}.mp4", 6 + 3 * number) for number in range(3)]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(good[0].read_bytes()[:200])
    missing = tmp_path / "missing.mp4"
    paths = [good[0], broken, good[1], missing, broken, good[2]]
    results = list(predict_files(predictor, paths, batch_size, top_k=2))
    assert [getattr(result, "path", None) for result in results] == [str(path) for path in paths]
    assert [isinstance(result, VideoFailure) for result in results] == [0, 1, 0, 1, 1, 0]
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, VideoFailure):
            assert str(path) in result.reason
            assert result.as_dict() == {"file": str(path), "error": result.reason}
        else:
            alone = predictor(path, top_k=2)
            assert [item.index for item in result.top] == [item.index for item in alone.top]
            np.testing.assert_allclose(
                [item.score for item in result.top], [item.score for item in alone.top], rtol=1e-4
            )


def test_clips_of_several_sizes_in_one_batch(exported, tmp_path):
    """A pipeline without a fixed size gives each file its own; PaddleVideo's programs take that."""
    calls = []

    class AnySize:
        input_names = ("clip",)

        def run(self, inputs):
            calls.append(inputs["clip"].shape)
            return {"logits": np.arange(len(inputs["clip"]) * 2, dtype=np.float32).reshape(-1, 2)}

    paths = []
    for place, size in enumerate((48, 64, 48)):
        paths.append(write_video(tmp_path / f"v{place}.mp4", 6, size, size))
    steps = {**PIPELINE, "transform": [{"Image2Array": None}]}
    predictor = VideoPredictor(Pipeline(steps), AnySize(), {"clip": "clip"}, None)
    results = list(predict_files(predictor, paths, batch_size=3, top_k=1))
    assert [result.path for result in results] == [str(path) for path in paths]
    assert [shape[0] for shape in calls] == [2, 1]
