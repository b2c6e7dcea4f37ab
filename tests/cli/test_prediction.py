"""``paddlevideo predict`` and ``stream``: released weights by name, and options of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = "movinet_a0_stream_k600_int8"


def run(*arguments, home):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PADDLEVIDEO_HOME": str(home)}
    command = [sys.executable, "-m", "paddlevideo", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment, check=False
    )


def test_released_weights_answer_without_a_training(shared_dir, tmp_path):
    """Fetched by hand here, exported once, then asked as a file and as a stream."""
    folder = shared_dir / "pretrained"
    file = folder / "movinet-a0-stream-int8.tflite"
    done = run("download", NAME, "--from", file, home=tmp_path)
    assert done.returncode == 0, done.stderr
    clip = folder / "carving_ice.mp4"
    done = run("predict", clip, "--model", NAME, "--output", tmp_path / "o.jsonl", home=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "o.jsonl").read_text().splitlines()[-1])
    best = answer["predictions"][0]
    assert best["label"] == "carving ice" and best["score"] > 0.5
    exported = tmp_path / "bundles" / NAME / "inference.yml"
    before = exported.stat().st_mtime_ns
    done = run("stream", clip, "--model", NAME, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["label"] == "carving ice"
    assert exported.stat().st_mtime_ns == before
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [NAME]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "x.mp4"), "one of the arguments --bundle --model is required"),
        (
            ("predict", "x.mp4", "--bundle", "b", "--window", "3"),
            "unrecognized arguments: --window",
        ),
        (("stream", "0", "--bundle", "b", "--workers", "2"), "unrecognized arguments: --workers"),
        (("predict", "x.mp4", "--model", "movinet_a9"), "movinet_a9"),
        (("predict", "x.mp4", "--bundle", "b", "--precision", "int8"), "--precision has no effect"),
    ],
)
def test_one_message(tmp_path, arguments, message):
    done = run(*arguments, home=tmp_path)
    assert done.returncode != 0 and message in done.stderr and "Traceback" not in done.stderr
