"""The average of the weights against plain NumPy; the swap into the model and back is exact."""

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paddle import nn

from paddlevideo.tasks.average import AverageSection, WeightAverage
from paddlevideo.tasks.hooks import StepEnd
from paddlevideo.utils.errors import WeightsError
from paddlevideo.weights import model_arrays


class Net(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.dense, self.norm = nn.Linear(3, 4), nn.BatchNorm1D(4)


def averaged(model, section):
    average = WeightAverage(model, section, "net")
    average.on_train_start(None)
    return average


def step(updated=True):
    return StepEnd({}, {}, 0.1, updated)


def randomise(model, rng):
    for tensor in model.state_dict().values():
        tensor.set_value(rng.random(tensor.shape).astype("float32"))


@pytest.mark.parametrize("dynamic", [False, True])
def test_formula(dynamic):
    """TensorFlow's, with and without num_updates; batches inside a group do not count."""
    rng = np.random.default_rng(0)
    model = Net()
    randomise(model, rng)
    average = averaged(model, AverageSection(decay=0.4, dynamic_decay=dynamic))
    expected = {name: a.astype("float64") for name, a in model_arrays(model).items()}
    for n in range(1, 6):
        randomise(model, rng)
        average.on_step_end(None, step(updated=False))
        average.on_step_end(None, step())
        decay = min(0.4, (1 + n) / (10 + n)) if dynamic else 0.4
        for name, array in model_arrays(model).items():
            expected[name] += (1 - decay) * (array - expected[name])
    found = average.state_dict()
    assert found["num_updates"] == 5 and set(found) == {"num_updates", *expected}
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)


def test_the_swap_is_exact_and_an_error_undoes_it():
    rng = np.random.default_rng(0)
    model = Net()
    average = averaged(model, AverageSection())
    begin = model_arrays(model)
    randomise(model, rng)
    before = model_arrays(model)
    for error in (None, RuntimeError):
        try:
            with average.evaluation_weights(None):
                for name, array in model_arrays(model).items():
                    np.testing.assert_array_equal(array, begin[name])
                if error:
                    raise error
        except RuntimeError:
            pass
        for name, array in model_arrays(model).items():
            np.testing.assert_array_equal(array, before[name])
    with average.in_model(keep_statistics=True):
        randomise(model, rng)
        inside = model_arrays(model)
    for name, array in model_arrays(model).items():
        np.testing.assert_array_equal(array, before[name])
        source = inside if name.startswith("norm._") else begin
        np.testing.assert_array_equal(average.state_dict()[name], source[name])


@given(st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False), st.floats(0.001, 0.9999))
def test_what_does_not_move_does_not_drift(value, decay):
    model = nn.Linear(1, 1)
    model.weight.set_value(np.full([1, 1], value, "float32"))
    average = averaged(model, AverageSection(decay=decay))
    for _ in range(3):
        average.on_step_end(None, step())
    assert average.state_dict()["weight"] == np.float32(value)


def test_state():
    rng = np.random.default_rng(0)
    model = Net()
    average = averaged(model, AverageSection())
    for _ in range(3):
        randomise(model, rng)
        average.on_step_end(None, step())
    state = average.state_dict()
    other = WeightAverage(Net(), AverageSection(), "net")
    other.load_state_dict(state, "file")
    other.on_train_start(None)
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    assert len(list(other.tensors())) == len(state) - 1
    for bad in (
        {**state, "num_updates": -1},
        {name: value for name, value in state.items() if name != "dense.bias"},
        {**state, "dense.bias": np.zeros(5, "float32")},
        {**state, "more": np.zeros(5, "float32")},
    ):
        with pytest.raises(WeightsError, match="file"):
            WeightAverage(Net(), AverageSection(), "net").check_state(bad, "file")


def test_half_weights_are_averaged_in_float32():
    model = nn.Linear(2, 2)
    model.to(dtype="bfloat16")
    average = averaged(model, AverageSection(decay=0.999, dynamic_decay=False))
    assert all(tensor.dtype == paddle.float32 for tensor in average.tensors())
    before = model.weight.astype("float32").numpy()
    with average.evaluation_weights(None):
        assert model.weight.dtype == paddle.bfloat16
    np.testing.assert_array_equal(model.weight.astype("float32").numpy(), before)
