"""Batches: the same with and without workers, errors as one message, no process left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import paddle
import pytest
from video.conftest import description, write_video

from paddlevideo.loader import ClipLoader, build_dataset, workers
from paddlevideo.utils.errors import DataError

WORKERS = [0, 2]
FRAMES = ("frames_read", "frames_lost", "replaced")


def build(folder, names_and_labels, training=False, steps=None, **options):
    file = folder / f"list{len(list(folder.iterdir()))}.list"
    file.write_text("".join(f"{name} {label}\n" for name, label in names_and_labels))
    node = {"format": "VideoDataset", "file_path": str(file), "data_prefix": str(folder)}
    return build_dataset(node, steps or description(), training=training, **options)


@pytest.fixture
def dataset(video_dir):
    return build(video_dir, [(f"v{i}.mp4", i) for i in range(7)], training=True, seed=3)


def children() -> set[int]:
    """Process ids of this process's children that still run."""
    running = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = file.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended just now
            continue
        if int(parent) == os.getpid() and state != "Z":
            running.add(int(file.parent.name))
    return running


@pytest.fixture(autouse=True)
def no_process_left():
    before = children()
    yield
    for _ in range(50):
        if children() <= before:
            return
        time.sleep(0.1)
    raise AssertionError(f"processes left: {children() - before}")


def arrays(batches):
    return [{name: tensor.numpy() for name, tensor in batch.items()} for batch in batches]


def assert_same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert set(a) == set(b) == {"clip", "label", "index", "readable", *FRAMES}
        assert all(
            np.array_equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a
        )


@pytest.mark.parametrize("num_workers", WORKERS)
def test_what_a_batch_is(dataset, num_workers):
    loader = ClipLoader(dataset, 3, training=True, num_workers=num_workers)
    assert (len(loader), loader.num_samples) == (2, 7)
    batches = list(loader.epoch(0))
    assert len(batches) == 2
    for batch in batches:
        assert all(isinstance(tensor, paddle.Tensor) for tensor in batch.values())
        assert batch["clip"].shape == [3, 4, 3, 32, 32] and batch["clip"].dtype == paddle.uint8
        assert batch["label"].shape == [3] and batch["label"].dtype == paddle.int64
        assert batch["index"].dtype == paddle.int64 and batch["readable"].dtype == paddle.bool
        assert batch["index"].tolist() == batch["label"].tolist()
        assert batch["readable"].tolist() == [True] * 3
        assert batch["frames_read"].tolist() == [8 + 2 * i for i in batch["label"].tolist()]
        assert batch["frames_lost"].tolist() == [0] * 3


def test_same_batches_with_any_number_of_workers(dataset):
    for epoch in (0, 1):
        expected = arrays(ClipLoader(dataset, 2, training=True, seed=9).epoch(epoch))
        for num_workers in (1, 2):
            loader = ClipLoader(dataset, 2, training=True, seed=9, num_workers=num_workers)
            assert_same(arrays(loader.epoch(epoch)), expected)
            assert_same(arrays(loader.epochs(epoch, epoch + 1, start_step=2)), expected[2:])
    other = arrays(ClipLoader(dataset, 2, training=True, seed=9).epoch(0))
    assert [b["index"].tolist() for b in other] != [b["index"].tolist() for b in expected]


def test_float_clips_travel(video_dir):
    normalize = {"Normalization": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    steps = description(transform=["Image2Array", normalize])
    dataset = build(video_dir, [("v0.mp4", 0), ("v1.mp4", 1)], steps=steps)
    both = [arrays(ClipLoader(dataset, 2, training=False, num_workers=n).epoch(0)) for n in WORKERS]
    assert both[0][0]["clip"].dtype == np.float32
    assert_same(*both)


def test_two_ranks_read_every_sample_once(dataset):
    indices = []
    for rank in (0, 1):
        loader = ClipLoader(dataset, 2, training=False, rank=rank, world_size=2)
        batches = arrays(loader.epoch(0))
        assert len(batches) == len(loader)
        indices += [i for batch in batches for i in batch["index"].tolist()]
    assert sorted(indices) == list(range(7))


def test_leaving_early_then_reading_again(dataset):
    loader = ClipLoader(dataset, 1, training=True, num_workers=2)
    expected = arrays(ClipLoader(dataset, 1, training=True).epoch(1))
    before = children()
    for _ in loader.epoch(0):
        break
    batches = loader.epoch(0)
    next(batches)
    assert len(children() - before) == 2
    batches.close()
    assert children() == before
    assert_same(arrays(loader.epoch(1)), expected)


@pytest.mark.parametrize("num_workers", WORKERS)
@pytest.mark.parametrize("training", [True, False])
def test_all_unreadable_ends_quickly(tmp_path, num_workers, training):
    dataset = build(tmp_path, [(f"none{i}.mp4", 0) for i in range(20)], training)
    loader = ClipLoader(dataset, 4, training=training, num_workers=num_workers)
    start = time.monotonic()
    with pytest.raises(DataError) as caught:
        list(loader.epoch(0))
    assert time.monotonic() - start < 5
    message = str(caught.value)
    assert "no such file" in message and "Traceback" not in message and "\n" not in message
    assert ("20 samples in a row" in message) == training


@pytest.mark.parametrize("num_workers", WORKERS)
def test_count_wrong(video_dir, num_workers):
    names = [("v0.mp4", 0), ("none.mp4", 5), ("v2.mp4", 2), ("none2.mp4", 1), ("none3.mp4", 1)]
    dataset = build(video_dir, names)
    loader = ClipLoader(
        dataset, 3, training=False, num_workers=num_workers, on_unreadable="count_wrong"
    )
    first, second = arrays(loader.epoch(0))
    assert first["readable"].tolist() == [True, False, True]
    assert first["label"].tolist() == [0, 5, 2] and not first["clip"][1].any()
    assert first["clip"][0].any() and first["clip"][2].any()
    assert second["readable"].tolist() == [False, False]
    assert second["clip"].shape == (2, 4, 3, 32, 32) and second["clip"].dtype == np.uint8


@pytest.mark.parametrize("num_workers", WORKERS)
def test_shapes_differ(tmp_path, num_workers):
    write_video(tmp_path / "wide.mp4", 5)
    write_video(tmp_path / "high.mp4", 5, width=48, height=64)
    steps = description(transform=["Image2Array"])
    dataset = build(tmp_path, [("wide.mp4", 0), ("high.mp4", 1)], steps=steps)
    loader = ClipLoader(dataset, 2, training=False, num_workers=num_workers)
    with pytest.raises(DataError) as caught:
        list(loader.epoch(0))
    message = str(caught.value)
    assert "wide.mp4 gives [4, 3, 48, 64]" in message and "high.mp4 gives [4, 3, 64, 48]" in message
    assert "CenterCrop" in message


def test_a_defect_keeps_its_traceback(dataset, monkeypatch):
    monkeypatch.setattr(dataset.context.pipeline.input, "transforms", [len])
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*TypeError"):
        list(ClipLoader(dataset, 2, training=True, num_workers=1).epoch(0))


def test_a_batch_larger_than_expected_travels(dataset, monkeypatch):
    """Where the size depends on the video, the shared memory may not hold the batch."""
    expected = arrays(ClipLoader(dataset, 2, training=True).epoch(0))
    monkeypatch.setattr(workers, "_slot_bytes", lambda *_: 64)
    loader = ClipLoader(dataset, 2, training=True, num_workers=2)
    assert_same(arrays(loader.epoch(0)), expected)


def test_without_fork(dataset, monkeypatch):
    expected = arrays(ClipLoader(dataset, 2, training=True).epoch(0))
    monkeypatch.setattr(workers.multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    monkeypatch.setattr(workers, "_Worker", None)
    assert_same(arrays(ClipLoader(dataset, 2, training=True, num_workers=2).epoch(0)), expected)


def test_a_killed_worker_is_one_message(dataset):
    loader = ClipLoader(dataset, 1, training=True, num_workers=1)
    before = children()
    batches = loader.epoch(0)
    next(batches)
    os.kill((children() - before).pop(), signal.SIGKILL)
    with pytest.raises(DataError, match="worker process of the data loader died"):
        list(batches)


@pytest.mark.parametrize("num_workers", WORKERS)
def test_epochs_are_one_epoch_after_the_other(dataset, num_workers):
    loader = ClipLoader(dataset, 2, training=True, num_workers=num_workers, seed=5)
    one_by_one = [batch for epoch in (1, 2, 3) for batch in arrays(loader.epoch(epoch))]
    together = arrays(loader.epochs(1, 4))
    assert_same(one_by_one, together)
    orders = [tuple(batch["index"]) for batch in together]
    assert orders[:3] != orders[3:6]  # the epochs differ, so the order of them was seen


def test_leaving_epochs_early_ends_the_workers(dataset):
    batches = ClipLoader(dataset, 2, training=True, num_workers=2).epochs(0, 100)
    next(batches)
    batches.close()  # the fixture sees to it that no process is left


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is asked for on Linux only")
def test_workers_end_with_a_killed_parent(video_dir, tmp_path):
    """SIGKILL leaves the parent no time to end them."""
    code = f"""
import time
from pathlib import Path
from loader.test_clip_loader import build, children
from paddlevideo.loader import ClipLoader
dataset = build(Path({str(video_dir)!r}), [(f"v{{i}}.mp4", i) for i in range(7)], training=True)
batches = ClipLoader(dataset, 2, training=True, num_workers=2).epochs(0, 1000)
next(batches)
print(*children(), flush=True)
time.sleep(60)
"""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        workers_of_it = [int(text) for text in parent.stdout.readline().split()]
        parent.kill()
    assert len(workers_of_it) >= 2
    for _ in range(50):
        if not any(Path(f"/proc/{pid}").exists() for pid in workers_of_it):
            return
        time.sleep(0.1)
    raise AssertionError(f"still there: {workers_of_it}")
