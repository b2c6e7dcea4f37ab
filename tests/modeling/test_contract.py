"""What every registered model keeps to: a new name in the registry is tested by being there.

Small odd frames that are not square, a batch of two, weights of which every one matters.
"""

import numpy as np
import paddle
import pytest
from paddle import nn
from second_family.network import ShiftNet

import paddlevideo
from modeling.conftest import TOLERANCE, randomise, relative_error
from paddlevideo.modeling import build_recognizer
from paddlevideo.modeling.complexity import model_complexity
from paddlevideo.utils.errors import ConfigError

NUM_CLASSES = 5
BATCH, FRAMES, HEIGHT, WIDTH = 2, 5, 33, 40
SPLIT = (2, 1, 2)

# Tracing takes a tenth of a second a layer: networks of more layers than DEEP are left to the long
# run; those of at most SHALLOW are also saved, loaded and run.
DEEP, SHALLOW = 30, 16


# A family outside the package keeps to it too.
SECOND_FAMILY = "second_family"


@pytest.fixture(scope="module", params=[*paddlevideo.list_models(), SECOND_FAMILY])
def model(request):
    paddle.seed(0)
    if request.param == SECOND_FAMILY:
        head = {"name": "ClassifierHead", "num_classes": NUM_CLASSES, "hidden_dim": 64}
        made = build_recognizer({"backbone": {"name": ShiftNet.__name__}, "head": head})
    else:
        made = paddlevideo.create_model(request.param, num_classes=NUM_CLASSES)
    return randomise(made).eval()


@pytest.fixture(scope="module")
def clip():
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, FRAMES, 3, HEIGHT, WIDTH), np.uint8)
    return paddle.to_tensor(pixels)


@pytest.fixture(scope="module")
def logits(model, clip):
    with paddle.no_grad():
        return of_clip(model, clip).numpy()


def of_clip(model, clip):
    """The logits of one clip, given for every input of the model."""
    return model(*batch_of(model, clip).values())


def batch_of(model, clip):
    return dict.fromkeys(model.input_specs(), clip)


def num_layers(model) -> int:
    """About as many as bottlenecks, each of which has four batch norms."""
    norms = [
        layer for layer in model.sublayers() if isinstance(layer, nn.layer.norm._BatchNormBase)
    ]
    return len(norms) // 4


def is_causal(model) -> bool:
    return model_complexity(model).multiply_adds_per_frame is not None


def test_forward(model, clip, logits):
    """Finite logits, of each clip by itself, which depend on the clip; they are probabilities."""
    assert logits.shape == (BATCH, NUM_CLASSES) and np.isfinite(logits).all()
    assert not np.allclose(logits[0], logits[1])
    with paddle.no_grad():
        assert relative_error(of_clip(model, clip[1:]), logits[1:]) < TOLERANCE
        probabilities = model.predict(batch_of(model, clip)).numpy()
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (probabilities.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_what_it_wants_and_says(model):
    assert model.num_classes == NUM_CLASSES
    for clip in model.input_specs().values():
        assert clip.num_frames >= 8 and clip.stride_frames >= 1
        assert 32 < clip.height == clip.width <= (clip.short_side or clip.height)
        assert clip.dtype == "uint8"
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert all(shapes[name][axis] == NUM_CLASSES for name, axis in model.class_axes().items())
    assert set(model.decayed_kernels()) < {name for name, _ in model.named_parameters()}


def test_stream_is_clip(model, clip, logits):
    """An uneven split gives the clip's logits; the states are those that were announced."""
    if not is_causal(model):
        with pytest.raises(ConfigError, match="causal"):
            model.init_states(BATCH, HEIGHT, WIDTH)
        return
    states, start = model.init_states(BATCH, HEIGHT, WIDTH), 0
    announced = [
        (spec.name, [BATCH, *spec.shape], spec.dtype) for spec in model.state_specs(HEIGHT, WIDTH)
    ]
    with paddle.no_grad():
        for size in SPLIT:
            streamed, states = model.step(clip[:, start : start + size], states)
            start += size
            came = [(n, s.shape, str(s.dtype).removeprefix("paddle.")) for n, s in states.items()]
            assert came == announced
    assert start == FRAMES
    assert relative_error(streamed, logits) < TOLERANCE


def test_gradients(model, clip):
    """Every parameter that can be trained has a finite gradient that is not zero."""
    model.train()
    result = model.loss({**batch_of(model, clip), "label": paddle.to_tensor([1, 3])})
    result["loss"].backward()
    model.eval()
    assert result["logits"].shape == [BATCH, NUM_CLASSES] and np.isfinite(result["loss"].item())
    trainable = {name: p for name, p in model.named_parameters() if not p.stop_gradient}
    without = [name for name, parameter in trainable.items() if parameter.grad is None]
    assert trainable and without == []
    gradients = {name: parameter.grad.numpy() for name, parameter in trainable.items()}
    assert [name for name, value in gradients.items() if not np.isfinite(value).all()] == []
    assert [name for name, value in gradients.items() if not value.any()] == []
    for parameter in trainable.values():
        parameter.clear_gradient()


class Program(nn.Layer):
    """A model as an export traces it: as a clip, or one step with its states (in order) beside."""

    def __init__(self, model, state_names=()):
        super().__init__()
        self.model = model
        self.state_names = state_names

    @paddle.jit.not_to_static
    def forward(self, frames, states=()):
        if not states:
            return of_clip(self.model, frames)
        logits, new = self.model.step(frames, dict(zip(self.state_names, states, strict=True)))
        return logits, *new.values()


def trace(program, frames, *states):
    """The static program for inputs of these shapes and dtypes."""
    frames, *states = (
        paddle.static.InputSpec(x.shape, x.dtype, f"x{n}") for n, x in enumerate([frames, *states])
    )
    specs = [frames, states] if states else [frames]
    traced = paddle.jit.to_static(program, input_spec=specs, full_graph=True)
    assert traced.forward.concrete_program.main_program.global_block().ops
    return traced


def arrays(results):
    return [tensor.numpy() for tensor in paddle.utils.flatten(results)]


def check_export(model, clip, folder):
    """Clip and step can be traced; where it is cheap, what was saved computes what the model does.

    The step goes on in the middle of a stream, where states matter.
    """
    calls = [(Program(model), [clip[:, :2]])]
    if is_causal(model) and num_layers(model) <= DEEP:
        states = model.init_states(BATCH, HEIGHT, WIDTH)
        with paddle.no_grad():
            _, states = model.step(clip[:, :2], states)
        calls.append((Program(model, list(states)), [clip[:, 2:3], *states.values()]))
    for number, (program, inputs) in enumerate(calls):
        traced = trace(program, *inputs)
        if num_layers(model) > SHALLOW:
            continue
        paddle.jit.save(traced, str(folder / f"program{number}"))
        saved = paddle.jit.load(str(folder / f"program{number}"))
        with paddle.no_grad():
            wanted = arrays(Program(model, program.state_names)(inputs[0], inputs[1:]))
            found = arrays(saved(*inputs))
            names = ["logits", *program.state_names]
            for name, one, other in zip(names, found, wanted, strict=True):
                # What a sum rounded off is judged by the sum it belongs to.
                whole = names.index(name.replace("pool_rest", "pool_buffer"))
                assert np.abs(one - other).max() <= TOLERANCE * np.abs(wanted[whole]).max(), name


def test_export(model, clip, tmp_path):
    if num_layers(model) > DEEP:
        pytest.skip("deep networks: test_export_of_deep_networks, with -m slow")
    check_export(model, clip, tmp_path)


@pytest.mark.slow
def test_export_of_deep_networks(model, clip, tmp_path):
    if num_layers(model) <= DEEP:
        pytest.skip("exported by test_export")
    check_export(model, clip, tmp_path)
