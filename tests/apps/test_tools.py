"""tools/export_model.py and tools/predict.py, as a user runs them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from runtime.conftest import LABELS, PIPELINE

from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.runtime import load_predictor, read_bundle
from paddlevideo.weights import model_arrays, write_weights

ROOT = Path(__file__).resolve().parents[2]


def run(tool, *arguments, cwd):
    command = [sys.executable, str(ROOT / "tools" / tool), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def expected_lines(result) -> str:
    lines = [f"Current video file: {result.path}"]
    for rank, item in enumerate(result.top, start=1):
        lines.append(f"\ttop-{rank} class: {item.index}")
        lines.append(f"\ttop-{rank} score: {item.score}")
        if item.label is not None:
            lines.append(f"\ttop-{rank} label: {item.label}")
    return "\n".join(lines) + "\n"


def without_scores(text: str) -> str:
    return re.sub(r"(score: )\d\.[\d.e-]+", r"\1X", text)


def test_predict_one_video(exported, video, tmp_path):
    """Nothing but the lines that PaddleVideo's users read goes to stdout, no library's noise."""
    done = run(
        "predict.py", "--model_dir", exported.folder, "-i", video, "--top_k", 2,
        "--use_gpu=False", "--cpu_threads", 1, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = load_predictor(exported.folder, device="cpu", cpu_threads=1)(video, top_k=2)
    assert without_scores(done.stdout) == without_scores(expected_lines(result))
    score = re.search(r"^\ttop-1 score: (0\.\d+)$", done.stdout, re.MULTILINE)
    assert float(score[1]) == pytest.approx(result.score, rel=1e-4)
    assert "Traceback" not in done.stderr


def test_predict_the_pair_of_names_and_a_list_with_failures(exported, video, tmp_path, shared_dir):
    """PaddleVideo's command, a missing file and one without pictures: the rest is classified."""
    sound = shared_dir / "videos" / "clips" / "odd_audio_only.mp3"
    (tmp_path / "all.txt").write_text(f"{video}\nmissing.mp4\n{sound}\n{video}\n")
    done = run(
        "predict.py", "-i", "all.txt", "--model_file", exported.folder / "MoViNetA0.pdmodel",
        "--params_file", exported.params, "--use_gpu=False", "-b", 3, "--cpu_threads", 1,
        "--output", "out/results.jsonl", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.count("Current video file: ") == 2 and "missing" not in done.stdout
    errors = done.stderr[done.stderr.index("error: ") :]
    assert errors.startswith("error: 2 of 4 files could not be read:\n")
    assert "missing.mp4" in errors and "odd_audio_only.mp3" in errors
    assert "Traceback" not in done.stderr
    lines = (tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    kinds = ["error" in json.loads(line) for line in lines]
    assert kinds == [False, True, True, False]
    best = json.loads(lines[0])["predictions"][0]
    assert best["label"] in LABELS and best["label"] in done.stdout


def test_predict_a_missing_file(exported, tmp_path):
    done = run("predict.py", "--model_dir", exported.folder, "-i", "none.mp4", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    errors = [line for line in done.stderr.splitlines() if "ccache" not in line]
    assert errors[-1] == "error: none.mp4: no such file or folder"


def write_config(folder, preset):
    """``small.yaml`` and ``w.pdparams`` in ``folder``."""
    config = {
        "MODEL": {"preset": preset, "head": {"num_classes": 3}},
        "INFERENCE": PIPELINE,
        "DATASET": {"class_names": ["a", "b b", "c"]},
        "model_name": "Small",
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(config))
    model = build_recognizer(model_section(preset, num_classes=3))
    write_weights(folder / "w.pdparams", model_arrays(model))


def test_export_then_predict(tmp_path, video):
    write_config(tmp_path, "movinet_t0_base")
    done = run(
        "export_model.py", "-c", "small.yaml", "-p", "w.pdparams", "-o", "out/bundle", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "wrote out/bundle/Small.json, out/bundle/Small.pdiparams, out/bundle/reference.npz and "
        "out/bundle/inference.yml\n"
    )
    assert read_bundle(tmp_path / "out" / "bundle").manifest.labels == ["a", "b b", "c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "small.yaml", "w.pdparams"]
    predictor = load_predictor(tmp_path / "out" / "bundle", device="cpu", cpu_threads=1)
    assert predictor(video).label in ("a", "b b", "c")


def test_export_of_a_causal_model(tmp_path):
    """A stream bundle without being asked, of as many frames as are named, and proven."""
    write_config(tmp_path, "movinet_t0_stream")
    done = run(
        "export_model.py", "-c", "small.yaml", "-p", "w.pdparams", "-o", "b", "--frames", 3,
        "--batch", 2, "--verify", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = [f"b/Small{end}" for end in (".json", ".pdiparams", "_step.json", "_step.pdiparams")]
    files.append("b/reference.npz")
    assert done.stdout == f"wrote {', '.join(files)} and b/inference.yml\n"
    assert done.stderr.count("largest difference") == 4
    manifest = read_bundle(tmp_path / "b").manifest
    assert manifest.step is not None and manifest.pipeline["sample"]["num_frames"] == 3
    assert manifest.inputs[0].shape == (2, 3, 3, 32, 32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--precision", "int8"), "error: --precision int8 needs videos"),
        (("--mode", "stream"), "error: only a causal network runs frame by frame"),
        (("--batch", "0"), "expected dynamic or a number above 0, got 0"),
        (("--frames", "x"), "expected a number above 0, got x"),
        (("--format", "onxx"), '--format: unknown format "onxx"; did you mean "onnx"'),
    ],
)
def test_exports_that_cannot_be(tmp_path, arguments, message):
    write_config(tmp_path, "movinet_t0_base")
    done = run(
        "export_model.py", "-c", "small.yaml", "-p", "w.pdparams", "-o", "b", *arguments,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode != 0 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "b").exists()
