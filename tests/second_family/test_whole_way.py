"""The family goes the whole way by the commands: training, export, streams, quantisation.

`trained` and `bundle` (conftest.py) are a run of ``main.py`` in a process of its own and its
export.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from end_to_end.conftest import ROOT, metrics
from end_to_end.test_resume import LENGTH, check_identical
from modeling.conftest import TOLERANCE, relative_error

from paddlevideo.export.exporter import usable_formats
from paddlevideo.runtime import read_bundle
from paddlevideo.runtime.engines import EngineOptions, open_engine
from paddlevideo.runtime.engines.open_engine import ENGINES
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import BundleError
from paddlevideo.weights import read_weights
from second_family.conftest import FORMATS, NAME, options

# Engines that may refuse the family's step program, and what they name.
REFUSED = {
    "compiled": "the compiled engine cannot run Split",
    "litert": "holds no TFLite file of this program",
}
WEIGHTS = f"{NAME}_best.pdparams"
WITHOUT_PADDLE = """
import sys
sys.modules["paddle"] = None
from paddlevideo.cli.main import main
main(sys.argv[1:])
assert "second_family" not in sys.modules
"""


def weights(tiny, trained, *changes):
    return [*options(tiny, *changes), "-w", trained / WEIGHTS]


def test_nothing_in_the_package_knows_it():
    files = (ROOT / "paddlevideo").rglob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in files).lower()
    assert "shiftnet" not in text and "second_family" not in text and "movinet" in text


def test_it_trains(trained):
    losses = [line["loss"] for line in metrics(trained, "train_epoch")]
    assert len(losses) == 2 and np.isfinite(losses).all()
    assert metrics(trained, "valid")[-1]["samples"] == 7
    assert "imports:\n- second_family.network\n" in (trained / "config.yaml").read_text()


@pytest.mark.parametrize("num_workers", [0, 1])
def test_it_goes_on_bit_for_bit(command, trained, tmp_path, num_workers):
    run = ["train", "--validate", "-c", trained / "config.yaml", "-o", "output_dir=parts"]
    run += ["-o", LENGTH, "-o", f"DATASET.num_workers={num_workers}", "-o"]
    command(*run, "epochs=1")
    assert "resumed after epoch 1" in command(*run, "resume_epoch=latest").err
    for name in (f"{NAME}_epoch_00002.pdparams", WEIGHTS):
        check_identical(tmp_path / "parts", trained, name)


def test_it_is_tested_and_its_data_checked(command, tiny, trained):
    assert "[TEST] 7 videos" in command("test", *weights(tiny, trained)).err
    assert "test: 7 samples, 0 unusable" in command("check-data", *options(tiny)).out


def test_weights_of_other_classes_and_frozen_stages(command, tiny, trained, tmp_path):
    changes = ["MODEL.head.num_classes=4", "DATASET.class_names=[blue, green, red, grey]"]
    said = command("train", *weights(tiny, trained, *changes, "freeze=stage1", "epochs=1")).err
    left = "head.classifier.weight, head.classifier.bias left at their initial values"
    assert left in said and "everything up to stage1 stays as it is" in said
    before = read_weights(trained / WEIGHTS)
    after = read_weights(tmp_path / "output" / NAME / f"{NAME}_epoch_00001.pdparams")
    same = {name for name in before if np.array_equal(before[name], after[name])}
    frozen = {n for n in before if n.startswith("backbone.") and n.split(".")[2] in "01"}
    assert frozen == same and len(frozen) == 4 * 5
    assert after["head.classifier.bias"].shape == (4,)


def test_what_it_costs(command, trained):
    (found,) = json.loads(
        command("model-info", "-c", trained / "config.yaml", "--format", "json").out
    ).items()
    assert found[0] == NAME and found[1]["num_states"] == 6 and found[1]["receptive_field"] == 4


def test_every_format(bundle):
    """They are verified: each program with the model, and the stream with the clip."""
    manifest = read_bundle(bundle).manifest
    kinds = {program.kind: set(program.files) for program in manifest.programs}
    of_programs = set(FORMATS) - {"web"}  # that one is of the bundle
    assert kinds == {"clip": of_programs, "step": of_programs}
    assert (bundle / f"{manifest.model_name}_web").is_dir() == ("web" in usable_formats("web"))
    assert {"paddle", "onnx"} <= of_programs and manifest.labels == ["blue", "green", "red"]


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_the_stream_is_the_clip_in_every_engine(bundle, engine):
    """Or it is refused by name, and ``auto`` takes the next."""
    opened, chosen = read_bundle(bundle), EngineOptions(device="cpu", engine=engine)
    if engine in REFUSED:
        with pytest.raises(BundleError, match=REFUSED[engine]):
            StepRunner(opened, chosen)
        return
    clips = np.random.default_rng(0).integers(0, 256, (2, 8, 3, 64, 64), np.uint8)
    runner = StepRunner(opened, chosen, batch_size=2)
    assert runner.engine_name == ("onnxruntime" if engine == "auto" else engine)
    expected = open_engine(opened.clip_files, chosen).run({"clip": clips})["logits"]
    for _ in range(2):
        stepped = [runner.step(clips[:, number]) for number in range(8)]
        assert relative_error(stepped[-1], expected) < TOLERANCE
        runner.reset()


def test_predictions_and_streams(command, tiny, bundle):
    """By the commands; once in a process that has neither the family nor Paddle."""
    video = tiny.root / "val" / "red" / "2.mp4"
    said = command("predict", video, "--bundle", bundle, "--top_k", 3).out
    assert all(f"top-{rank} label: " in said for rank in (1, 2, 3))
    lines = command("stream", video, "--bundle", bundle).out.splitlines()
    assert len(lines) == 3 and json.loads(lines[-1])["label"] in ("blue", "green", "red")
    run = [sys.executable, "-c", WITHOUT_PADDLE, "predict", video, "--bundle", bundle]
    run += ["--top_k", "3", "--engine", "onnxruntime"]
    alone = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (alone.returncode, alone.stdout.count("top-3 label: ")) == (0, 1), alone.stderr


def test_on_eight_bits(command, tiny, bundle, tmp_path):
    """Every layer is quantised, and what comes of it classifies, streams and is compared."""
    run = ["quantize", "--model_dir", bundle, "--output_dir", "int8", "--num_videos", 6]
    said = command(*run, "--calibration", tiny.root / "train").out
    assert "6 int8, 2 int8 weights, 0 float16 weights" in said
    manifest = read_bundle(tmp_path / "int8").manifest
    assert manifest.step.precision == "int8" and manifest.quantization["error"] < 0.05
    video = tiny.root / "val" / "red" / "2.mp4"
    for name in ("predict", "stream"):
        assert command(name, video, "--bundle", "int8").out
    compare = ["compare", "--model_dir", bundle, "int8", "-i", tiny.root / "val", "--repeats", 2]
    assert "7 videos, 0 unreadable" in command(*compare).out


def test_its_bundle_gives_no_weights(command, tiny, bundle):
    """What is folded into a program is undone for a family that has an importer alone."""
    said = command("train", *options(tiny), "-w", bundle, code=1).err
    assert "not a bundle of a MoViNet (of another network take the weights file" in said


def test_a_module_that_is_not_there(command, tiny):
    said = command("train", *options(tiny, "imports=[second_family.nothing]"), code=1).err
    assert "imports[0]: second_family.nothing cannot be imported: No module named" in said
