"""PaddleVideo's Kinetics-400 recipe, with nothing changed but paths, classes and sizes for time."""

import re

import av
import cv2
import numpy as np
import pytest

from end_to_end.conftest import ROOT, metrics, run
from paddlevideo.weights import read_weights

CONFIG = ROOT / "configs" / "recognition" / "movinet" / "movinet_k400_frame.yaml"


@pytest.fixture(scope="module")
def archery(shared_dir):
    video = shared_dir / "videos" / "clips" / "k400_archery.avi"
    if not video.is_file():
        pytest.skip("needs ../shared/videos/clips/k400_archery.avi")
    return video


def test_training_on_frame_folders(archery, main_here, tmp_path):
    """Three stretches of one video as three classes, images in PaddleVideo's naming."""
    with av.open(str(archery)) as container:
        images = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    lines = []
    for label in range(3):
        folder = tmp_path / "frames" / f"clip {label}"
        folder.mkdir(parents=True)
        for number, image in enumerate(images[20 * label : 20 * label + 20], start=1):
            cv2.imwrite(str(folder / f"img_{number:05}.jpg"), image)
        lines.append(f"{folder} 20 {label}\n")
    (tmp_path / "k400.list").write_text("".join(lines))
    changes = {
        **{f"DATASET.{split}.file_path": "k400.list" for split in ("train", "valid", "test")},
        **{f"PIPELINE.{split}.sample.num_seg": 4 for split in ("train", "valid", "test")},
        "MODEL.backbone.num_classes": 3,
        "DATASET.batch_size": 2,
        "DATASET.test_batch_size": 2,
        "DATASET.num_workers": 1,
        "epochs": 1,
    }
    options = [text for key, value in changes.items() for text in ("-o", f"{key}={value}")]
    done = main_here("--validate", "-c", CONFIG, *options)
    assert done.code == 0, done.stderr
    assert "MODEL.backbone.num_classes is read as MODEL.head.num_classes: 3" in done.stderr
    assert "Already save the best model (top1 acc)" in done.stderr
    best = tmp_path / "output" / "MoViNet" / "MoViNet_best.pdparams"
    assert read_weights(best)["head.classifier.weight"].shape[-1] == 3
    done = main_here("--test", "-c", CONFIG, *options, "-w", best)
    assert done.code == 0, done.stderr
    (result,) = metrics(best.parent, "test")
    (valid,) = metrics(best.parent, "valid")
    assert (result["top1"], result["samples"]) == (valid["top1"], 3)
    assert result["loss"] == pytest.approx(valid["loss"], rel=1e-6)


def test_export_and_predict_give_paddlevideos_score(archery, shared_dir, tmp_path):
    """PaddleVideo's commands on PaddleVideo's weights: 50 frames of 172x172, its own logits."""
    golden = shared_dir / "golden" / "paddlevideo"
    weights = golden / "movinet_a0_base_random.pdparams"
    done = run(
        "tools/export_model.py", "-c", CONFIG, "-p", weights, "-o", "inference/MoViNetA0",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    done = run(
        "tools/predict.py", "--input_file", archery, "--config", CONFIG,
        "--model_file", "inference/MoViNetA0/MoViNet.pdmodel",
        "--params_file", "inference/MoViNetA0/MoViNet.pdiparams",
        "--use_gpu=False", "--use_tensorrt=False",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    with np.load(golden / "golden_example_avi_pipeline.npz") as content:
        logits = content["logits_base_random"][0].astype(np.float64)
    expected = np.exp(logits - logits.max())
    expected /= expected.sum()
    lines = re.fullmatch(
        r"Current video file: (.+)\n\ttop-1 class: (\d+)\n\ttop-1 score: ([\d.e-]+)\n", done.stdout
    )
    assert lines, done.stdout
    assert lines[1] == str(archery)
    assert int(lines[2]) == expected.argmax()
    assert float(lines[3]) == pytest.approx(expected.max(), rel=1e-4)
