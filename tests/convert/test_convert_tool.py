"""tools/convert_weights.py: what it converts, proves and refuses; it writes all or nothing."""

import json
import logging
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
from end_to_end.conftest import write_clip
from modeling.conftest import randomise, read_npz

from convert.tensorflow.movinet_checkpoint import write_checkpoint
from convert.tflite.movinet_file import tflite_bytes
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.weights import load_arrays, model_arrays, read_weights

TOOL = Path(__file__).resolve().parents[2] / "tools" / "convert_weights.py"


@pytest.fixture
def convert(tmp_path, monkeypatch, capsys):
    """Run the command; returns (exit code, stdout, stderr). The output is ``tmp_path/out/...``."""

    def run(source, file, model, *more, output="w.pdparams"):
        arguments = ["--source", source, "--input", str(file),
                     *(["--model", model] if model is not None else []),
                     "--output", str(tmp_path / "out" / output), *map(str, more)]  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["convert_weights.py", *arguments])
        monkeypatch.syspath_prepend(str(TOOL.parent))
        code = 0
        try:
            runpy.run_path(str(TOOL), run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return code, said.out, said.err

    logger = logging.getLogger("paddlevideo")
    before = list(logger.handlers), logger.propagate, logger.level
    yield run
    logger.handlers[:], logger.propagate, logger.level = before


def written(tmp_path) -> list[str]:
    return [path.name for path in tmp_path.glob("out/*")]


@pytest.fixture(scope="module")
def t0(tmp_path_factory):
    """A T0 of 3 classes as a trainer's checkpoint; its arrays."""
    model = randomise(build_recognizer(model_section("movinet_t0_stream", num_classes=3)))
    arrays = model_arrays(model)
    prefix = tmp_path_factory.mktemp("t0") / "ckpt"
    write_checkpoint(prefix, arrays, list(model.backbone.blocks.keys()), num_shards=2)
    return prefix, arrays


@pytest.mark.parametrize("output", ["w.pdparams", "w.safetensors"])
def test_report_and_file(convert, tmp_path, t0, output):
    prefix, arrays = t0
    code, out, err = convert(
        "tf", prefix, "movinet_t0_stream", "--num_classes", 3, "--option", "conv_type=3d_2plus1d",
        output=output,
    )  # fmt: skip
    assert (code, err) == (0, "")
    numbers = sum(array.size for array in arrays.values())
    assert f"matched     {len(arrays)} tensors, {numbers} numbers: all of the model's\n" in out
    assert f"left over   {len(arrays)} (slot of the optimizer): " in out
    assert "left over   2 (counter of the training): global_step/" in out
    read = read_weights(tmp_path / "out" / output)
    assert all(np.array_equal(read[name], array) for name, array in arrays.items())


@pytest.mark.parametrize(
    ("model", "classes", "expected"),
    [
        ("movinet_t0_stream", 4, "classes: expected 4, found 3"),
        ("movinet_t0_base", 3, "convolutions: expected 3d, found (2+1)D"),
        ("movinet_a0_stream", 3, "variant: expected A0, found T0"),
    ],
)
def test_another_model(convert, tmp_path, t0, model, classes, expected):
    code, _, err = convert("tf", t0[0], model, "--num_classes", classes)
    assert code == 1 and expected in err
    assert err.startswith(f"error: {t0[0]} does not fit {model}; nothing was loaded.\n")
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("index", "ckpt.index: damaged: the checksum of the block"),
        ("data", "damaged: the checksum of"),
        ("cut", "cut: it has"),
        ("shard", "is missing; the checkpoint has 2 shards"),
    ],
)
def test_damaged_checkpoints(convert, tmp_path, t0, damage, expected):
    for file in t0[0].parent.iterdir():
        shutil.copy(file, tmp_path)
    path = tmp_path / ("ckpt.index" if damage == "index" else "ckpt.data-00001-of-00002")
    content = bytearray(path.read_bytes())
    content[200] ^= 4
    if damage == "shard":
        path.unlink()
    else:
        path.write_bytes(content[:-9] if damage == "cut" else content)
    code, _, err = convert("tf", tmp_path, "movinet_t0_stream", "--num_classes", 3)
    assert code == 1 and expected in err and err.count("error: ") == 1
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("tf", "m.tflite", "no file of the source tf; use --source tflite"),
        ("tflite", "m.tflite", "damaged or not a TensorFlow Lite model"),
        ("tf", "m.h5", "is a Keras file"),
        ("tf", "m.bin", "not a TensorFlow checkpoint"),
        ("tf", "m.pt", "no file of the source tf; use --source pytorch"),
        ("pytorch", "m.pdparams", "use --source paddlevideo"),
        ("pytorch", "m.bin", "damaged or not a torch.save file"),
        ("paddlevideo", "m.bin", "unknown format .bin"),
        ("paddlevideo", "m.pdparams", "damaged or not a .pdparams file"),
    ],
)
def test_other_files(convert, tmp_path, source, name, expected):
    (tmp_path / name).write_bytes(b"TFL3 or anything")
    code, _, err = convert(source, tmp_path / name, "movinet_t0_base")
    assert code == 1 and expected in err and written(tmp_path) == []


def test_wrong_options(convert, tmp_path, t0):
    for more, expected in (
        (["--option", "se_typ=2d"], 'unknown argument "se_typ"; did you mean "se_type"'),
        (["--option", "backbone.se_type=2d"], "expected KEY=VALUE without dots"),
        (["--option", "se_type"], 'expected "KEY.KEY=VALUE"'),
        (["--verify", tmp_path / "no.npz"], "no.npz cannot be read: No such file"),
    ):
        code, _, err = convert("tf", t0[0], "movinet_t0_stream", "--num_classes", 3, *more)
        assert code == 1 and expected in err and written(tmp_path) == []
    code, _, err = convert("tf", t0[0], "movinet_t9_stream")
    assert code == 1 and "movinet_t9_stream" in err
    code, _, err = convert("tf", t0[0], "movinet_t0_stream", output="w.onnx")
    assert code == 1 and "expected .pdparams or .safetensors" in err


# Goldens of the other implementations.

TF = ("logits", "probabilities", "endpoints (17)")
STREAM = (
    *TF, "streamed logits, frame by frame", "states between frames",
    "streamed logits, chunks of 1, 3, 2", "states after the clip (43)",
)  # fmt: skip


@pytest.mark.parametrize(
    ("source", "file", "golden", "model", "expected"),
    [
        ("tf", "tf/a0_base_ckpt", "tf/a0_base.npz", "a0_base", TF),
        ("tf", "tf/a0_stream_ckpt.index", "tf/a0_stream.npz", "a0_stream", STREAM),
        ("tf", "tf/a0_stream.npz", "tf/a0_stream.npz", "a0_base", STREAM),
        ("pytorch", "pytorch/a0_stream.pt", "pytorch/a0_stream_io.npz", "a0_stream",
         ("logits", "streamed logits, frame by frame")),
        ("paddlevideo", "paddlevideo/movinet_a0_base_random.pdparams",
         "paddlevideo/golden_base_8f.npz", "a0_base", ("logits", "features (5)")),
        ("paddlevideo", "paddlevideo/movinet_a0_base_random.pdparams",
         "paddlevideo/golden_base_50f.npz", "a0_base", ("logits",)),
        ("paddlevideo", "paddlevideo/movinet_a0_base_random.pdparams",
         "paddlevideo/golden_example_avi_pipeline.npz", "a0_base", ("logits",)),
    ],
)  # fmt: skip
def test_goldens(convert, tmp_path, shared_dir, source, file, golden, model, expected):
    folder = shared_dir / "golden"
    classes = [] if source == "tf" else ["--num_classes", 10 if source == "pytorch" else 400]
    code, out, err = convert(
        source, folder / file, f"movinet_{model}", *classes, "--verify", folder / golden
    )
    assert code == 0 and "error" not in err and written(tmp_path) == ["w.pdparams"]
    lines = [line.removeprefix("verified    ") for line in out.splitlines() if "verified" in line]
    found = {what: float(value) for what, value in (line.rsplit(": ", 1) for line in lines)}
    assert tuple(found) == expected
    assert max(found.values()) <= 1e-5
    needed = {
        "tf": "num_classes=10",
        "pytorch": "gating_activation=keras_hard_sigmoid",
        "paddlevideo": "padding=paddlevideo",
    }[source]
    assert f"option      {needed} (from " in out


@pytest.mark.parametrize("key", ["logits", "endpoint/block2_layer1", "stream_logits",
                                 "state_step5/state_block2_layer0_stream_buffer"])  # fmt: skip
def test_a_golden_that_differs(convert, tmp_path, shared_dir, key):
    """Any one number that is off by more than 1e-5 of the largest."""
    folder = shared_dir / "golden" / "tf"
    golden = {k: v for k, v in read_npz(folder / "a0_stream.npz").items() if "weight/" not in k}
    golden[key] = golden[key].copy()
    golden[key].flat[3] += 3e-5 * np.abs(golden[key]).max()
    np.savez(tmp_path / "golden.npz", **golden)
    code, _, err = convert(
        "tf", folder / "a0_stream_ckpt", "movinet_a0_stream", "--verify", tmp_path / "golden.npz"
    )
    assert code == 1 and "above 1e-05; nothing was written" in err
    assert written(tmp_path) == []


def test_what_the_user_says_comes_first(convert, tmp_path, shared_dir):
    folder = shared_dir / "golden" / "pytorch"
    code, out, err = convert(
        "pytorch", folder / "a0_stream.pt", "movinet_a0_stream", "--num_classes", 10,
        "--option", "gating_activation=hard_sigmoid", "--verify", folder / "a0_stream_io.npz",
    )  # fmt: skip
    assert code == 1 and "option      " not in out and "the largest difference" in err
    assert written(tmp_path) == []


def test_goldens_that_are_none(convert, tmp_path, t0):
    path = tmp_path / "golden.npz"
    clip = np.zeros((1, 2, 32, 32, 3), "float32")
    logits = np.ones((1, 3), "float32")
    for arrays, expected in (
        ({"a": logits}, "is no golden: it holds no input, but a"),
        ({"input": clip}, "is no golden: it holds no logits"),
        ({"input": clip[0], "logits": logits}, "not 5 axes"),
        ({"input": clip[..., :2], "logits": logits}, "has 2 channels, expected 3"),
        ({"input": clip, "logits": logits[:, :2]}, "logits is [1, 2], the model's [1, 3]"),
        ({"input": clip, "logits": logits, "config": json.dumps({"model_id": "a1"})},
         "is a golden of a1, the model is t0"),
        ({"input": clip, "logits": logits, "chunk_logits": logits[None], "chunk_sizes": [3]},
         "chunk_sizes [3] do not split 2 frames"),
        ({"input": clip, "logits": logits, "stream_logits": logits[None]},
         "stream_logits has 1 steps for 2 frames"),
        ({"input": clip, "logits": logits, "config": "{"}, "config is not JSON"),
    ):  # fmt: skip
        np.savez(path, **arrays)
        code, _, err = convert(
            "tf", t0[0], "movinet_t0_stream", "--num_classes", 3, "--verify", path
        )
        assert code == 1 and expected in err, expected
    assert written(tmp_path) == []


@pytest.fixture(scope="module")
def tflite(tmp_path_factory):
    """A T0 of 4 classes without gates as a TensorFlow Lite file, and the model."""
    options = {"se_type": "none", "activation": "relu6", "classifier_activation": "relu6"}
    section = model_section("movinet_t0_stream", num_classes=4, **options)
    model = randomise(build_recognizer({**section, "scaling": {"scale": 1.0}})).eval()
    path = tmp_path_factory.mktemp("tflite") / "t0.tflite"
    path.write_bytes(tflite_bytes(model))
    return path, model


def test_a_tflite_file_shows_model_and_options(convert, tmp_path, tflite):
    path, model = tflite
    frames = np.random.default_rng(0).random((1, 4, 40, 40, 3), "float32")
    with paddle.no_grad():
        logits = model(paddle.to_tensor(frames.transpose(0, 1, 4, 2, 3))).numpy()
    np.savez(tmp_path / "golden.npz", input=frames, logits=logits)
    golden = ("--verify", tmp_path / "golden.npz")
    code, out, err = convert("tflite", path, None, *golden, "--option", "se_type=none")
    assert (code, err) == (0, "")
    assert f"option      num_classes=4 (from {path})" in out
    assert f"read        {path}: movinet_t0_stream" in out and "verified    logits: " in out
    assert "left over   nothing" in out and written(tmp_path) == ["w.pdparams"]


def test_calibration(convert, tmp_path, tflite):
    path, model = tflite
    for number in range(2):
        clip = np.random.default_rng(number).integers(0, 256, (30, 5, 5, 3), "uint8")
        write_clip(tmp_path / "videos" / f"{number}.mp4", clip.repeat(8, 1).repeat(8, 2))
    code, out, err = convert("tflite", path, None, "--calibration", tmp_path / "videos")
    assert code == 0, err
    assert re.search(r"calibrated  \d+ batch norms on 2 videos; the function stays the same", out)
    arrays = read_weights(tmp_path / "out" / "w.pdparams")
    assert arrays["backbone.stem.bn._mean"].any()
    clip = paddle.to_tensor(np.random.default_rng(5).random((1, 2, 3, 40, 40), "float32"))
    with paddle.no_grad():
        before = model(clip).numpy()
        load_arrays(model, arrays, "w.pdparams")
        assert np.abs(model(clip).numpy() - before).max() < 1e-5 * np.abs(before).max()


@pytest.mark.parametrize(
    ("model", "more", "expected"),
    [
        ("movinet_a0_stream", (), "is of movinet_t0_stream; leave it out"),
        (None, ("--option", "se_type=2d"), "has se_type=none; leave it out"),
        (None, ("--num_classes", 3), "has num_classes=4; leave it out"),
        (None, ("--calibration", "nowhere"), "nowhere: no such file or folder"),
    ],
)
def test_what_contradicts_a_tflite_file(convert, tmp_path, tflite, model, more, expected):
    code, _, err = convert("tflite", tflite[0], model, *more)
    assert code == 1 and expected in err and written(tmp_path) == []


def test_calibration_and_model_where_they_do_not_belong(convert, tmp_path, t0):
    code, _, err = convert("tf", t0[0], None)
    assert code == 1 and "--model is missing: a file of tf does not show it" in err
    options = ("--num_classes", 3, "--calibration", tmp_path)
    code, _, err = convert("tf", t0[0], "movinet_t0_stream", *options)
    assert code == 1 and "--calibration is for a folded network" in err
    assert written(tmp_path) == []
