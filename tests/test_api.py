"""The public API, as the package's own docstring shows it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

import paddlevideo
from paddlevideo.export import export_clip_model
from paddlevideo.utils.errors import ConfigError, WeightsError
from paddlevideo.weights import model_arrays, write_weights

ROOT = Path(__file__).resolve().parents[1]


def test_importing_does_nothing(tmp_path):
    """No prints, no files, no heavy part of the package before it is asked for."""
    code = (
        "import logging, signal, sys, paddlevideo\n"
        "assert 'paddlevideo.api' not in sys.modules\n"
        "assert not logging.getLogger('paddlevideo').handlers\n"
        "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
        "paddlevideo.list_models\n"
        "assert 'paddlevideo.api' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and ".cache" not in str(path)
    ]


def test_what_is_public():
    assert set(paddlevideo.__all__) == {"create_model", "list_models", "load_predictor"}
    for name in paddlevideo.__all__:
        assert callable(getattr(paddlevideo, name))
    with pytest.raises(AttributeError, match="module 'paddlevideo' has no attribute 'creat_model'"):
        _ = paddlevideo.creat_model
    assert not hasattr(paddlevideo, "api_") and "movinet_a0_base" in paddlevideo.list_models()


@pytest.fixture(scope="module")
def model():
    return paddlevideo.create_model("movinet_t0_base", num_classes=3)


def test_create_model(model):
    clip = paddle.zeros([2, 4, 3, 32, 32], "uint8")
    assert model(clip).shape == [2, 3] and model.num_classes == 3
    assert paddlevideo.create_model("movinet_t0_base").num_classes == 400


def test_create_model_with_options():
    model = paddlevideo.create_model(
        "movinet_t0_base", num_classes=3, causal=True, se_type="2plus3d", dropout=0.4
    )
    assert model.backbone.causal and model.head.dropout.p == 0.4


def test_create_model_with_weights(model, tmp_path):
    path = tmp_path / "w.safetensors"
    write_weights(path, model_arrays(model))
    loaded = model_arrays(paddlevideo.create_model("movinet_t0_base", 3, weights=path))
    assert all(np.array_equal(loaded[name], a) for name, a in model_arrays(model).items())
    with pytest.raises(WeightsError, match=r"w.safetensors does not fit the model"):
        paddlevideo.create_model("movinet_a0_base", 3, weights=path)
    with pytest.raises(WeightsError, match=r"none.pdparams cannot be read"):
        paddlevideo.create_model("movinet_t0_base", 3, weights=tmp_path / "none.pdparams")


def test_create_model_with_weights_of_another_number_of_classes(model, tmp_path, caplog):
    path = tmp_path / "w.safetensors"
    write_weights(path, model_arrays(model))
    with caplog.at_level("WARNING", "paddlevideo"):
        loaded = model_arrays(paddlevideo.create_model("movinet_t0_base", 5, weights=path))
    differing = {n for n, a in model_arrays(model).items() if not np.array_equal(loaded[n], a)}
    assert differing == {"head.classifier.weight", "head.classifier.bias"}
    assert "w.safetensors is of 3 classes, the model has 5: head.classifier.weight" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("movinet_a0_bas",), 'unknown model "movinet_a0_bas"; did you mean "movinet_a0_base"'),
        (("movinet_a0_base", 1), "num_classes: .*greater than or equal to 2, got 1"),
    ],
)
def test_wrong_models(arguments, message):
    with pytest.raises(ConfigError, match=message):
        paddlevideo.create_model(*arguments)


def test_wrong_option():
    message = r'movinet_a0_base.backbone: unknown argument "causual"; did you mean "causal"'
    with pytest.raises(ConfigError, match=message):
        paddlevideo.create_model("movinet_a0_base", causual=True)


def test_load_predictor(model, tmp_path):
    pipeline = {
        "decode": {"name": "VideoDecoder"},
        "sample": {"name": "UniformSampler", "num_frames": 2},
        "transform": [{"CenterCrop": {"target_size": 32}}, "Image2Array"],
    }
    export_clip_model(model, pipeline, tmp_path / "bundle", "m", ["a", "b", "c"])
    from video.conftest import write_video

    video = write_video(tmp_path / "video.mp4", 8)
    predictor = paddlevideo.load_predictor(tmp_path / "bundle", device="cpu")
    assert predictor(video, top_k=5).label in ("a", "b", "c")
