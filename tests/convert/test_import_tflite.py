"""MoViNet streams in TensorFlow Lite files: every form of the same network, and what is refused."""

import numpy as np
import paddle
import pytest
from modeling.conftest import TOLERANCE, randomise, relative_error

import paddlevideo
from convert.tflite.movinet_file import Form, movinet_net, tflite_bytes
from paddlevideo.convert.import_tflite import import_tflite
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.modeling.layers.restore_batch_norm import is_folded
from paddlevideo.utils.errors import WeightsError
from paddlevideo.weights import load_arrays

T0 = "movinet_t0_stream"
NO_GATES = {"se_type": "none", "activation": "relu6", "classifier_activation": "relu6"}


def built(name=T0, num_classes=5, **options):
    section = model_section(name, num_classes=num_classes, **options)
    return build_recognizer({**section, "scaling": {"scale": 1.0}}).eval()


@pytest.fixture(scope="module")
def gated():
    return randomise(built())


@pytest.fixture(scope="module")
def plain():
    return randomise(built(**NO_GATES))


def written(path, model, form=None):
    path.write_bytes(tflite_bytes(model, form))
    return path


def logits_of(model, clip):
    with paddle.no_grad():
        return model(paddle.to_tensor(clip)).numpy()


def error_of(path, model):
    """Logits of the imported network against those of ``model``, on a clip of several frames."""
    imported = import_tflite(path)
    ours = built(imported.model, **imported.options)
    load_arrays(ours, imported.arrays, imported.source)
    assert set(imported.arrays) == set(ours.state_dict())
    assert is_folded(ours)
    clip = np.random.default_rng(3).random((1, 3, 3, 32, 32), "float32")
    return relative_error(logits_of(ours, clip), logits_of(model, clip))


FORMS = {
    "plain": Form(),
    "whole rezero": Form(rezero="whole", mean="sum"),
    "folded rezero": Form(rezero="folded", mean="pool"),
    "dense layers": Form(dense="fully_connected", gate_bias="added", swapped=True),
    "hard swish": Form(hard_swish="sixth of all"),
    "hard swish, sixth of x": Form(hard_swish="sixth of x", activation="apart"),
    "hard swish, sixth of gate": Form(hard_swish="sixth of gate", swapped=True),
    "softmax": Form(softmax=True, swapped=True, mean="sum"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_a_network_with_gates(tmp_path, gated, form):
    assert error_of(written(tmp_path / "a.tflite", gated, form), gated) < TOLERANCE


@pytest.mark.parametrize("activation", ["fused", "apart"])
def test_a_network_without_gates(tmp_path, plain, activation):
    path = written(tmp_path / "a.tflite", plain, Form(activation=activation, pixels=True))
    assert error_of(path, plain) < TOLERANCE


@pytest.mark.parametrize(
    "options",
    [
        {"se_type": "2d"},
        {"se_type": "3d", "gating_activation": "sigmoid"},
        {"activation": "swish", "classifier_activation": "hard_swish"},
        {"activation": "relu6", "num_classes": 11},
        NO_GATES,
    ],
    ids=str,
)
def test_options_are_found(tmp_path, options):
    model = randomise(built(**options))
    path = written(tmp_path / "a.tflite", model)
    imported = import_tflite(path)
    expected = {
        "num_classes": 5,
        "se_type": "2plus3d",
        "activation": "hard_swish",
        "gating_activation": "hard_sigmoid",
        "classifier_activation": "swish",
        **options,
    }
    if expected["se_type"] == "none":
        del expected["gating_activation"]
    assert (imported.model, imported.options) == (T0, expected)
    assert error_of(path, model) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["movinet_a0_stream", "movinet_a1_stream", "movinet_a2_stream"])
def test_variants(tmp_path, name):
    model = randomise(built(name))
    path = written(tmp_path / "a.tflite", model)
    assert import_tflite(path).model == name
    assert error_of(path, model) < TOLERANCE


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("numbers", ["float16", "dynamic", "int8"])
def test_rounded_numbers(tmp_path, gated, numbers, per_tensor):
    exact = import_tflite(written(tmp_path / "a.tflite", gated)).arrays
    form = Form(numbers=numbers, per_tensor=per_tensor, rezero="whole")
    rounded = import_tflite(written(tmp_path / "b.tflite", gated, form)).arrays
    assert set(rounded) == set(exact)
    for name, array in exact.items():
        assert array.dtype == rounded[name].dtype == np.float32
        step = 2.0**-10 if numbers == "float16" else 1 / 127  # of the largest
        if name.endswith("bias"):
            step = 2.0**-19 if numbers == "int8" else 1e-6
        allowed = step * max(1.0, np.abs(array).max()) * 0.51
        assert np.abs(rounded[name] - array).max() <= allowed, name


def test_batch_norms_are_those_of_a_folded_network(tmp_path, plain):
    arrays = import_tflite(written(tmp_path / "a.tflite", plain)).arrays
    for name, array in arrays.items():
        if name.endswith(("_mean", "_variance")):
            assert (array == name.endswith("_variance")).all()


def test_the_released_network(shared_dir):
    """`a0_stream_mobile_k600.npz`: logits of the released int8 A0, multiplied out, in LiteRT."""
    folder = shared_dir / "pretrained"
    if not folder.is_dir():
        pytest.skip("needs ../shared/pretrained, which is absent")
    imported = import_tflite(folder / "movinet-a0-stream-int8.tflite")
    assert imported.model == "movinet_a0_stream"
    assert imported.options == {"num_classes": 600, **NO_GATES}
    assert imported.left_over == {} and imported.unknown == []
    model = built(imported.model, **imported.options)
    load_arrays(model, imported.arrays, imported.source)
    with np.load(folder / "a0_stream_mobile_k600.npz") as golden:
        clip, expected = golden["input"].transpose(0, 1, 4, 2, 3), golden["stream_logits"]
        assert relative_error(logits_of(model, clip), golden["logits"]) < TOLERANCE
    states = model.init_states(1, *clip.shape[-2:])
    for frame, wanted in enumerate(expected):
        with paddle.no_grad():
            logits, states = model.step(paddle.to_tensor(clip[:, frame : frame + 1]), states)
        assert relative_error(logits.numpy(), wanted) < TOLERANCE


def test_create_model(tmp_path, plain):
    path = written(tmp_path / "a.tflite", plain)
    model = paddlevideo.create_model(T0, num_classes=5, weights=path, **NO_GATES).eval()
    clip = np.random.default_rng(3).random((1, 2, 3, 32, 32), "float32")
    assert relative_error(logits_of(model, clip * 255), logits_of(plain, clip)) < TOLERANCE


def test_create_model_of_other_classes(tmp_path, plain, caplog):
    path = written(tmp_path / "a.tflite", plain)
    paddlevideo.create_model(T0, num_classes=3, weights=path, **NO_GATES)
    assert "is of 5 classes, the model has 3" in caplog.text


def test_options_to_set_are_listed(tmp_path, plain):
    path = written(tmp_path / "a.tflite", plain)
    with pytest.raises(WeightsError) as error:
        paddlevideo.create_model("movinet_a0_stream", num_classes=5, weights=path)
    for line in (
        f"{path} is of a network with other options",
        "MODEL.backbone.model_type: T0 (the model has A0)",
        "MODEL.backbone.se_type: none (the model has 2plus3d)",
        "MODEL.backbone.activation: relu6 (the model has hard_swish)",
        "MODEL.head.activation: relu6 (the model has swish)",
    ):
        assert line in str(error.value)


def test_another_epsilon_is_no_small_thing(tmp_path, plain):
    """The batch norms in place of the folded ones are exact for one epsilon only."""
    path = written(tmp_path / "a.tflite", plain)
    with pytest.raises(WeightsError, match=r"bn_epsilon: 0.001 \(the model has 1e-05\)"):
        paddlevideo.create_model(T0, num_classes=5, weights=path, bn_epsilon=1e-5, **NO_GATES)


def changed(model, change, form=None):
    net = movinet_net(model, form)
    change(net)
    return net.encoded()[0]


def first(net, kind):
    return next(op for op in net.operations if op[0] == kind)


def add_convolution(net):
    x = net.op("conv", first(net, "conv")[1], (1, 16, 16, 8), {})
    net.outputs.append(x)


def swap_past_and_present(net):
    first(net, "concatenation")[1].reverse()


def unknown_operation(net):
    place = net.operations.index(first(net, "conv"))
    inputs = net.operations[place][1]
    made = net.op("custom", [inputs[0]], net.shapes[inputs[0]])
    net.operations.insert(place, net.operations.pop())
    inputs[0] = made


def two_logits(net):
    last = next(op for op in reversed(net.operations) if op[0] == "conv")
    net.outputs.append(net.op("conv", last[1], (1, 1, 1, 5), {1: ("i", 1), 2: ("i", 1)}))


def drop_a_block(net):
    sums = [op for op in net.operations if op[0] == "add" and len(net.shapes[op[2][0]]) == 4]
    bottlenecks = [op for op in sums if net.shapes[op[2][0]][1] > 1]
    before, after = bottlenecks[3][2][0], bottlenecks[4][2][0]
    for _, inputs, _, _ in net.operations:
        inputs[:] = [before if number == after else number for number in inputs]


def other_pool(net):
    first(net, "average_pool")[3][3] = ("i", 2)


def no_state(net):
    net.inputs.remove(first(net, "concatenation")[1][0])


def later_first(net):
    net.operations.reverse()


def other_activation(net):
    first(net, "depthwise_conv")[3][4] = ("b", 1)


def other_pixels(net):
    x = first(net, "reshape")[2][0]
    share = net.constant(np.array(0.5, "<f4"))
    y = net.op("mul", [x, share], net.shapes[x], {})
    net.operations.insert(1, net.operations.pop())
    first(net, "conv")[1][0] = y


REFUSED = {
    "one more convolution": (add_convolution, "1 operations are no part of a MoViNet stream"),
    "past after present": (swap_past_and_present, "without frames of the past"),
    "unknown operation": (unknown_operation, "is no input of the network"),
    "two classifiers": (two_logits, "2 of its outputs are the logits"),
    "a block left out": (drop_a_block, "no part of a MoViNet stream|are those of no MoViNet"),
    "another pool": (other_pool, "is no mean over 3x3 pixels"),
    "no state": (no_state, "is read before it is made"),
    "order": (later_first, "is read before it is made"),
    "activations": (other_activation, "its layers differ in activation: relu, relu6"),
    "pixels": (other_pixels, "it multiplies pixels by 0.5"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path, plain, change, message):
    path = tmp_path / "a.tflite"
    path.write_bytes(changed(plain, change))
    with pytest.raises(WeightsError, match=message) as error:
        import_tflite(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, b"TFL3" * 4, b"PK\x03\x04" + bytes(64)])
def test_no_tflite_file(tmp_path, content):
    path = tmp_path / "a.tflite"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged or not a TensorFlow Lite model"):
        import_tflite(path)


def test_missing_and_too_large(tmp_path, plain, monkeypatch):
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        import_tflite(tmp_path / "none.tflite")
    path = written(tmp_path / "a.tflite", plain)
    monkeypatch.setenv("PADDLEVIDEO_LIMITS", "tflite_bytes=1000")
    with pytest.raises(WeightsError, match=r"has \d+ bytes; at most 1000 are read"):
        import_tflite(path)
