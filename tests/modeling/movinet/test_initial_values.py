"""Initial values, sampled from whole networks (docs/movinet.md)."""

import re
from collections import defaultdict

import numpy as np
import paddle
import pytest

import paddlevideo
from paddlevideo.weights import model_arrays

# Kinds of kernels: the end of their names.
KINDS = {
    "stem": r"stem\.conv\.weight",
    "expansion": r"blocks\..*\.expand\.conv\.weight",
    "depthwise, with space": r"feature\.spatial\.conv\.weight",
    "depthwise, time alone": r"feature\.temporal\.conv\.weight",
    "gate, reduce": r"attention\.reduce\.weight",
    "gate, expand": r"attention\.expand\.weight",
    "projection": r"blocks\.[^.]*\.project\.conv\.weight",
    "shortcut": r"shortcut\.project\.conv\.weight",
    "head projection": r"backbone\.project\.conv\.weight",
    "dense head": r"head\.dense\.weight",
}


def fresh(name: str, **options) -> dict[str, np.ndarray]:
    paddle.seed(11)
    return model_arrays(paddlevideo.create_model(name, num_classes=600, **options))


def fan_in(array: np.ndarray) -> int:
    """Inputs of one output: of depthwise kernels the kernel's volume alone, as TF's 3-D form."""
    return array.shape[0] if array.ndim == 2 else int(np.prod(array.shape[1:]))


def kind_of(name: str) -> str | None:
    (kind,) = [k for k, ending in KINDS.items() if re.search(ending + "$", name)] or [None]
    return kind


@pytest.fixture(scope="module", params=["3d", "2plus1d"])
def arrays(request):
    return fresh("movinet_a2_stream", conv_type=request.param, use_positional_encoding=True)


def test_spread_of_every_kind_of_kernel(arrays):
    """Normal with variance 2 / fan_in after the cut at two sigma."""
    drawn = defaultdict(list)
    for name, array in arrays.items():
        kind = kind_of(name)
        if kind is None:
            one_axis = array.ndim == 1
            assert one_axis or name == "head.classifier.weight", name
        else:
            drawn[kind].append((array / (2.0 / fan_in(array)) ** 0.5).ravel())
    split = any("temporal" in name for name in arrays)
    assert set(drawn) == set(KINDS) - (set() if split else {"depthwise, time alone"})
    for kind, parts in drawn.items():
        values = np.concatenate(parts)
        tolerance = 3.0 / len(values) ** 0.5  # some three standard errors, or more
        assert abs(values.mean()) < tolerance, kind
        assert abs(values.std() - 1.0) < tolerance, kind
        cut = 2.0 / 0.87962566
        assert np.abs(values).max() <= cut * 1.0001, kind
        # A normal that is cut there has this share between one sigma and two.
        raw = np.abs(values) * 0.87962566
        share = (0.9544997 - 0.6826895) / 0.9544997
        assert abs((raw > 1.0).mean() - share) < tolerance, kind


def test_depthwise_spread_does_not_follow_the_channels(arrays):
    for name, array in arrays.items():
        if "feature" in name and name.endswith("conv.weight") and array.size > 2000:
            kernel_volume = int(np.prod(array.shape[2:]))
            assert array.std() == pytest.approx((2.0 / kernel_volume) ** 0.5, rel=0.08), name


def test_everything_else(arrays):
    for name, array in arrays.items():
        if name == "head.classifier.weight":
            assert array.std() == pytest.approx(0.01, rel=0.01) and np.abs(array).max() > 0.04
        elif name.endswith(("bias", "scale", "_mean")):
            assert not array.any(), name
        elif name.endswith(("bn.weight", "_variance")):
            assert (array == 1.0).all(), name
    scales = [name for name in arrays if name.endswith("scale")]
    assert sum("rezero" in name for name in scales) == sum("position" in name for name in scales)


def test_the_two_2plus1d_types_are_one_network():
    """TensorFlow's 2plus1d form draws depthwise kernels far smaller; its 3d_2plus1d trains."""
    one, other = (fresh("movinet_a0_stream", conv_type=c) for c in ("2plus1d", "3d_2plus1d"))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_new_network_answers_by_its_shortcuts():
    """The rezero scales are 0: what the branches compute does not matter yet."""
    paddle.seed(2)
    model = paddlevideo.create_model("movinet_t0_base", num_classes=4).eval()
    clip = paddle.rand([1, 2, 3, 32, 32]) * 255
    with paddle.no_grad():
        before = model(clip).numpy()
        for block in model.backbone.blocks.values():
            block.expand.conv.weight.set_value(block.expand.conv.weight * 3 + 1)
        assert np.array_equal(model(clip).numpy(), before)
