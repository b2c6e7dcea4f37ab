"""Training in float32, then for 8 bits, and the int8 bundle of it: as a user does it."""

import numpy as np
import paddle
import pytest
from runtime.test_stream_bundle import HAS_ONNX

from end_to_end.conftest import CLASSES, NAME, run, write_config
from end_to_end.test_resume import check_identical
from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.modeling.layers.rounding import Phase, has_ranges, quantization_of
from paddlevideo.runtime import load_predictor, read_bundle
from paddlevideo.utils.errors import WeightsError
from paddlevideo.video import Pipeline
from paddlevideo.weights import read_weights

LAST = f"{NAME}_epoch_00003.pdparams"
MODEL = {
    "preset": "movinet_t0_stream",
    "backbone": {"se_type": "none", "activation": "relu6", "bn_momentum": 0.9},
    "head": {"num_classes": len(CLASSES), "activation": "relu6", "dropout": 0.0},
}


@pytest.fixture(scope="module")
def config(tiny, tmp_path_factory):
    """One epoch in float32, two for 8 bits, of which ranges move in the first."""
    content = tiny.config(
        MODEL=MODEL, QUANTIZE={"start_epoch": 1, "freeze_ranges_after": 1}, epochs=3
    )
    content["OPTIMIZER"]["learning_rate"]["max_epoch"] = 3
    return write_config(tmp_path_factory.mktemp("qat") / "tiny.yaml", content)


@pytest.fixture(scope="module")
def whole(config):
    cwd = config.parent
    done = run("main.py", "--validate", "-c", config, "-o", "output_dir=whole", cwd=cwd)
    assert done.code == 0, done.stderr
    log = (cwd / "whole" / "run.log").read_text()
    assert "from epoch 2 on with rounded numbers; steps with gradients" in log
    return cwd / "whole"


def ranges(path):
    return {name: a for name, a in read_weights(path).items() if name.endswith("rounding_range")}


def test_the_phases_and_an_exact_resume(whole, main_here, config, tmp_path):
    first, second, third = (ranges(whole / f"{NAME}_epoch_0000{n}.pdparams") for n in (1, 2, 3))
    assert all(not value.any() for value in first.values())
    assert sum(value.any() for value in second.values()) > len(second) / 2
    for name, value in third.items():
        np.testing.assert_array_equal(value, second[name])
    # Stopped inside the epoch whose steps move the ranges, and gone on with.
    options = ("--validate", "-c", config, "-o", "output_dir=parts", "-o", "save_interval=1")
    done = main_here(*options, "--max_iters", 3)
    assert done.code == 0, done.stderr
    done = main_here(*options, "-o", "resume_epoch=latest")
    assert done.code == 0, done.stderr
    check_identical(tmp_path / "parts", whole, LAST)
    best = whole / f"{NAME}_best.pdparams"
    assert any(value.any() for value in ranges(best).values())  # of an epoch for 8 bits


@pytest.mark.skipif(not HAS_ONNX, reason="requirements-onnx.txt is not installed")
def test_the_bundle_gives_what_was_trained(whole, config, tiny, tmp_path):
    weights = whole / LAST
    command = ("-c", config, "-p", weights, "-o", tmp_path / "int8", "--precision", "int8")
    done = run("tools/export_model.py", *command, cwd=tmp_path)
    assert done.code == 0, done.stderr
    bundle = read_bundle(tmp_path / "int8")
    assert bundle.manifest.quantization["ranges"] == "trained"
    model = open_model(open_recipe(config), str(weights)).eval()
    assert quantization_of(model).phase is Phase.FIXED
    predictor, pipeline = (
        load_predictor(bundle.folder, device="cpu"),
        Pipeline(bundle.manifest.pipeline, "x"),
    )
    for path in sorted((tiny.root / "val").rglob("*.mp4")):
        with paddle.no_grad():
            scores = model.predict(
                {"clip": paddle.to_tensor(pipeline.load_clips(str(path))["clip"][None])}
            )
        expected = scores.numpy()[0]
        found = {top.index: top.score for top in predictor(str(path), top_k=3).top}
        assert max(abs(found[index] - expected[index]) for index in found) < 0.02


def test_weights_from_before_and_without(whole, config, caplog):
    """Float weights begin a training for 8 bits; they are no result of one."""
    recipe = open_recipe(config)
    model = open_model(recipe, str(whole / f"{NAME}_epoch_00001.pdparams"))
    assert quantization_of(model).phase is Phase.FLOAT and not has_ranges(model)
    arrays = read_weights(whole / LAST)
    plain = {name: array for name, array in arrays.items() if not name.endswith("rounding_range")}
    path = whole / "plain.pdparams"
    paddle.save(plain, str(path))
    open_model(recipe, str(path), initial=True)
    with pytest.raises(WeightsError, match="missing in the file"):
        open_model(recipe, str(path))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"start_epoch": 3}, "QUANTIZE.start_epoch is 3, and training ends after 3 epochs"),
        ({"momentum": 1.0}, "QUANTIZE.momentum: Input should be less than 1, got 1.0"),
        ({"bits": 4}, 'QUANTIZE.bits: unknown key "bits"; known: freeze_ranges_after'),
        ({"freeze_ranges_after": 0}, "QUANTIZE.freeze_ranges_after: Input should be greater"),
    ],
)
def test_what_is_refused(section, message, main_here, config, tiny):
    content = tiny.config(MODEL=MODEL, QUANTIZE=section, epochs=3)
    done = main_here("-c", write_config(config.with_name("bad.yaml"), content))
    assert done.code == 1 and message in done.stderr, done.stderr
