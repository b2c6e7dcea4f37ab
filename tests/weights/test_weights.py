"""Weights files: what is read is what was written; what does not fit changes nothing."""

import json
import pickle
import struct

import numpy as np
import paddle
import pytest
from modeling.conftest import randomise, seeded

from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.utils.errors import WeightsError
from paddlevideo.weights import (
    load_arrays,
    load_initial_arrays,
    model_arrays,
    read_weights,
    write_weights,
)


def build(num_classes=4):
    return build_recognizer(model_section("movinet_t0_base", num_classes=num_classes))


@pytest.fixture(scope="module")
def arrays():
    return model_arrays(randomise(build()))


def same(one, other) -> bool:
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name])
        for name in one
    )


@pytest.mark.parametrize("extension", [".pdparams", ".safetensors"])
def test_round_trip(tmp_path, arrays, extension):
    path = tmp_path / f"weights{extension}"
    write_weights(path, arrays)
    read = read_weights(path)
    assert same(dict(sorted(read.items())), dict(sorted(arrays.items())))
    model = build()
    assert not same(model_arrays(model), arrays)
    load_arrays(model, read, "here")
    assert same(model_arrays(model), arrays)
    assert list(tmp_path.iterdir()) == [path]


def test_paddle_reads_what_we_write_and_we_read_what_it_writes(tmp_path, arrays):
    write_weights(tmp_path / "ours.pdparams", arrays)
    assert same(
        {k: np.asarray(v) for k, v in paddle.load(str(tmp_path / "ours.pdparams")).items()}, arrays
    )
    model = build()
    load_arrays(model, arrays, "here")
    paddle.save(model.state_dict(), str(tmp_path / "theirs.pdparams"))
    assert same(read_weights(tmp_path / "theirs.pdparams"), arrays)


def test_everything_that_does_not_fit_is_listed_and_nothing_loaded(arrays):
    model = build()
    before = model_arrays(model)
    wrong = dict(arrays)
    names = list(wrong)
    missing = [names[0], names[40]]
    for name in missing:
        del wrong[name]
    wrong["backbone.elsewhere.weight"] = wrong["head.fc.bias"] = np.zeros(3, "float32")
    wrong["head.classifier.weight"] = np.zeros((1024, 9), "float32")
    wrong["head.classifier.bias"] = np.zeros(9, "float32")
    with pytest.raises(WeightsError) as caught:
        load_arrays(model, wrong, "some.pdparams")
    message = str(caught.value)
    assert message.startswith("some.pdparams does not fit the model; nothing was loaded.")
    assert "2 missing in the file:" in message and "2 unknown to the model:" in message
    assert "2 of another shape:" in message
    for name in (*missing, "backbone.elsewhere.weight", "head.fc.bias"):
        assert f"\n    {name}\n" in message
    assert "head.classifier.weight: model [1024, 4], file [1024, 9]" in message
    assert "head.classifier.bias: model [4], file [9]" in message
    assert same(model_arrays(model), before)


def test_what_is_no_number_is_listed_and_nothing_loaded(arrays):
    model = build()
    before = model_arrays(model)
    names = np.array(["a", "b", "c", "d"])
    wrong = {**arrays, "head.classifier.bias": names}
    with pytest.raises(WeightsError, match=r"1 not real numbers:\n    head.classifier.bias: <U1"):
        load_arrays(model, wrong, "here")
    assert same(model_arrays(model), before)


def test_another_number_of_classes(arrays):
    with pytest.raises(WeightsError, match="number of classes"):
        load_arrays(build(num_classes=5), arrays, "here")


CLASSIFIER = ("head.classifier.weight", "head.classifier.bias")


def test_head_swap(arrays, caplog):
    """Everything but the classifier; the log says what was left, from how many to how many."""
    model = build(num_classes=5)
    initial = model_arrays(model)
    load_initial_arrays(model, arrays, "some.pdparams")
    loaded = model_arrays(model)
    for name in loaded:
        assert np.array_equal(loaded[name], (initial if name in CLASSIFIER else arrays)[name]), name
    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith("some.pdparams is of 4 classes, the model has 5: ")
    assert all(name in said for name in CLASSIFIER)
    assert f"the other {len(loaded) - 2} tensors are loaded" in said


def test_no_swap_where_the_classes_agree(arrays, caplog):
    model = build()
    load_initial_arrays(model, arrays, "here")
    assert same(model_arrays(model), arrays) and not caplog.records


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"backbone.stem.conv.weight": np.zeros((8, 3, 1, 5, 5))},
            "backbone.stem.conv.weight: mod",
        ),
        ({"backbone.elsewhere": np.zeros(1)}, "1 unknown to the model:\n    backbone.elsewhere"),
        ({"head.dense.weight": None}, "1 missing in the file:\n    head.dense.weight"),
        ({"head.classifier.bias": None}, r"1 missing in the file:\n    head.classifier.bias"),
        ({"head.classifier.bias": np.zeros(3)}, r"head.classifier.bias: model \[5\], file \[3\]"),
        ({"head.classifier.bias": np.array(1.0)}, r"head.classifier.bias: model \[5\], file \[\]"),
        ({"head.classifier.weight": np.zeros((9, 4))}, r"classifier.weight: model \[1024, 5\], fi"),
    ],
)
def test_whatever_else_does_not_fit_is_an_error(arrays, change, message):
    model = build(num_classes=5)
    before = model_arrays(model)
    wrong = {name: a for name, a in {**arrays, **change}.items() if a is not None}
    with pytest.raises(WeightsError, match=message):
        load_initial_arrays(model, wrong, "here")
    assert same(model_arrays(model), before)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("extension", [".pdparams", ".safetensors"])
def test_another_precision(tmp_path, arrays, extension, dtype):
    converted = {name: array.astype(dtype) for name, array in arrays.items()}
    write_weights(tmp_path / f"weights{extension}", converted)
    model = build()
    load_arrays(model, read_weights(tmp_path / f"weights{extension}"), "here")
    loaded = model_arrays(model)
    assert {array.dtype for array in loaded.values()} == {np.dtype("float32")}
    assert all(np.array_equal(loaded[k], converted[k].astype("float32")) for k in loaded)


def test_numbers_that_numpy_does_not_have(tmp_path):
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(WeightsError, match="weights of type BF16 cannot be read; save them as"):
        read_weights(path)


@pytest.mark.parametrize("name", ["weights.pth", "weights", "weights.pdparams.bak"])
def test_unknown_extension(tmp_path, name, arrays):
    with pytest.raises(WeightsError, match=r"unknown format .*expected .pdparams or .safetensors"):
        read_weights(tmp_path / name)
    with pytest.raises(WeightsError, match=r"expected .pdparams or .safetensors"):
        write_weights(tmp_path / name, arrays)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", [".pdparams", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated(tmp_path, arrays, extension, share):
    path = tmp_path / f"weights{extension}"
    write_weights(path, {name: arrays[name] for name in list(arrays)[:20]})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match="damaged or not a") as caught:
        read_weights(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("extension", [".pdparams", ".safetensors"])
def test_missing_or_not_weights(tmp_path, extension):
    path = tmp_path / f"weights{extension}"
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        read_weights(path)
    path.write_text("<html>404</html>")
    with pytest.raises(WeightsError, match="damaged or not a"):
        read_weights(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(WeightsError, match="cannot be read"):
        read_weights(path)


class _Hostile:
    """What unpickling would call."""

    def __reduce__(self):
        return print, ("pwned",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "expected {name: array}, found list"),
        ({}, "the file holds no weights"),
        ({"a": np.zeros(2), "epoch": 3}, "these entries are not arrays: epoch"),
        ({"a": _Hostile()}, "refused: the file holds builtins.print"),
        ({"a": np.array([_Hostile()], dtype=object)}, "damaged|refused"),
    ],
)
def test_not_a_table_of_arrays(tmp_path, capsys, content, message):
    path = tmp_path / "weights.pdparams"
    path.write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(WeightsError, match=message):
        read_weights(path)
    assert "pwned" not in capsys.readouterr().out


def test_an_array_that_is_not_contiguous(tmp_path):
    turned = seeded((3, 4)).T
    for extension in (".pdparams", ".safetensors"):
        write_weights(tmp_path / f"w{extension}", {"a": turned})
        assert np.array_equal(read_weights(tmp_path / f"w{extension}")["a"], turned)


def test_a_single_number_keeps_its_shape(tmp_path):
    write_weights(tmp_path / "w.safetensors", {"a": np.array(3.0)})
    assert read_weights(tmp_path / "w.safetensors")["a"].shape == ()


def test_an_aborted_write_leaves_the_old_file(tmp_path, arrays):
    path = tmp_path / "weights.pdparams"
    write_weights(path, {"a": np.zeros(3)})
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        write_weights(path, {"a": np.zeros(3), "b": np.array([lambda: 0])})
    assert list(read_weights(path)) == ["a"] and list(tmp_path.iterdir()) == [path]
