"""Reading that hangs: a warning that names the sample, an end where one is set, no wait at the end.

A pipe that nobody writes to blocks whoever opens it, as a file on a dead mount does.
"""

import logging
import os
import signal
import time

import pytest
from video.conftest import description

from loader.test_clip_loader import build
from paddlevideo.loader import ClipLoader, Patience, build_dataset
from paddlevideo.tasks.agreement import WaitEnded
from paddlevideo.tasks.recipe import parse_recipe
from paddlevideo.utils.errors import ConfigError, DataError

WORKERS = [0, 1]


@pytest.fixture
def slow(video_dir, monkeypatch):
    """A set of four videos, of which one takes 1.5 s."""
    dataset = build(video_dir, [(f"v{i}.mp4", i) for i in range(4)])
    read = type(dataset.context.pipeline).__call__

    def call(pipeline, sample):
        if sample.path.endswith("v2.mp4"):
            time.sleep(1.5)
        return read(pipeline, sample)

    monkeypatch.setattr(type(dataset.context.pipeline), "__call__", call)
    return dataset


@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_slow_sample_is_named_at_doubling_times(slow, num_workers, caplog):
    loader = ClipLoader(
        slow, 2, training=False, num_workers=num_workers, patience=Patience(warn_seconds=0.3)
    )
    with caplog.at_level(logging.WARNING, "paddlevideo"):
        assert len(list(loader.epoch(0))) == 2
    told = [
        r.getMessage() for r in caplog.records if "is its disk or mount gone?" in r.getMessage()
    ]
    assert len(told) in (2, 3)  # after 0.3, 0.6 and 1.2 s; a worker began before it was waited for
    assert all("v2.mp4 (listed in " in message for message in told)
    who = "a worker process" if num_workers else "this process"
    assert all(message.startswith(who) for message in told)


def test_no_patience_left(slow):
    patience = Patience(warn_seconds=60, timeout=0.4)
    loader = ClipLoader(slow, 1, training=False, num_workers=1, patience=patience)
    start = time.monotonic()
    with pytest.raises(DataError) as caught:
        list(loader.epoch(0))
    assert time.monotonic() - start < 5
    message = str(caught.value)
    assert "v2.mp4 (listed in " in message and "longer than DATASET.worker_timeout" in message


@pytest.mark.parametrize("timeout", [0.6, None])
def test_a_pipe_that_nobody_writes_to(tmp_path, timeout, caplog):
    """In place of an image; neither the error nor the end of the loop waits for it."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (1, 2, 3):
        os.mkfifo(folder / f"img_{number:05}.jpg")
    (tmp_path / "l.list").write_text(f"{folder} 3 0\n")
    node = {"format": "FrameDataset", "file_path": str(tmp_path / "l.list")}
    steps = description(decode={"name": "FrameDecoder"})
    dataset = build_dataset(node, steps, training=False)
    patience = Patience(warn_seconds=0.3, timeout=timeout)
    loader = ClipLoader(dataset, 1, training=False, num_workers=1, patience=patience)
    batches = loader.epoch(0)
    start = time.monotonic()
    if timeout is None:
        before = signal.signal(signal.SIGALRM, stop_waiting)
        signal.setitimer(signal.ITIMER_REAL, 0.8)
        try:
            with pytest.raises(WaitEnded):
                next(batches)
        finally:
            signal.signal(signal.SIGALRM, before)
    else:
        with pytest.raises(DataError, match=r"frames \(listed in .*l\.list:1\) for"):
            next(batches)
    assert time.monotonic() - start < 8
    assert "l.list:1) for 0 s; is its disk" in caplog.text


def stop_waiting(_number, _frame):
    raise WaitEnded


def test_a_timeout_without_workers_is_refused():
    config = {"MODEL": {"preset": "movinet_a0_base"}, "DATASET": {"worker_timeout": 5}}
    with pytest.raises(ConfigError, match=r"DATASET: worker_timeout has no effect without worker"):
        parse_recipe(config)
    config["DATASET"]["num_workers"] = 1
    assert parse_recipe(config).DATASET.worker_timeout == 5
