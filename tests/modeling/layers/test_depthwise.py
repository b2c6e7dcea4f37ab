"""The compiled depthwise convolution is the convolution, and where it is used."""

import sys
import threading

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.conftest import relative_error, seeded
from paddlevideo.modeling.layers import compiled, depthwise
from paddlevideo.modeling.layers.depthwise import depthwise_conv3d
from paddlevideo.utils.cpu_threads import CPU_THREADS

Side = st.tuples(st.integers(0, 3), st.integers(0, 3))


def reference(x, weight, stride, padding):
    """Paddle's own kernel on an input that was padded by hand."""
    pad = [size for axis in reversed(padding) for size in axis]
    x = F.pad(x, pad, data_format="NCDHW")
    return F.conv3d(x, weight, stride=[1, stride, stride], groups=weight.shape[0])


def run(function, x, weight, stride, padding):
    """Output, and gradients of input and weight under a random gradient of the output."""
    x, weight = (paddle.to_tensor(array, stop_gradient=False) for array in (x, weight))
    y = function(x, weight, stride, padding)
    (y * paddle.to_tensor(seeded(y.shape, 2))).sum().backward()
    return y, x.grad, weight.grad


@pytest.fixture
def no_kernels(monkeypatch):
    """Paddle's kernel must be taken."""
    monkeypatch.setattr(depthwise, "_CompiledConvolution", None)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 5),
    size=st.tuples(st.integers(1, 6), st.integers(1, 12), st.integers(1, 12)),
    kernel=st.sampled_from(
        [(1, 3, 3), (1, 5, 5), (3, 3, 3), (5, 3, 3), (3, 1, 1), (2, 4, 3), (1, 1, 7), (1, 6, 1)]
    ),
    stride=st.integers(1, 3),
    padding=st.tuples(Side, Side, Side),
)
def test_compiled_is_convolution(batch, channels, size, kernel, stride, padding):
    if any(n + sum(pad) < k for n, pad, k in zip(size, padding, kernel, strict=True)):
        return
    x = seeded((batch, channels, *size))
    weight = seeded((channels, 1, *kernel), 1)
    ours = run(depthwise_conv3d, x, weight, stride, padding)
    expected = run(reference, x, weight, stride, padding)
    for one, other in zip(ours, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)


def test_it_is_the_compiled_one(monkeypatch):
    taken = []
    monkeypatch.setattr(depthwise.F, "conv3d", lambda *_, **__: taken.append(True))
    x, weight = paddle.to_tensor(seeded((1, 4, 2, 9, 8))), paddle.to_tensor(seeded((4, 1, 1, 3, 3)))
    y = depthwise_conv3d(x, weight, 1, ((0, 0), (1, 1), (1, 1)))
    assert y.shape == [1, 4, 2, 9, 8] and not taken


def test_long_sums_keep_their_digits():
    """Gradients of a kernel sum over every pixel of the batch: here 100 000 of them."""
    x, weight = seeded((2, 3, 50, 33, 31)), seeded((3, 1, 3, 3, 3), 1)
    padding = ((1, 1), (1, 1), (1, 1))
    _, _, gradient = run(depthwise_conv3d, x, weight, 1, padding)
    g = np.float64(seeded(x.shape, 2))
    padded = np.pad(np.float64(x), ((0, 0), (0, 0), (1, 1), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3), axis=(2, 3, 4))
    expected = np.einsum("bcthw,bcthwijk->cijk", g, windows)
    assert relative_error(gradient[:, 0], expected) < 2e-6


@pytest.mark.parametrize("count", [1, 2, 7])
def test_results_do_not_depend_on_the_number_of_threads(monkeypatch, count):
    x, weight = seeded((2, 5, 4, 9, 7)), seeded((5, 1, 3, 3, 3), 1)
    expected = run(depthwise_conv3d, x, weight, 2, ((2, 0), (0, 1), (1, 1)))
    monkeypatch.setattr(CPU_THREADS, "count", count)
    for one, other in zip(
        run(depthwise_conv3d, x, weight, 2, ((2, 0), (0, 1), (1, 1))), expected, strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_several_callers_at_once():
    x, weight = paddle.to_tensor(seeded((2, 6, 4, 9, 7))), paddle.to_tensor(seeded((6, 1, 3, 3, 3)))
    padding = ((1, 1), (1, 1), (1, 1))
    expected = depthwise_conv3d(x, weight, 1, padding).numpy()
    results = []

    def call():
        for _ in range(20):
            results.append(depthwise_conv3d(x, weight, 1, padding).numpy())

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80 and all(np.array_equal(result, expected) for result in results)


def test_input_that_is_a_view():
    """A transposed or sliced tensor of Paddle may share memory with steps of its own."""
    whole, weight = (
        paddle.to_tensor(seeded((2, 4, 6, 9, 7))),
        paddle.to_tensor(seeded((4, 1, 3, 3, 3), 1)),
    )
    view = whole.transpose([0, 2, 1, 3, 4]).transpose([0, 2, 1, 3, 4])[:, :, ::2, 1:, :]
    padding = ((1, 1), (1, 1), (1, 1))
    expected = reference(paddle.to_tensor(view.numpy()), weight, 1, padding)
    assert relative_error(depthwise_conv3d(view, weight, 1, padding), expected) < 1e-6


def test_without_numba_paddle_computes(monkeypatch, no_kernels, caplog):
    monkeypatch.setitem(sys.modules, "paddlevideo.modeling.layers.depthwise_kernels", None)
    compiled._load.cache_clear()
    try:
        x, weight = seeded((1, 2, 3, 9, 8)), seeded((2, 1, 3, 3, 3), 1)
        padding = ((1, 1), (1, 1), (1, 1))
        ours = run(depthwise_conv3d, x, weight, 1, padding)
        for one, other in zip(ours, run(reference, x, weight, 1, padding), strict=True):
            assert relative_error(one, other) < 1e-5
        assert "Paddle's slower kernel" in caplog.text
    finally:
        compiled._load.cache_clear()


def test_a_static_program_has_the_convolution(no_kernels):
    @paddle.jit.to_static(
        full_graph=True, input_spec=[paddle.static.InputSpec([-1, 4, 2, 4, 4], "float32")]
    )
    def program(x):
        return depthwise_conv3d(x, paddle.ones([4, 1, 1, 3, 3]), 1, ((0, 0), (1, 1), (1, 1)))

    names = [op.name() for op in program.concrete_program.main_program.global_block().ops]
    assert any("conv3d" in name for name in names)


def test_mixed_precision_is_left_to_paddle(monkeypatch, no_kernels):
    seen = []
    monkeypatch.setattr(depthwise.F, "conv3d", lambda x, *_, **__: seen.append(x.dtype))
    x = paddle.to_tensor(seeded((1, 4, 2, 4, 4))).astype("bfloat16")
    depthwise_conv3d(x, paddle.ones([4, 1, 1, 3, 3]), 1, ((0, 0), (1, 1), (1, 1)))
    assert seen == [paddle.bfloat16]
