"""An ensemble of two sizes, from videos to a prediction; no command knows that it is one."""

import json

import numpy as np
import paddle
import pytest

from end_to_end.conftest import CLASSES, NAME, NUM_VIDEOS, ROOT, metrics, run, write_config
from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.modeling import build_recognizer
from paddlevideo.runtime import load_predictor
from paddlevideo.video import Pipeline
from paddlevideo.weights import model_arrays, read_weights, write_weights

SPLITS = ("train", "valid", "test")
SIZES = {"small": (2, 24), "large": (4, 32)}


def views(training: bool) -> dict:
    nodes = {}
    for name, (num_frames, size) in SIZES.items():
        crop = "RandomResizedCrop" if training else "CenterCrop"
        nodes[name] = {
            "sample": {"name": "StridedSampler", "num_frames": num_frames, "stride": 1},
            "transform": [{crop: {"target_size": size}}, "Image2Array"],
        }
    return {"decode": {"name": "VideoDecoder"}, "views": nodes}


def member() -> dict:
    head = {"num_classes": len(CLASSES), "dropout": 0.0}
    return {"preset": "movinet_t0_base", "backbone": {"bn_momentum": 0.9}, "head": head}


@pytest.fixture
def config(tiny, tmp_path):
    content = tiny.config("FolderDataset")
    content["MODEL"] = {
        "framework": "EnsembleRecognizer",
        "members": {name: member() for name in SIZES},
        "loss": {"name": "CrossEntropyLoss", "label_smoothing": 0.1},
    }
    content["PIPELINE"] = {split: views(training=split == "train") for split in SPLITS}
    content["DATASET"].update(batch_size=3, num_workers=1)
    return write_config(tmp_path / "ensemble.yaml", content)


@pytest.fixture
def member_files(tmp_path) -> dict:
    """Weights of each member alone."""
    paths = {}
    for seed, name in enumerate(SIZES):
        paddle.seed(seed)
        paths[name] = tmp_path / f"{name}.pdparams"
        write_weights(paths[name], model_arrays(build_recognizer(member())))
    return paths


def test_from_videos_to_a_prediction(main_here, config, member_files, tiny, tmp_path):
    """Started from a file for each member: trained, validated, tested, exported, predicted."""
    start = [arg for n, p in member_files.items() for arg in ("-o", f"weights.{n}={p}")]
    done = main_here("--validate", "-c", config, *start)
    assert done.code == 0, done.stderr
    assert "train MoViNet + MoViNet, 3 classes" in done.stderr
    folder = tmp_path / "output" / NAME
    trained = folder / f"{NAME}_epoch_00002.pdparams"
    weights = read_weights(trained)
    for name, path in member_files.items():  # both have learned, from where they started
        kernel = "head.dense.weight"
        before, after = read_weights(path)[kernel], weights[f"members.{name}.{kernel}"]
        assert 0 < np.abs(after - before).max() < 0.1
    done = main_here("--test", "-c", folder / "config.yaml", "-w", trained)
    assert done.code == 0, done.stderr
    (tested,) = metrics(folder, "test")
    assert tested["samples"] == NUM_VIDEOS
    done = run("tools/summarize_run.py", folder, cwd=tmp_path)
    assert done.code == 0 and f"{NAME}, 3 classes" in done.stdout, done.stderr

    bundle = tmp_path / "bundle"
    done = run(
        "tools/export_model.py", "-c", folder / "config.yaml", "-p", trained, "-o", bundle,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    predictor = load_predictor(bundle, device="cpu", cpu_threads=1)
    model = open_model(open_recipe(folder / "config.yaml"), trained).eval()
    videos = sorted((tiny.root / "val").rglob("*.mp4"))
    done = run(
        "tools/predict.py", "--model_dir", bundle, "-i", tiny.root / "val", "-b", 3,
        "--top_k", 3, "--output", tmp_path / "out.jsonl", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    lines = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    for video, line in zip(videos, lines, strict=True):
        clips = Pipeline(views(training=False)).load_clips(str(video))
        with paddle.no_grad():
            batch = {name: paddle.to_tensor(clip[None]) for name, clip in clips.items()}
            expected = model.predict(batch)[0].numpy()
        scores = {item["index"]: item["score"] for item in line["predictions"]}
        assert [scores[i] for i in range(3)] == pytest.approx(expected.tolist(), rel=1e-4)
        assert predictor(video).index == int(expected.argmax())
        assert line["predictions"][0]["label"] in CLASSES


def test_member_files_are_tested_and_exported_as_they_are(
    main_here, config, member_files, tmp_path
):
    """Two published files make an ensemble without training."""
    files = [arg for n, p in member_files.items() for arg in ("-o", f"weights.{n}={p}")]
    done = main_here("--test", "-c", config, *files)
    assert done.code == 0, done.stderr
    done = main_here("--test", "-c", config, *files[:2])
    assert "weights are given for small; the members are small, large" in done.error()
    named = [f"{name}={path}" for name, path in member_files.items()]
    done = run("tools/export_model.py", "-c", config, "-p", *named, "-o", "b", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert len(load_predictor(tmp_path / "b", device="cpu").engine.input_names) == 2
    done = run("tools/export_model.py", "-c", config, "-p", "a", "b", "-o", "none", cwd=tmp_path)
    assert "expected one file, or MEMBER=FILE" in done.error() and not (tmp_path / "none").exists()


def test_checking_the_data(config, tmp_path):
    """The tool asks the model for its classes, and reads every view."""
    done = run("tools/check_data.py", "-c", config, cwd=tmp_path)
    assert done.code == 0 and "train: 7 samples, 0 unusable" in done.stdout, done.stderr


@pytest.mark.slow
def test_a6_by_its_own_config(main_here, tiny, tmp_path):
    """One step, and the export, on two frames of 32x32."""
    videos = [f"DATASET.{s}={json.dumps(tiny.split('VideoDataset', 'train'))}" for s in SPLITS]
    small = [
        f"PIPELINE.{split}.views.{name}.{key}"
        for split in SPLITS
        for name in ("a4", "a5")
        for key in (
            "sample.num_frames=2",
            "sample.stride_fps=12",
            f"transform.{0 if split == 'train' else 1}."
            f"{'RandomResizedCrop' if split == 'train' else 'CenterCrop'}.target_size=32",
        )
    ]
    others = ["DATASET.batch_size=2", "DATASET.num_workers=0", "GRADIENT_ACCUMULATION=null"]
    changes = [arg for change in (*videos, *small, *others) for arg in ("-o", change)]
    config = ROOT / "configs" / "recognition" / "movinet" / "movinet_a6_base_k600.yaml"
    done = main_here("--validate", "-c", config, *changes, "--max_iters", 1)
    assert done.code == 0, done.stderr
    folder = tmp_path / "output" / "MoViNetA6BaseK600"
    (best,) = folder.glob("*_best.pdparams")
    done = run(
        "tools/export_model.py", "-c", folder / "config.yaml", "-p", best, "-o", "bundle",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    video = next((tiny.root / "val").rglob("*.mp4"))
    done = run("tools/predict.py", "--model_dir", "bundle", "-i", video, cwd=tmp_path)
    assert done.code == 0 and "top-1 class" in done.stdout, done.stderr
