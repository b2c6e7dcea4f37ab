"""A run's folder as training and a test leave it, with names that try to be markup."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from video.conftest import write_video

from paddlevideo.apps.reports import (
    DataCheck,
    NextCommand,
    Table,
    Timeline,
    write_part,
)
from paddlevideo.tasks.predictions import Predictions, write_predictions
from paddlevideo.video import Record

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=http://example.com/x.png onerror=alert(2)>',
    "javascript:alert(3)",
    "{{ 98765 * 4321 }} & 'quoted' ` 类",
]
EPOCHS = 3


def metrics_lines(epochs=EPOCHS, steps=4, tested=True) -> list[dict]:
    lines = [{"kind": "start", "epochs": epochs, "steps_per_epoch": steps, "samples": 90}]
    for epoch in range(1, epochs + 1):
        lines += [
            {"kind": "train", "epoch": epoch, "step": s, "lr": 0.1 / (epoch + s / steps)}
            for s in range(steps)
        ]
        accuracy = 1 - math.exp(-epoch)
        lines += [
            {"kind": "train_epoch", "epoch": epoch, "loss": 2 / epoch, "top1": accuracy,
             "lr": 0.1 / epoch, "seconds": 20.0},
            {"kind": "valid", "epoch": epoch, "headline": "top1", "top1": accuracy * 0.8,
             "loss": 2.5 / epoch, "samples": 4},
        ]  # fmt: skip
    if tested:
        lines.append({"kind": "test", "headline": "top1", "top1": 0.5, "samples": 8})
    return lines


def write_metrics(folder: Path, lines: list[dict], rest: str = "") -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + rest)


def write_test(folder: Path, labels, predicted, titles, paths=None) -> None:
    """The files of a test; -1 is a video that could not be read."""
    labels, predicted = np.array(labels), np.array(predicted)
    num_samples = len(labels)
    others = (np.maximum(predicted, 0) + 1) % len(titles)
    right = labels == predicted
    predictions = Predictions(
        readable_S=predicted >= 0,
        frames_read_S=np.full(num_samples, 8),
        frames_lost_S=np.zeros(num_samples, int),
        label_score_S=np.where(right, 0.9, 0.01 * np.arange(num_samples)),
        top_SK=np.stack([np.maximum(predicted, 0), others], axis=1),
        score_SK=np.stack([np.full(num_samples, 0.9), np.full(num_samples, 0.1)], axis=1),
    )
    paths = paths or [f"gone/{place}.mp4" for place in range(num_samples)]
    records = [Record(p, int(n), "x") for p, n in zip(paths, labels, strict=True)]
    write_predictions(folder, records, predictions, titles)


@pytest.fixture
def run_folder(tmp_path) -> Path:
    """Trained and tested, with every optional part; four classes, two videos of each."""
    folder = tmp_path / "run <b>'\"&"
    folder.mkdir()
    write_metrics(folder, metrics_lines(), '{"kind": "tra')  # killed while it wrote
    config = (
        "model_name: 'Tiny <i>'\nDATASET:\n  train: {format: VideoDataset, file_path: train.list}\n"
    )
    (folder / "config.yaml").write_text(config)
    (folder / "test_config.yaml").write_text(config.replace("train", "test"))
    video = write_video(tmp_path / "it's <here>.mp4", 8)
    paths = [str(video)] * 4 + [f"javascript:alert({place}).mp4" for place in range(4)]
    write_test(folder, [0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 1, 0, 2, 3, 3, -1], HOSTILE, paths)
    check = DataCheck(
        [f"Found {HOSTILE[0]}."],
        [Table(HOSTILE[1], ["class", "train"], [[HOSTILE[0], 3], [HOSTILE[2], None]])],
    )
    write_part(folder / "data_check.json", check)
    timeline = Timeline(HOSTILE[2], HOSTILE[0], [0.0, 0.5, 1.0], HOSTILE[:2], [[0.1, 0.5, 0.9]] * 2)
    write_part(folder / "timelines.json", [timeline])
    command = NextCommand("On a <camera>", "paddlevideo stream 0 --model 'a b' && echo </pre>")
    write_part(folder / "next_commands.json", [command])
    return folder
