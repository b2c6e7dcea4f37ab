"""The recipe of a fit: a config as `main.py` takes it, made from the plan and the data."""

import math
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.apps.fit.plan import Plan, Wanted
from paddlevideo.utils.nodes import Node, ReadNode

TRAIN_LIST, VAL_LIST, TEST_LIST, CLASSES = "train.list", "val.list", "test.list", "classes.txt"
_STRIDE = 2  # of a video of twice the frame rate, so that training may draw 1 to 3


@dataclass(frozen=True)
class Choices:
    """What the data decides.

    Attributes:
        frame_rate: frames per second of clips and of the stream.
        num_frames: of a clip in validation and test.
        flip: whether a mirrored video is of the same class.
        num_classes: of the folder.
        has_test: whether there is a third set.
    """

    frame_rate: float
    num_frames: int
    flip: bool
    num_classes: int
    has_test: bool


def make_config(
    run: Path,
    model: ReadNode,
    plan: Plan,
    wanted: Wanted,
    choices: Choices,
    seed: int,
    device: str,
    name: str = "model",
) -> Node:
    """The whole config.

    Args:
        run: the run's folder; the lists lie in its ``data``.
        name: of the run's files.
        model: the MODEL section, with the options that the weights want.
    """
    data = run / "data"
    third = TEST_LIST if choices.has_test else VAL_LIST
    return {
        "MODEL": dict(model),
        "DATASET": {
            "batch_size": plan.batch_size,
            "test_batch_size": 4,
            "num_workers": 0,
            "class_names": str(data / CLASSES),
            "on_unreadable": "count_wrong",
            "train": _listed(data / TRAIN_LIST),
            "valid": _listed(data / VAL_LIST),
            "test": _listed(data / third),
        },
        "PIPELINE": {
            "train": _training_pipeline(plan, wanted, choices),
            "valid": _test_pipeline(plan, choices),
            "test": _test_pipeline(plan, choices),
        },
        "OPTIMIZER": {
            "name": "AdamW",
            "weight_decay": 0.05,
            "learning_rate": {
                "name": "CustomWarmupCosineDecay",
                "max_epoch": plan.epochs,
                "warmup_epochs": min(2.0, plan.epochs / 8),
                "warmup_start_lr": wanted.learning_rate / 10,
                "cosine_base_lr": wanted.learning_rate,
            },
        },
        "model_name": name,
        "output_dir": str(run),
        "epochs": plan.epochs,
        "val_interval": plan.val_interval,
        "save_interval": max(plan.val_interval, plan.epochs // 20),
        "patience": _patience(plan),
        "log_interval": 5,
        "seed": seed,
        "device": device,
        # Of each process; most of Paddle's operations use one core.
        "num_threads": 1 if plan.processes > 1 else None,
    }


def _patience(plan: Plan) -> int:
    """Validations of half of the training: a network that knows nothing begins slowly."""
    return max(6, math.ceil(plan.epochs / 2 / plan.val_interval))


def _listed(path: Path) -> Node:
    return {"format": "VideoDataset", "file_path": str(path)}


def _sampler(choices: Choices, num_frames: int, random_stride_range: int = 0) -> Node:
    return {
        "name": "StridedSampler",
        "num_frames": num_frames,
        "stride": _STRIDE,
        "stride_fps": _STRIDE * choices.frame_rate,
        **({"random_stride_range": random_stride_range} if random_stride_range else {}),
    }


def _training_pipeline(plan: Plan, wanted: Wanted, choices: Choices) -> Node:
    larger = plan.side * 8 // 7
    flip: list[Node] = [{"RandomFlip": None}] if choices.flip else []
    return {
        "decode": {"name": "VideoDecoder"},
        "resize": "fast",
        "sample": _sampler(choices, plan.num_frames, random_stride_range=2),
        "transform": [
            {"Scale": {"short_size": larger, "fixed_ratio": False}},
            {"CenterCrop": {"target_size": larger}},
            {
                "RandomResizedCrop": {
                    "target_size": plan.side,
                    "area": [wanted.least_area, 1.0],
                    "aspect": [0.8, 1.25],
                }
            },
            *flip,
            {
                "ColorJitter": {
                    "brightness": 1.3 * wanted.colour,
                    "contrast": 1.3 * wanted.colour,
                    "saturation": 1.6 * wanted.colour,
                    "hue": 0.5 * wanted.colour,
                    "p_gray": 0.7 * wanted.colour,
                }
            },
            {"Image2Array": None},
        ],
    }


def reading_pipeline(choices: Choices) -> Node:
    """What reading one clip costs: decoding and scaling, at a middle size."""
    return {
        "decode": {"name": "VideoDecoder"},
        "resize": "fast",
        "sample": _sampler(choices, 8),
        "transform": [
            {"Scale": {"short_size": 146, "fixed_ratio": False}},
            {"CenterCrop": {"target_size": 128}},
            {"Image2Array": None},
        ],
    }


def _test_pipeline(plan: Plan, choices: Choices) -> Node:
    return {
        "decode": {"name": "VideoDecoder"},
        "resize": "fast",
        "sample": _sampler(choices, choices.num_frames),
        "transform": [
            {"Scale": {"short_size": plan.side * 8 // 7, "fixed_ratio": False}},
            {"CenterCrop": {"target_size": plan.side}},
            {"Image2Array": None},
        ],
    }
