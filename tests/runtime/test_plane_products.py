"""Products of floats and int8 weights in integers: as exact as floats, whatever the numbers."""

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("onnx")

from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.runtime.engines.compiled.engine import CompiledEngine
from paddlevideo.runtime.engines.compiled.plane_products import HAS_PLANES
from paddlevideo.runtime.engines.compiled.simd import LANES
from paddlevideo.runtime.engines.compiled.table import Code
from runtime.rounded_files import CPU, Rounded

pytestmark = pytest.mark.skipif(not HAS_PLANES, reason="this processor multiplies floats instead")


def layer(folder, depth, channels, seed):
    """The engine of one layer of a pixel with int8 weights; these as float64; and the bias."""
    file = Rounded(seed)
    file.input("x", (depth, 1, 1))
    whole = file.rng.integers(-127, 128, (channels, depth, 1, 1)).astype(np.int8)
    scale_C = file.rng.uniform(0.002, 0.02, channels).astype(np.float32)
    bias_C = file.rng.standard_normal(channels).astype(np.float32)
    file.constants |= {"i": whole, "s": scale_C, "z": np.zeros(channels, np.int8), "b": bias_C}
    file.node("DequantizeLinear", ["i", "s", "z"], "w", axis=0)
    file.node("Conv", ["x", "w", "b"], "y", kernel_shape=[1, 1])
    engine = CompiledEngine(file.save(folder / "a.onnx", {"y": (channels, 1, 1)}), ["y"], CPU)
    assert Code.PLANE_DENSE in engine._assembly.table["code"]
    return engine, whole[:, :, 0, 0].T * scale_C.astype(np.float64), bias_C


def run(engine, x_BD):
    return engine.run({"x": x_BD[:, :, None, None]})["y"][:, :, 0, 0]


@settings(max_examples=25, deadline=None)
@given(
    depth=st.one_of(st.integers(1, 3 * LANES + 3), st.just(513)),
    channels=st.integers(1, 6 * LANES), batch=st.integers(1, 9),
    kind=st.sampled_from(["normal", "positive", "one large", "small"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_they_are_as_exact_as_floats(tmp_path_factory, depth, channels, batch, kind, seed):
    """Within a few roundings of float32; a row gets the same bits in whatever company."""
    engine, weights_DC, bias_C = layer(tmp_path_factory.mktemp("p"), depth, channels, seed)
    rng = np.random.default_rng(seed)
    x_BD = rng.standard_normal((batch, depth)).astype(np.float32)
    if kind == "positive":
        x_BD = np.abs(x_BD)
    elif kind == "one large":
        x_BD[:, rng.integers(depth)] *= 1e6
    elif kind == "small":
        x_BD *= np.float32(1e-20)
    found = run(engine, x_BD)
    exact = x_BD.astype(np.float64) @ weights_DC + bias_C
    sizes = np.abs(x_BD).max(axis=1, keepdims=True) * np.abs(weights_DC).sum(axis=0)
    assert (np.abs(found - exact) <= 2e-7 * (sizes + np.abs(bias_C)) + 1e-30).all()
    alone = np.concatenate([run(engine, row[None]) for row in x_BD])
    np.testing.assert_array_equal(found, alone)


def test_the_largest_number_is_not_one_too_many(tmp_path):
    """Rounding the product with the reciprocal may not lead beyond 24 bits."""
    engine, weights_DC, bias_C = layer(tmp_path, 4, LANES, 0)
    rng = np.random.default_rng(0)
    x_BD = np.zeros((4096, 4), np.float32)
    x_BD[:, 0] = rng.uniform(1, 2, 4096) * rng.choice([-1, 1], 4096)
    exact = x_BD.astype(np.float64) @ weights_DC + bias_C
    np.testing.assert_allclose(run(engine, x_BD), exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("depth", [3, LANES, 2 * LANES + 5])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_shows(tmp_path, depth, bad):
    """In its own row alone."""
    engine, weights_DC, bias_C = layer(tmp_path, depth, LANES + 3, 1)
    x_BD = np.ones((5, depth), np.float32)
    x_BD[2, depth - 1] = bad
    found = run(engine, x_BD)
    assert not np.isfinite(found[2]).any()
    others = [0, 1, 3, 4]
    exact = x_BD[others].astype(np.float64) @ weights_DC + bias_C
    np.testing.assert_allclose(found[others], exact, rtol=1e-5, atol=1e-5)


def test_nothing_gives_the_bias(tmp_path):
    engine, _weights, bias_C = layer(tmp_path, 40, 70, 2)
    for value in (0.0, -0.0, 1e-35, 1e-44):
        found = run(engine, np.full((2, 40), value, np.float32))
        np.testing.assert_array_equal(found, np.broadcast_to(bias_C, (2, 70)))
