"""What is learned from the built-in data is the motion: its middle frame alone does not tell it.

A small version of `bash run.sh`: two of the eight motions, small frames, 40 seconds on two cores
that have nothing else to do.
"""

import sys

import numpy as np
import paddle
import pytest

from end_to_end.conftest import ROOT, metrics, run, write_config
from paddlevideo.modeling import build_recognizer
from paddlevideo.weights import model_arrays, write_weights

NUM_FRAMES, SIZE = 8, 32
NUM_TRAIN, NUM_VAL = 256, 64
BATCH_SIZE, EPOCHS = 16, 6
REZERO = (
    0.3  # a new network's branches are closed; opening them takes more steps than this test has
)


@pytest.fixture(scope="module")
def motion():
    """The modules of data/motion, which are scripts beside the package."""
    sys.path.append(str(ROOT / "data" / "motion"))
    import motion_clips
    import motion_dataset

    return motion_clips, motion_dataset


def write_videos(motion, folder, split, count):
    clips, dataset = motion
    (folder / split).mkdir()
    lines = []
    for number in range(count):
        label = number % 2
        seed = (0 if split == "train" else 1, number)
        clip = clips.draw_clip(("left", "right")[label], seed, NUM_FRAMES, SIZE)
        dataset.encode_video(folder / split / f"{number}.mp4", clip, fps=8)
        lines.append(f"{split}/{number}.mp4 {label}\n")
    (folder / f"{split}.list").write_text("".join(lines))


def config_of(folder) -> dict:
    def split(name):
        return {"format": "VideoDataset", "data_prefix": ".", "file_path": f"{name}.list"}

    description = {
        "decode": {"name": "VideoDecoder"},
        "sample": {"name": "UniformSampler", "num_frames": NUM_FRAMES, "jitter": "none"},
        "transform": [{"CenterCrop": {"target_size": SIZE}}, {"Image2Array": None}],
    }
    return {
        "MODEL": {
            "preset": "movinet_a0_base",
            "backbone": {"bn_momentum": 0.9},
            "head": {"num_classes": 2, "dropout": 0.0},
        },
        "DATASET": {
            "batch_size": BATCH_SIZE,
            "num_workers": 1,
            "train": split("train"),
            "valid": split("val"),
            "test": split("val"),
        },
        "PIPELINE": dict.fromkeys(("train", "valid", "test"), description),
        "OPTIMIZER": {
            "name": "AdamW",
            "weight_decay": 0.01,
            "learning_rate": {
                "name": "CustomWarmupCosineDecay",
                "max_epoch": EPOCHS,
                "warmup_epochs": 1,
                "warmup_start_lr": 0.0002,
                "cosine_base_lr": 0.003,
            },
        },
        "model_name": "Motion",
        "weights": "open.pdparams",
        "epochs": EPOCHS,
        "val_interval": EPOCHS,
        "save_interval": EPOCHS,
    }


def write_open_weights(path, section):
    """Initial weights whose residual branches count from the start."""
    paddle.seed(0)
    arrays = model_arrays(build_recognizer(section))
    for name, array in arrays.items():
        if name.endswith("rezero.scale"):
            arrays[name] = np.full_like(array, REZERO)
    write_weights(path, arrays)


def test_motion_tells_the_class_and_one_frame_does_not(motion, tmp_path):
    for split, count in (("train", NUM_TRAIN), ("val", NUM_VAL)):
        write_videos(motion, tmp_path, split, count)
    config = config_of(tmp_path)
    write_config(tmp_path / "motion.yaml", config)
    frozen = [{"FreezeFrame": {"position": 0.5}}, *config["PIPELINE"]["test"]["transform"]]
    control = {"_base_": "motion.yaml", "PIPELINE": {"test": {"transform": frozen}}}
    write_config(tmp_path / "frozen.yaml", control)
    write_open_weights(tmp_path / "open.pdparams", config["MODEL"])
    done = run("main.py", "--validate", "-c", "motion.yaml", cwd=tmp_path, timeout=400)
    assert done.code == 0, done.stderr
    best = "output/Motion/Motion_best.pdparams"
    done = run("main.py", "--test", "-c", "frozen.yaml", "-w", best, cwd=tmp_path)
    assert done.code == 0, done.stderr
    (moving,) = metrics(tmp_path / "output" / "Motion", "valid")
    (still,) = metrics(tmp_path / "output" / "Motion", "test")
    assert moving["samples"] == still["samples"] == NUM_VAL
    assert moving["top1"] >= 0.75  # 4 standard deviations above a guess
    assert abs(still["top1"] - 0.5) <= 0.15
