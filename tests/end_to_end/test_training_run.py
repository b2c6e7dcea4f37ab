"""Train, test, export, predict with the commands of the README, on a tiny data set."""

import json
import re

import numpy as np
import paddle
import pytest
import yaml

from end_to_end.conftest import CLASSES, NAME, NUM_VIDEOS, metrics, run, write_config
from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.video import Pipeline
from paddlevideo.weights import read_weights

RUN = f"output/{NAME}"
SCORES = re.compile(r"^\ttop-\d score: ([\d.e-]+)$", re.MULTILINE)


def test_a_run_leaves_its_files_and_log_lines(trained):
    done, cwd = trained
    assert (done.code, done.stdout) == (0, ""), done.stderr
    state = f"{NAME}_step_000000004.state"
    assert sorted(path.name for path in (cwd / RUN).iterdir()) == sorted(
        [
            *(f"{NAME}_best.pdparams", f"{NAME}_epoch_00001.pdparams"),
            *(f"{NAME}_epoch_00002.pdparams", f"{NAME}_step_000000002.state", state),
            *(f"{NAME}_best.json", "run.json", "run.lock"),
            *("class_names.json", "config.yaml", "environment.json", "metrics.jsonl", "run.log"),
        ]
    )
    assert sorted(path.name for path in (cwd / RUN / state).iterdir()) == [
        *("manifest.json", "model.safetensors", "optimizer.safetensors", "state.json")
    ]
    log = (cwd / RUN / "run.log").read_text()
    best = max(line["top1"] for line in metrics(cwd / RUN, "valid"))
    for text in (log, done.stderr):
        assert f"Already save the best model (top1 acc){best:.4f}\n" in text
    assert re.search(r"epoch:\[  2/2  \] train step:0 +loss: \d+\.\d+ lr: 0\.00\d+ top1: ", log)
    assert [line["samples"] for line in metrics(cwd / RUN, "valid")] == [NUM_VIDEOS] * 2
    assert json.loads((cwd / RUN / "environment.json").read_text())["device"] == "cpu"
    assert yaml.safe_load((cwd / RUN / "config.yaml").read_text())["seed"] == 3


def test_testing_gives_the_result_of_the_validation(trained, best_weights, main_here, tmp_path):
    """Also with the config that the run saved."""
    _, cwd = trained
    best = max(metrics(cwd / RUN, "valid"), key=lambda line: line["top1"])
    for place, config in enumerate(("tiny.yaml", f"{RUN}/config.yaml")):
        done = main_here(
            "--test", "-c", cwd / config, "-w", best_weights, "-o", f"output_dir=of_{place}"
        )
        assert done.code == 0, done.stderr
        (result,) = metrics(tmp_path / f"of_{place}", "test")
        assert (result["top1"], result["samples"]) == (best["top1"], NUM_VIDEOS)
        assert result["loss"] == pytest.approx(best["loss"], rel=1e-6)
        assert f"[TEST] finished, avg_acc1= {result['top1']:.5f}, avg_acc5= 1.00000" in done.stderr


def test_testing_leaves_the_record_of_the_training_alone(main_here, tiny, tmp_path):
    """The config and the environment in the run's folder are those of the training."""
    write_config(tmp_path / "tiny.yaml", tiny.config(epochs=1))
    assert main_here("-c", "tiny.yaml", "--max_iters", 1).code == 0
    record = (tmp_path / RUN / "config.yaml").read_bytes()
    weights = f"{RUN}/{NAME}_epoch_00001.pdparams"
    done = main_here("--test", "-c", "tiny.yaml", "-w", weights, "-o", "DATASET.num_workers=1")
    assert done.code == 0, done.stderr
    assert (tmp_path / RUN / "config.yaml").read_bytes() == record
    tested = yaml.safe_load((tmp_path / RUN / "test_config.yaml").read_text())
    assert tested["DATASET"]["num_workers"] == 1


def test_the_saved_config_repeats_the_run(trained, main_here, tmp_path):
    _, cwd = trained
    done = main_here("--validate", "-c", cwd / RUN / "config.yaml")
    assert done.code == 0, done.stderr
    saved = "config.yaml"
    assert (tmp_path / RUN / saved).read_bytes() == (cwd / RUN / saved).read_bytes()
    assert [line["top1"] for line in metrics(tmp_path / RUN, "valid")] == [
        line["top1"] for line in metrics(cwd / RUN, "valid")
    ]
    for file in (f"{NAME}_best.pdparams", f"{NAME}_epoch_00002.pdparams"):
        again, first = (read_weights(folder / RUN / file) for folder in (tmp_path, cwd))
        for name, array in first.items():
            np.testing.assert_array_equal(again[name], array, err_msg=name)


@pytest.mark.parametrize("form", ["VideoDataset", "FrameDataset"])
def test_lists_of_videos_and_of_frame_folders(form, tiny, tmp_path):
    write_config(tmp_path / "tiny.yaml", tiny.config(form, epochs=1))
    overrides = ("-o", "DATASET.num_workers=1", "-o", "output_dir=here")
    done = run("main.py", "--validate", "-c", "tiny.yaml", *overrides, cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert "Already save the best model (top1 acc)" in done.stderr
    assert (tmp_path / "here" / f"{NAME}_best.pdparams").is_file()
    assert not (tmp_path / "here" / "bad_samples.jsonl").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "tiny.yaml"]


def test_export_and_predict(trained, best_weights, tiny, tmp_path):
    """The program on disk says what the network in memory says; a folder gave the labels."""
    _, cwd = trained
    config = cwd / "tiny.yaml"
    done = run(
        "tools/export_model.py", "-c", config, "-p", best_weights, "-o", "bundle", cwd=tmp_path
    )
    assert done.code == 0, done.stderr
    files = f"bundle/{NAME}.json, bundle/{NAME}.pdiparams, bundle/reference.npz"
    assert done.stdout == f"wrote {files} and bundle/inference.yml\n"
    video = tiny.root / "val" / "green" / "1.mp4"
    done = run(
        *("tools/predict.py", "--input_file", video, "--config", config, "--top_k", 3),
        *("--model_file", f"bundle/{NAME}.pdmodel", "--params_file", f"bundle/{NAME}.pdiparams"),
        *("--use_gpu=False", "--use_tensorrt=False"),
        cwd=tmp_path,
    )
    assert done.code == 0, done.stderr
    expected = scores_of(config, best_weights, video)
    order = np.argsort(-expected)
    lines = done.stdout.splitlines()
    assert lines[0] == f"Current video file: {video}"
    assert lines[1::3] == [f"\ttop-{k} class: {i}" for k, i in enumerate(order, 1)]
    assert lines[3::3] == [f"\ttop-{k} label: {CLASSES[i]}" for k, i in enumerate(order, 1)]
    scores = [float(text) for text in SCORES.findall(done.stdout)]
    np.testing.assert_allclose(scores, expected[order], atol=1e-5)


def scores_of(config, weights, video) -> np.ndarray:
    """Class probabilities from the network in memory."""
    recipe = open_recipe(config)
    model = open_model(recipe, weights).eval()
    clip = Pipeline(recipe.inference_description()).load(str(video))
    with paddle.no_grad():
        return model.predict({"clip": paddle.to_tensor(clip[None])})[0].numpy()


def test_patience_without_a_validation_is_refused(main_here, tiny, tmp_path):
    path = write_config(tmp_path / "c.yaml", tiny.config(patience=2))
    assert "patience counts validations" in main_here("-c", path).error()


def test_patience_ends_a_training_that_gets_no_better(main_here, tiny, tmp_path):
    """Without a step of learning the first validation stays the best."""
    config = tiny.config(epochs=9, patience=2, save_interval=9)
    config["OPTIMIZER"] = {"name": "SGD", "learning_rate": 0.0}
    config["MODEL"]["backbone"]["bn_momentum"] = 1.0
    done = main_here("--validate", "-c", write_config(tmp_path / "c.yaml", config))
    assert done.code == 0, done.stderr
    assert [line["epoch"] for line in metrics(tmp_path / RUN, "valid")] == [1, 2, 3]
    assert (
        "no better result in 2 validations (patience): training ends after epoch 3" in done.stderr
    )
    assert (tmp_path / RUN / f"{NAME}_epoch_00003.pdparams").is_file()  # it is saved
    (state,) = (tmp_path / RUN).glob(f"{NAME}_step_*6.state")
    assert 'validation_pending": false' in (state / "state.json").read_text()
