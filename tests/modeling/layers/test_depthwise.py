"""The matrix arithmetic of the depthwise convolution is the convolution."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.conftest import relative_error, seeded
from paddlevideo.modeling.layers import depthwise
from paddlevideo.modeling.layers.depthwise import depthwise_conv3d

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


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 5),
    size=st.tuples(st.integers(1, 6), st.integers(1, 8), st.integers(1, 8)),
    kernel=st.sampled_from([(1, 3, 3), (1, 5, 5), (3, 3, 3), (5, 3, 3), (3, 1, 1), (2, 4, 3)]),
    stride=st.integers(1, 3),
    padding=st.tuples(Side, Side, Side),
)
def test_matrix_is_convolution(batch, channels, size, kernel, stride, padding):
    if any(n + sum(pad) < k for n, pad, k in zip(size, padding, kernel, strict=True)):
        return
    x = seeded((batch, channels, *size))
    weight = seeded((channels, 1, *kernel), 1)
    ours = run(depthwise._matrix_conv3d, x, weight, stride, padding)
    expected = run(reference, x, weight, stride, padding)
    for one, other in zip(ours, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)


def test_both_paths_of_the_real_function():
    """Just below and just above the limit of pixels, with uneven padding."""
    padding = ((2, 0), (0, 1), (1, 2))
    for height, width in ((8, 8), (5, 13)):
        x, weight = seeded((2, 4, 3, height, width)), seeded((4, 1, 3, 3, 5), 1)
        ours = run(depthwise_conv3d, x, weight, 2, padding)
        expected = run(reference, x, weight, 2, padding)
        for one, other in zip(ours, expected, strict=True):
            assert relative_error(one, other) < 1e-5


@pytest.mark.parametrize(("size", "by_matrix"), [((8, 8), True), ((5, 13), False)])
def test_which_path(monkeypatch, size, by_matrix):
    taken = []
    monkeypatch.setattr(
        depthwise, "_matrix_conv3d", lambda x, weight, stride, padding: taken.append(True) or x
    )
    weight = paddle.to_tensor(seeded((4, 1, 1, 3, 3)))
    padding = ((0, 0), (1, 1), (1, 1))
    x = paddle.to_tensor(seeded((1, 4, 2, *size)))
    depthwise_conv3d(x, weight, 1, padding)
    assert bool(taken) == by_matrix


def test_a_static_program_has_the_convolution(monkeypatch):
    """The matrices of the dynamic path must not become constants of an exported program."""
    monkeypatch.setattr(depthwise, "_matrix_conv3d", None)

    @paddle.jit.to_static(
        full_graph=True, input_spec=[paddle.static.InputSpec([-1, 4, 2, 4, 4], "float32")]
    )
    def program(x):
        return depthwise_conv3d(x, paddle.ones([4, 1, 1, 3, 3]), 1, ((0, 0), (1, 1), (1, 1)))

    names = [op.name() for op in program.concrete_program.main_program.global_block().ops]
    assert any("conv3d" in name for name in names)


def test_mixed_precision_is_left_to_paddle(monkeypatch):
    monkeypatch.setattr(depthwise, "_matrix_conv3d", None)
    seen = []
    monkeypatch.setattr(depthwise.F, "conv3d", lambda x, *_, **__: seen.append(x.dtype))
    x = paddle.to_tensor(seeded((1, 4, 2, 4, 4))).astype("bfloat16")
    depthwise_conv3d(x, paddle.ones([4, 1, 1, 3, 3]), 1, ((0, 0), (1, 1), (1, 1)))
    assert seen == [paddle.bfloat16]
