"""The bar of a run that another process trains."""

import json
import os

from paddlevideo.cli.follow_run import RunFollower, follow, new_lines
from paddlevideo.utils.growing_lines import GrowingLines

LINES = [
    {"kind": "start", "epochs": 3, "steps_per_epoch": 4, "epoch": 0},
    {"kind": "train", "epoch": 1, "step": 1, "loss": 1.5, "seconds_left": 60.0},
    {"kind": "train_epoch", "epoch": 1, "loss": 1.25},
    {"kind": "valid", "epoch": 1, "headline": "top1", "top1": 0.5},
    {"kind": "resume", "epochs": 3, "steps_per_epoch": 4, "epoch": 1, "iterations": 6},
    {"kind": "train", "epoch": 2, "step": 3, "loss": 0.5, "seconds_left": 3.0},
]


def test_the_bar_says_what_the_lines_say(capsys):
    follower = RunFollower()
    seen = []
    for line in LINES:
        follower.take(line)
        seen.append((follower.bar.n, follower.bar.total, follower.bar.left))
    assert seen == [(0, 12, "?"), (2, 12, "0:01:00"), (4, 12, "0:01:00"), (4, 12, "0:01:00"),
                    (6, 12, "?"), (8, 12, "0:00:03")]  # fmt: skip
    follower.close()
    assert "epoch 2/3:  67%|" in capsys.readouterr().err


def test_broken_lines_are_passed_over(tmp_path, capsys):
    text = [json.dumps(line) for line in LINES]
    text[2:2] = ['{"kind": "tr{"kind": "train"}', "[3]", '"x"', '{"kind": "train"}', ""]
    (tmp_path / "metrics.jsonl").write_text("\n".join(text) + '\n{"kind": "tra')
    ended = 2**22 + 1  # no process has it
    path = tmp_path / "metrics.jsonl"
    assert len(list(new_lines(GrowingLines(path), ended))) == len(LINES) + 1
    follow(GrowingLines(path), ended)
    assert "valid top1 0.5" in capsys.readouterr().err
    assert not list(new_lines(GrowingLines(tmp_path / "none"), ended)) and os.getpid() != ended
