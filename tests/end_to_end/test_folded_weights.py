"""Training that starts from a folded network: a `.tflite` file or a bundle given as weights."""

import json

import numpy as np
import pytest
from convert.tflite.movinet_file import tflite_bytes
from modeling.conftest import randomise
from runtime.conftest import PIPELINE

from end_to_end.conftest import NAME, launch, write_config
from paddlevideo.cli.main import main as command_line
from paddlevideo.export import export_model
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.weights import read_weights

SAID = "batch norm: the weights are of a folded network; the mean and variance of"


@pytest.fixture
def config(tiny, tmp_path):
    content = tiny.config()
    content["MODEL"] = {"preset": "movinet_t0_stream", "head": {"num_classes": 3}}
    return write_config(tmp_path / "tiny.yaml", content)


@pytest.fixture
def weights(tmp_path):
    model = build_recognizer(model_section("movinet_t0_stream", num_classes=5))
    path = tmp_path / "released.tflite"
    path.write_bytes(tflite_bytes(randomise(model)))
    return path


def variances(path):
    arrays = read_weights(path)
    return {name: array for name, array in arrays.items() if name.endswith("_variance")}


def test_statistics_are_put_back_once(main_here, config, weights, tmp_path):
    length = "OPTIMIZER.learning_rate.max_epoch=2"  # else the schedule follows the epochs
    done = main_here("-c", config, "-w", weights, "-o", "epochs=1", "-o", length)
    assert done.code == 0, done.stderr
    assert done.stderr.count(SAID) == 1 and "of 5 classes, the model has 3" in done.stderr
    folder = tmp_path / "output" / NAME
    assert SAID in (folder / "run.log").read_text()
    first = variances(folder / f"{NAME}_epoch_00001.pdparams")
    # 0.98 of 1 would be left of a variance of 1 after two steps with a momentum of 0.99.
    assert np.abs(np.concatenate(list(first.values())) - 1.0).mean() > 0.1
    done = main_here("-c", config, "-w", weights, "-o", "resume_epoch=1")
    assert done.code == 0 and SAID not in done.stderr
    best = folder / f"{NAME}_epoch_00002.pdparams"
    done = main_here("-c", config, "-w", best, "-o", "output_dir=again", "--max_iters", 1)
    assert done.code == 0 and SAID not in done.stderr


def test_two_processes(config, weights, tmp_path):
    done = launch(
        *("main.py", "--max_iters", 1, "-c", config, "-w", weights, "-o", "output_dir=two"),
        cwd=tmp_path,
        log_dir=tmp_path / "log",
    )
    assert done.code == 0, done.stderr
    assert done.stderr.count(SAID) == 1
    assert "are put back from 6 training clips" in done.stderr


def test_options_and_classes(main_here, config, weights):
    done = main_here("-c", config, "-w", weights, "-o", "MODEL.backbone.se_type=none")
    assert "MODEL.backbone.se_type: 2plus3d (the model has none)" in done.error()
    done = main_here("--test", "-c", config, "-w", weights)
    assert "MODEL.head.num_classes: 5 (the model has 3)" in done.error()


@pytest.fixture
def bundle(tmp_path):
    model = randomise(build_recognizer(model_section("movinet_t0_stream", num_classes=3)))
    return export_model(model, PIPELINE, tmp_path / "bundle", "m", ["blue", "green", "red"])


def test_from_a_bundle(main_here, tiny, config, bundle, tmp_path):
    """One step; and the bundle's names of classes number the folders of a test."""
    done = main_here("-c", config, "-o", f"weights={bundle.folder}", "-o", "epochs=1")
    assert done.code == 0 and done.stderr.count(SAID) == 1, done.stderr
    found = variances(tmp_path / "output" / NAME / f"{NAME}_epoch_00001.pdparams")
    assert all(not np.allclose(array, 1.0) for array in found.values())
    content = tiny.config("FolderDataset")
    content["MODEL"] = {"preset": "movinet_t0_stream", "head": {"num_classes": 3}}
    content["DATASET"]["train"]["root"] = "nowhere"
    path = write_config(tmp_path / "test.yaml", content)
    done = main_here("--test", "-c", path, "-w", bundle.folder)
    assert done.code == 0 and "nothing tells whether" not in done.stderr, done.stderr


def test_a_bundle_is_converted(bundle, tmp_path, capsys):
    output = tmp_path / "out" / "w.pdparams"
    arguments = ["convert", "--source", "bundle", "--input", bundle.folder, "--output", output]
    command_line([str(argument) for argument in arguments])
    said = capsys.readouterr().out
    assert "movinet_t0_stream" in said and "left over   nothing" in said
    assert read_weights(output)["head.classifier.bias"].shape == (3,)
    names = json.loads((output.parent / "class_names.json").read_text())
    assert names == {"class_names": ["blue", "green", "red"]}
