"""PreciseBN against plain NumPy: the statistics of many batches, not their moving average."""

import numpy as np
import paddle
import pytest
from paddle import nn

from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.modeling.layers.batch_norm import BatchNorm
from paddlevideo.modeling.layers.precise_batch_norm import recompute_running_statistics
from paddlevideo.utils.errors import DataError, NonFiniteError


class Two(nn.Layer):
    """A batch norm behind another, and dropout between them, which evaluation leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = BatchNorm(3), BatchNorm(3, activation_name="swish")
        self.dropout = nn.Dropout(0.5)

    def predict(self, batch):
        return self.second(self.dropout(self.first(batch["clip"])))


def clips():
    rng = np.random.default_rng(0)
    shapes = [(2, 3, 2, 4, 4), (4, 3, 2, 4, 4), (1, 3, 2, 4, 4)]  # batches differ in size
    return [(3 + k + 2 * rng.standard_normal(s)).astype("float32") for k, s in enumerate(shapes)]


def batches():
    return [{"clip": paddle.to_tensor(clip)} for clip in clips()]


AXES = (0, 2, 3, 4)


def test_statistics_of_all_values():
    model = Two()
    model.train()
    assert recompute_running_statistics(model, batches()) == 2
    assert model.training and model.dropout.training and model.first.training
    flat = np.concatenate([c.transpose(1, 0, 2, 3, 4).reshape(3, -1) for c in clips()], axis=1)
    np.testing.assert_allclose(model.first._mean.numpy(), flat.mean(1), rtol=1e-5)
    np.testing.assert_allclose(model.first._variance.numpy(), flat.var(1, ddof=1), rtol=1e-5)
    # The second one sees what the first gives where each batch is normalised by itself.
    normal = [
        (c - c.mean(AXES, keepdims=True)) / np.sqrt(c.var(AXES, keepdims=True) + 1e-3)
        for c in clips()
    ]
    flat = np.concatenate([c.transpose(1, 0, 2, 3, 4).reshape(3, -1) for c in normal], axis=1)
    np.testing.assert_allclose(model.second._mean.numpy(), flat.mean(1), atol=1e-5)
    np.testing.assert_allclose(model.second._variance.numpy(), flat.var(1, ddof=1), rtol=1e-4)


def test_frozen_layers_stay():
    model = Two()
    for parameter in model.first.parameters():
        parameter.stop_gradient = True
    model.first._mean.set_value(np.array([1, 2, 3], "float32"))
    model.train()
    model.first.eval()
    assert recompute_running_statistics(model, batches()) == 1
    np.testing.assert_array_equal(model.first._mean.numpy(), [1, 2, 3])
    np.testing.assert_array_equal(model.first._variance.numpy(), [1, 1, 1])
    assert not model.first.training and model.second.training


def test_a_recognizer_twice():
    """What was before does not count: the second time gives the same."""
    model = build_recognizer(model_section("movinet_t0_base", num_classes=3))
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (2, 2, 2, 3, 32, 32)).astype("uint8")
    given = [{"clip": paddle.to_tensor(each)} for each in clip]
    recompute_running_statistics(model, given)
    before = {name: p.numpy() for name, p in model.named_parameters() if p.stop_gradient}
    recompute_running_statistics(model, given)
    assert before
    for name, array in before.items():
        np.testing.assert_array_equal(dict(model.named_parameters())[name].numpy(), array)


def test_refused():
    with pytest.raises(DataError, match="PRECISEBN: there is no clip to take"):
        recompute_running_statistics(Two(), [])
    bad = batches()[0]["clip"] / 0.0
    with pytest.raises(NonFiniteError, match="PRECISEBN"):
        recompute_running_statistics(Two(), [{"clip": bad}])
