"""States that a file rounds are bytes in the compiled engine, and nobody sees it but the memory."""

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from paddlevideo.runtime.engines.base import UnsupportedProgramError  # noqa: E402
from paddlevideo.runtime.engines.compiled.byte_states import states_as_bytes  # noqa: E402
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine, read_program  # noqa: E402
from paddlevideo.runtime.engines.compiled.graph import read_graph  # noqa: E402
from paddlevideo.runtime.engines.compiled.simd import LANES  # noqa: E402
from paddlevideo.utils.eight_bits import Range, steps_of, values_of  # noqa: E402
from paddlevideo.utils.errors import BundleError  # noqa: E402
from runtime.rounded_files import CPU, Rounded, agree  # noqa: E402

SCALE, ZERO = 0.037, 90
NAMES = ("new", "y")
QUEUE = {"new": ("old", "before")}


def stream_file(path, channels=24, side=5, change="", seed=0):
    """A step program: a rounded convolution, whose last two frames are summed with the newest.

    Args:
        change: what keeps its states from being bytes.
    """
    file = Rounded(seed)
    shape = (channels, side, side)
    x = file.round(file.input("x", (8, side, side)), 0.02, 128)
    weights = file.weights("c", (channels, 8, 1, 1), 0.02)
    file.node("Conv", [x, *weights], "float", kernel_shape=[1, 1])
    file.constants |= {"s": np.float32(SCALE), "z": np.uint8(ZERO)}
    if change == "another range":
        file.constants |= {"s2": np.float32(2 * SCALE)}
    pair = ["s", "z"]
    if change == "output in floats":
        file.node("Relu", ["float"], "new")
    else:
        file.node("QuantizeLinear", ["float", *pair], "whole")
        file.node("DequantizeLinear", ["whole", *pair], "new")
    taps = file.rng.standard_normal((3, channels, 1, 1, 1)).astype(np.float32)
    parts = []
    for index, name in enumerate(("before", "old", "new")):
        values = name
        if name != "new":
            file.input(name, shape)
            mine = ["s2", "z"] if change == "another range" else pair
            if change != "input in floats":
                file.node("QuantizeLinear", [name, *mine], f"{name}_q")
                values = file.node("DequantizeLinear", [f"{name}_q", *mine], f"{name}_r")
            if change == "another reader":
                values = file.node("Add", [values, name], f"{name}_twice")
        file.constants[f"t{index}"] = taps[index]
        parts.append(file.node("Conv", [values, f"t{index}"], f"part{index}", group=channels))
    total = file.node("Add", [file.node("Add", parts[:2], "two"), parts[2]], "three")
    return file.save(path, {"new": shape, file.round(total, 0.05, 100): shape})


def feeds_of(rng, batch, channels=24, side=5, on_steps=False):
    shape = (batch, channels, side, side)
    states = {name: rng.standard_normal(shape).astype(np.float32) * 3 for name in QUEUE["new"]}
    if on_steps:
        range_ = Range(float(np.float32(SCALE)), ZERO)
        states = {name: values_of(steps_of(x, range_), range_) for name, x in states.items()}
    return {"x": rng.standard_normal((batch, 8, side, side)).astype(np.float32), **states}


@settings(max_examples=15, deadline=None)
@given(
    channels=st.integers(16, 3 * LANES + 5), side=st.integers(2, 7), batch=st.integers(1, 5),
    on_steps=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_the_answers_are_the_file_s(tmp_path_factory, patch, channels, side, batch, on_steps, seed):
    """Whatever the states are: what lies between two steps is rounded, as the file says."""
    path = stream_file(tmp_path_factory.mktemp("bytes") / "a.onnx", channels, side, seed=seed)
    program = read_program(path)
    assert {name for name, info in program.inputs.items() if info.range} == {"old", "before"}
    assert "quantize" not in [item.kind for item in program.operations[1:]]
    feeds = feeds_of(np.random.default_rng(seed), batch, channels, side, on_steps)
    agree(patch, path, feeds, 0.05, ["integer_dense", "mixed_sum"])


@pytest.mark.parametrize(
    "change", ["another range", "another reader", "input in floats", "output in floats"]
)
def test_states_that_the_file_does_not_round_alike_stay_floats(tmp_path, patch, change):
    path = stream_file(tmp_path / "a.onnx", change=change)
    assert not any(info.range for info in read_program(path).inputs.values())
    agree(patch, path, feeds_of(np.random.default_rng(1), 3), 0.05)


@pytest.mark.parametrize(("channels", "side"), [(12, 5), (24, 1)])
def test_small_states_stay_floats(tmp_path, patch, channels, side):
    """A vector of few channels would reach into the next stream's; one pixel is not worth it."""
    path = stream_file(tmp_path / "a.onnx", channels, side)
    assert not any(info.range for info in read_program(path).inputs.values())
    agree(patch, path, feeds_of(np.random.default_rng(1), 3, channels, side), 0.05)


@pytest.mark.parametrize("channels", [8, 40])
def test_an_output_of_another_shape_than_is_declared_is_refused(tmp_path, channels):
    """Which outputs are bytes follows from what the file declares of them, so that is proven."""
    file = Rounded(0)
    file.constants |= {"s": np.float32(SCALE), "z": np.uint8(ZERO)}
    x = file.round(file.input("x", (8, 5, 5)), 0.02, 128)
    weights = file.weights("c", (channels, 8, 1, 1), 0.02)
    file.node("Conv", [x, *weights], "float", kernel_shape=[1, 1])
    file.input("old", (24, 5, 5))
    for name, whole, values in (("float", "whole", "new"), ("old", "old_q", "old_r")):
        file.node("QuantizeLinear", [name, "s", "z"], whole)
        file.node("DequantizeLinear", [whole, "s", "z"], values)
    file.node("GlobalAveragePool", ["old_r"], "y")
    path = file.save(tmp_path / "a.onnx", {"new": (24, 5, 5), "y": (24, 1, 1)})
    with pytest.raises(BundleError, match="declared"):
        CompiledEngine(path, NAMES, CPU)


def test_an_output_of_a_node_without_inputs_is_for_another_engine(tmp_path):
    """It is no damage: ``auto`` goes on to ONNX Runtime."""
    file = Rounded(0)
    rounded = file.round(file.input("x", (24, 5, 5)), SCALE, ZERO)
    file.node("RandomNormal", [], "y", shape=[1, 24, 5, 5])
    path = file.save(tmp_path / "a.onnx", {"y": (24, 5, 5), rounded: (24, 5, 5)})
    with pytest.raises(UnsupportedProgramError, match="RandomNormal"):
        read_program(path)


def test_a_graph_without_such_states_is_left_alone(tmp_path):
    graph = read_graph(stream_file(tmp_path / "a.onnx", change="input in floats"))
    assert states_as_bytes(graph) is graph


def test_tensors_go_from_step_to_step_and_are_arrays_outside(tmp_path):
    """A result is an input of the next step as it lies; as an array it is the same."""
    engine = CompiledEngine(stream_file(tmp_path / "a.onnx"), NAMES, CPU)
    rng = np.random.default_rng(2)
    feeds = feeds_of(rng, 2, on_steps=True)
    given = {name: engine.tensor(array) for name, array in feeds.items()}
    first = engine.run_tensors(given)
    memory = first["new"]._memory
    assert memory is not None and memory.floats.nbytes < feeds["old"].nbytes / 2
    assert first["new"].address(0, None) != memory.address  # laid out anew where floats are read
    again = engine.run_tensors({**given, "before": given["old"], "old": first["new"]})
    by_arrays = engine.run(
        {"x": feeds["x"], "before": feeds["old"], "old": engine.array(first["new"])}
    )
    for name in NAMES:
        np.testing.assert_array_equal(engine.array(again[name]), by_arrays[name])


def test_what_is_no_number_is_zero_and_what_is_too_large_the_last_step():
    range_ = Range(0.5, 100)
    given = np.array([np.nan, np.inf, -np.inf, 0.25, 0.75, -0.25, 1e30], np.float32)
    steps = steps_of(given, range_)
    assert steps.tolist() == [100, 255, 0, 100, 102, 100, 255]  # halves to even
    np.testing.assert_array_equal(values_of(steps, range_)[3:6], np.float32([0, 1, 0]))


def test_rows_of_a_pool_are_bytes(tmp_path):
    """Four bytes become one; rows begin from zero, change places and turns, and can be loaded."""
    engine = CompiledEngine(stream_file(tmp_path / "a.onnx"), NAMES, CPU)
    rng = np.random.default_rng(3)
    frames = rng.standard_normal((6, 4, 8, 5, 5)).astype(np.float32)
    rows = engine.stream_rows("x", "y", {"new": QUEUE["new"][::-1]}, 4)
    assert rows is not None and rows._queues["new"].dtype == np.uint8
    zeros = np.zeros((4, 24, 5, 5), np.float32)
    before, old = zeros, zeros
    for turn in range(3):
        found = rows.step(0, 4, turn, frames[turn])
        expected = engine.run({"x": frames[turn], "before": before, "old": old})
        np.testing.assert_array_equal(found, expected["y"].transpose(0, 2, 3, 1).reshape(4, -1))
        before, old = old, expected["new"]
    rows.swap(0, 3)
    rows.clear(1)
    rows.change_turn(2, 3, 5)
    order = [3, 1, 2, 0]
    before, old = before[order], old[order]
    before[1] = old[1] = 0
    expected = engine.run({"x": frames[3], "before": before, "old": old})["y"]
    for first, last, turn in ((0, 2, 3), (2, 3, 5), (3, 4, 3)):
        found = rows.step(first, last, turn, frames[3][first:last])
        flat = expected[first:last].transpose(0, 2, 3, 1).reshape(last - first, -1)
        np.testing.assert_array_equal(found, flat)
    rows.load({"before": before, "old": old})
    found = rows.step(0, 4, 0, frames[3])
    np.testing.assert_array_equal(found, expected.transpose(0, 2, 3, 1).reshape(4, -1))


def test_floats_are_rounded_alike(tmp_path):
    """Where products of floats are faster the states are bytes all the same."""
    path = stream_file(tmp_path / "a.onnx")
    feeds = feeds_of(np.random.default_rng(4), 2)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with pytest.MonkeyPatch.context() as context:
        name = "paddlevideo.runtime.engines.compiled.integer_choice.integers_are_faster"
        context.setattr(name, lambda _run: False)
        engine = CompiledEngine(path, NAMES, CPU)
    assert engine.arithmetic == "float32"
    found = engine.run(feeds)
    for name, expected in zip(("new", "y"), session.run(None, feeds), strict=True):
        assert np.abs(found[name] - expected).max() <= 0.051
        assert (np.abs(found[name] - expected) > 1e-3).mean() < 0.01
