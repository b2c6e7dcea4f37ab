"""Worker processes that die, fail to open the bundle, or meet a defect of ours."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from paddlevideo.apps.bulk import workers
from paddlevideo.apps.bulk.prediction import VideoFailure
from paddlevideo.apps.bulk.workers import predict_with_workers
from paddlevideo.runtime.class_scores import ClassScore
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.predictor import VideoResult
from paddlevideo.utils.errors import BundleError, DataError
from paddlevideo.video.sample import Sample


class Pipeline:
    """Loads by the file's name."""

    def load_sample(self, path: str) -> Sample:
        if "killed once" in path:
            once = Path(path.partition(":")[2])
            if not once.exists():
                once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        elif "killed" in path:
            os.kill(os.getpid(), signal.SIGKILL)
        if "exits" in path:
            os._exit(3)
        if "slow" in path:
            time.sleep(0.3)
        if "broken" in path:
            raise DataError(f"{path}: broken")
        if "defect" in path:
            raise RuntimeError("a defect")
        if "hangs" in path:
            time.sleep(600)
        sample = Sample(path, None, np.random.default_rng(0), training=False, num_frames=9)
        sample.clips = {"clip": np.zeros(1)}
        return sample


class Predictor:
    pipeline = Pipeline()

    def classify(self, batch, names, top_k):
        assert len(batch["clip"]) == len(names)
        return [VideoResult(name, (ClassScore(name, 0, 1.0),)) for name in names]


def opened(_bundle, options):
    assert options.cpu_threads >= 1
    return Predictor()


def refused(_bundle, _options):
    raise BundleError("the bundle is altered")


def defective(_bundle, _options):
    raise RuntimeError("a defect")


def dies_at_once(_bundle, _options):
    os.kill(os.getpid(), signal.SIGKILL)


def results(names, batch_size=1, workers=2, opener=opened):
    paths = [Path(name) for name in names]
    return list(predict_with_workers(None, EngineOptions(), paths, batch_size, 1, workers, opener))


def test_the_file_that_a_process_dies_of_is_a_failure_and_the_others_go_on():
    names = ["a", "killed", "slow", "broken", "b", "exits", "c"]
    found = results(names)
    assert [result.path for result in found] == names
    reasons = {r.path: r.reason for r in found if isinstance(r, VideoFailure)}
    assert list(reasons) == ["killed", "broken", "exits"]
    assert reasons["killed"].startswith(
        "killed: the process that worked on it was ended by SIGKILL"
    )
    assert "ended with exit code 3" in reasons["exits"]
    assert reasons["broken"] == "broken: broken"


def test_a_foreign_exception_is_a_failure_of_its_file():
    found = results(["a", "defect", "b"])
    assert [type(result) for result in found] == [VideoResult, VideoFailure, VideoResult]
    assert "defect: cannot be read: RuntimeError: a defect" in found[1].reason
    assert found[0].frames_read == 9 and found[0].frames_lost == 0


def test_a_file_is_not_blamed_for_the_first_death(tmp_path):
    """A process may die of something else; another one tries the file once more."""
    found = results([f"killed once:{tmp_path / 'once'}", "b"], workers=1)
    assert [type(result) for result in found] == [VideoResult, VideoResult]


def test_a_file_that_takes_for_ever_is_a_failure(monkeypatch):
    monkeypatch.setattr(workers, "_GRACE_SECONDS", 3.0)
    monkeypatch.setenv("PADDLEVIDEO_LIMITS", "read_seconds=0.5,open_seconds=0.5")
    found = results(["a", "hangs", "b"], workers=1)
    assert [type(result) for result in found] == [VideoResult, VideoFailure, VideoResult]
    assert "took too long; the limit read_seconds is 0.5" in found[1].reason


def test_of_a_batch_only_the_deadly_file_fails():
    names = ["a", "killed", "broken", "c"]
    found = results(names, batch_size=4, workers=1)
    assert [result.path for result in found] == names
    assert [r.path for r in found if isinstance(r, VideoFailure)] == ["killed", "broken"]


@pytest.mark.parametrize(
    ("opener", "names", "error", "message"),
    [
        (refused, ["a", "b"], BundleError, "the bundle is altered"),
        (dies_at_once, ["a"], DataError, "was ended by SIGKILL while it opened the model"),
        (defective, ["a", "b"], RuntimeError, "in a worker process:\n.*a defect"),
    ],
)
def test_what_ends_the_run(opener, names, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        results(names, opener=opener, workers=1)


def test_a_run_that_is_left_ends_its_processes():
    running = predict_with_workers(
        None, EngineOptions(), [Path(f"slow{n}") for n in range(50)], 1, 1, 1, opened
    )
    assert next(running).path == "slow0"
    running.close()
    assert multiprocessing.active_children() == []
