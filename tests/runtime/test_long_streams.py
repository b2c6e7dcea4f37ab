"""Streams of days in every engine: states set far on, then compared with float64."""

import numpy as np
import paddle
import pytest
from modeling.conftest import randomise

from paddlevideo.export import ExportOptions, export_model
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.streams.frame_counters import MOST_FRAMES
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import DataError
from runtime.conftest import LABELS, NUM_CLASSES, PIPELINE

pytest.importorskip("onnxruntime")
pytest.importorskip("paddle2onnx")
pytest.importorskip("numba")

SIDE = 32
STEPS = [
    {"Scale": {"short_size": SIDE}},
    {"CenterCrop": {"target_size": SIDE}},
    "Image2Array",
]
SUM = "state_head_pool_buffer"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    paddle.seed(0)
    model = randomise(
        build_recognizer(model_section("movinet_t0_stream", num_classes=NUM_CLASSES))
    ).eval()
    folder = tmp_path_factory.mktemp("long") / "bundle"
    pipeline = {**PIPELINE, "transform": STEPS}
    return export_model(
        model,
        pipeline,
        folder,
        "T0Stream",
        LABELS,
        ExportOptions(mode="stream", formats=("onnx",)),
    )


@pytest.mark.parametrize("frames_before", [1_000_000, 20_000_000])
@pytest.mark.parametrize("engine", ["paddle", "onnxruntime", "compiled"])
def test_sums_go_on_after_many_frames(bundle, engine, frames_before):
    """The network sees one frame again and again, so what a step adds is known."""
    options = EngineOptions(device="cpu", cpu_threads=1, engine=engine)
    runner = StepRunner(bundle, options)
    frame = np.random.default_rng(0).integers(0, 256, (1, 3, SIDE, SIDE), np.uint8)
    for _ in range(30):  # past all buffers: from here on, only the means change
        runner.step(frame)
    states = runner.snapshot()
    for name, array in states.items():
        if name.endswith("pool_buffer"):
            array *= np.float32(frames_before / 30)
        elif name.endswith("frame_count"):
            array[...] = frames_before
    runner.restore(states)
    before = _held(states)
    runner.step(frame)
    first = _held(runner.snapshot()) - before  # one frame's own value, to its last digits
    for _ in range(299):
        runner.step(frame)
    after = runner.snapshot()
    added = _held(after) - before
    scale = np.abs(first).max()
    np.testing.assert_allclose(added / 300, first, atol=1e-3 * scale)
    assert int(after["frame_count"].reshape(-1)[0]) == frames_before + 300
    assert np.abs(after["state_head_pool_rest"]).max() > 0


def _held(states: dict[str, np.ndarray]) -> np.ndarray:
    parts = (states[SUM], states["state_head_pool_rest"])
    return sum(part.reshape(-1).astype(np.float64) for part in parts)


def test_the_end_of_the_counter_is_said(bundle):
    """Not a negative mean: the stream has to begin anew."""
    runner = StepRunner(bundle, EngineOptions(device="cpu", cpu_threads=1, engine="onnxruntime"))
    frame = np.zeros((1, 3, SIDE, SIDE), np.uint8)
    runner.step(frame)
    states = runner.snapshot()
    states["frame_count"][...] = MOST_FRAMES - 2
    runner.restore(states)
    runner.step(frame)
    runner.step(frame)
    with pytest.raises(DataError, match=r"2147483647 frames.*begin anew"):
        runner.step(frame)
    for count in (-1, MOST_FRAMES):
        states["frame_count"][...] = count
        with pytest.raises(DataError, match=r"negative|begin anew"):
            runner.restore(states)
    runner.reset(rows=[0])
    assert np.isfinite(runner.step(frame)).all()
    assert int(runner.snapshot()["frame_count"].reshape(-1)[0]) == 1
