"""A tiny data set, and the commands as a user runs them: in a process of their own, or in this one.

The data set has three classes of small videos, as a folder of classes, as lists of videos and as
lists of frame folders. Seven videos to train on and seven to test on: nothing divides.
"""

import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml

from paddlevideo.cli.main import run_tool

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("blue", "green", "red")
NUM_VIDEOS, NUM_FRAMES, SIZE = 7, 6, 40
NAME = "Tiny"


@dataclass
class Done:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    def error(self) -> str:
        """The message, which is all that a failed command says besides log lines and warnings."""
        assert self.code == 1, self.stderr
        assert "Traceback" not in self.stderr and self.stderr.count("error: ") == 1, self.stderr
        return self.stderr[self.stderr.index("error: ") + len("error: ") :].rstrip("\n")


def run(script, *arguments, cwd, timeout=120) -> Done:
    """Run ``main.py`` or a tool in a process of its own."""
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout)
    return Done(done.returncode, done.stdout, done.stderr)


def launch(script, *arguments, cwd, log_dir, processes=2, timeout=180) -> Done:
    """Run ``paddle.distributed.launch``; `stderr` holds what every process said."""
    command = [
        *(sys.executable, "-m", "paddle.distributed.launch"),
        *("--nproc_per_node", str(processes), "--log_dir", str(log_dir)),
        *(str(ROOT / script), *map(str, arguments)),
    ]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout)
    logs = "".join(path.read_text() for path in sorted(Path(log_dir).glob("workerlog.*")))
    return Done(done.returncode, done.stdout, done.stderr + logs)


@pytest.fixture
def main_here(monkeypatch, capfd, tmp_path):
    """``main.py`` in this process, with an empty working folder: ``main_here(*arguments)``."""
    monkeypatch.chdir(tmp_path)
    package = logging.getLogger("paddlevideo")
    before = (package.level, package.propagate, list(package.handlers))

    def call(*arguments) -> Done:
        monkeypatch.setattr(sys, "argv", ["main.py", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            run_tool("train_or_test")
        except SystemExit as end:
            code = end.code
        return Done(code, *capfd.readouterr())

    yield call
    for handler in package.handlers:
        if handler not in before[2]:
            handler.close()
    package.setLevel(before[0])
    package.propagate = before[1]
    package.handlers[:] = before[2]


# --- data


def write_clip(path: Path, clip_THWC: np.ndarray) -> Path:
    """Write frames as a video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.height, stream.width = clip_THWC.shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for image_HWC in clip_THWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_HWC, format="rgb24")))
        container.mux(stream.encode())
    return path


def colour_clip(label: int, seed: int, num_frames: int = NUM_FRAMES) -> np.ndarray:
    """Coarse noise, stronger in one colour: a class that is easy, though not at once."""
    rng = np.random.default_rng((label, seed))
    coarse = rng.uniform(0, 150, (num_frames, 5, 5, 3))
    coarse[..., 2 - label] += 100
    return coarse.repeat(SIZE // 5, axis=1).repeat(SIZE // 5, axis=2).astype(np.uint8)


@dataclass
class TinyData:
    """Where the data set lies.

    Attributes:
        root: holds ``{train,val}/<class>/*.mp4``, ``frames/``, and lists of videos
            (``train.list``) and of frame folders (``train.frames.list``).
    """

    root: Path

    def split(self, form: str, split: str) -> dict:
        """The node DATASET.train or DATASET.valid."""
        if form == "FolderDataset":
            return {"format": form, "root": str(self.root / split)}
        name = f"{split}.frames.list" if form == "FrameDataset" else f"{split}.list"
        return {
            "format": form,
            "file_path": str(self.root / name),
            "data_prefix": str(self.root),
        }

    def config(self, form: str = "VideoDataset", **changes) -> dict:
        """A whole config; ``changes`` replace top-level keys."""
        decoder = "FrameDecoder" if form == "FrameDataset" else "VideoDecoder"
        held_out = self.split(form, "val")
        return {
            "MODEL": {
                "preset": "movinet_a0_base",
                "backbone": {"bn_momentum": 0.9},
                "head": {"num_classes": len(CLASSES)},
            },
            "DATASET": {
                "batch_size": 3,
                "test_batch_size": 2,
                "train": self.split(form, "train"),
                "valid": held_out,
                "test": held_out,
            },
            "PIPELINE": {
                "train": pipeline({"RandomCrop": {"target_size": 32}}, decoder),
                "valid": pipeline({"CenterCrop": {"target_size": 32}}, decoder),
                "test": pipeline({"CenterCrop": {"target_size": 32}}, decoder),
            },
            "OPTIMIZER": {
                "name": "AdamW",
                "weight_decay": 0.01,
                "learning_rate": {
                    "name": "CustomWarmupCosineDecay",
                    "max_epoch": 2,
                    "warmup_epochs": 1,
                    "warmup_start_lr": 0.001,
                    "cosine_base_lr": 0.004,
                },
            },
            "model_name": NAME,
            "epochs": 2,
            "log_interval": 1,
            **changes,
        }


def pipeline(crop: dict, decoder: str = "VideoDecoder") -> dict:
    """Four frames of 32x32."""
    return {
        "decode": {"name": decoder},
        "sample": {"name": "UniformSampler", "num_frames": 4},
        "transform": [{"Scale": {"short_size": 36}}, crop, {"Image2Array": None}],
    }


def write_config(path: Path, config: dict) -> Path:
    """Write ``config`` as YAML."""
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> TinyData:
    """The data set, written once; tests must not change it."""
    root = tmp_path_factory.mktemp("tiny")
    for split, offset in (("train", 0), ("val", 100)):
        videos, folders = [], []
        for number in range(NUM_VIDEOS):
            label = number % len(CLASSES)
            clip = colour_clip(label, offset + number)
            path = f"{split}/{CLASSES[label]}/{number}.mp4"
            write_clip(root / path, clip)
            videos.append(f"{path} {label}\n")
            folder = f"frames/{split}_{number}"
            write_frames(root / folder, clip)
            folders.append(f"{folder} {NUM_FRAMES} {label}\n")
        (root / f"{split}.list").write_text("".join(videos))
        (root / f"{split}.frames.list").write_text("".join(folders))
    return TinyData(root)


def write_frames(folder: Path, clip_THWC: np.ndarray) -> Path:
    """Write ``img_00001.jpg`` and so on."""
    folder.mkdir(parents=True)
    for number, image_HWC in enumerate(clip_THWC, start=1):
        cv2.imwrite(str(folder / f"img_{number:05}.jpg"), image_HWC[..., ::-1])
    return folder


# --- what a run left


def metrics(folder: Path, kind: str) -> list[dict]:
    """The lines of ``metrics.jsonl`` of one kind."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory) -> tuple[Done, Path]:
    """A run of two epochs with FolderDataset, as a user starts it; its working folder."""
    cwd = tmp_path_factory.mktemp("trained")
    write_config(cwd / "tiny.yaml", tiny.config("FolderDataset"))
    done = run("main.py", "--validate", "-c", "tiny.yaml", "--seed", 3, cwd=cwd)
    return done, cwd


@pytest.fixture(scope="session")
def best_weights(trained) -> Path:
    """Weights of the run; tests must not change them."""
    done, cwd = trained
    assert done.code == 0, done.stderr
    return cwd / "output" / NAME / f"{NAME}_best.pdparams"
