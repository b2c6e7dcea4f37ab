"""Reading ``.pdparams``: what plain pickle gives for a good file, nothing run for any other."""

import codecs
import collections
import ctypes
import os
import pickle
from pathlib import Path

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.utils import array_pickle
from paddlevideo.utils.array_pickle import read_array_pickle, write_array_pickle
from paddlevideo.utils.errors import WeightsError

PROTOCOLS = (2, 3, 4, 5)
NUMBERS = np.arange(-6, 6).reshape(3, 4)
ARRAYS = {
    "float16": (NUMBERS / 4).astype("float16"),
    "float32": (NUMBERS / 3).astype("float32"),
    "float64": NUMBERS / 3,
    "int64": NUMBERS,
    "uint8": NUMBERS.astype("uint8"),
    "uint16": NUMBERS.astype("uint16"),
    "bool": NUMBERS > 0,
    "complex64": (NUMBERS * 1j).astype("complex64"),
    "big_endian": (NUMBERS / 3).astype(">f4"),
    "columns_first": np.asfortranarray(NUMBERS),
    "strided": NUMBERS[::2, ::-1],
    "single": np.array(3.5, "float32"),
    "empty": np.zeros((0, 3), "float32"),
}


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def assert_same(ours, expected):
    """Equal, arrays with their dtype, containers with their kind and order."""
    if isinstance(expected, (np.ndarray, np.generic)):
        assert type(ours) is type(expected)
        assert ours.dtype == expected.dtype and ours.shape == expected.shape
        assert np.array_equal(ours, expected)
    elif isinstance(expected, dict):
        assert isinstance(ours, dict) and list(ours) == list(expected)
        for key in expected:
            assert_same(ours[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert type(ours) is type(expected) and len(ours) == len(expected)
        for one, other in zip(ours, expected, strict=True):
            assert_same(one, other)
    else:
        assert type(ours) is type(expected) and ours == expected


def test_golden(shared_dir):
    path = shared_dir / "golden/paddlevideo/movinet_a0_base_random.pdparams"
    with path.open("rb") as file:
        expected = pickle.load(file)
    assert len(expected) >= 334
    assert_same(read_array_pickle(path), expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ARRAYS)
def test_every_kind_of_array(tmp_path, name, protocol):
    path = written(tmp_path / "a.pdparams", pickle.dumps(ARRAYS[name], protocol=protocol))
    ours = read_array_pickle(path)
    assert_same(ours, ARRAYS[name])
    if ours.size:
        ours[...] = 0  # an array of our own, not a view of the file


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_containers(tmp_path, protocol):
    shared = np.ones(2)
    content = {
        "ordered": collections.OrderedDict(b=shared, a=[shared, (1, 2.5, "ø", None, True)]),
        "scalar": np.float32(0.5),
        "bytes": b"\x00\xff",
        "nested": {"deep": {"deeper": [{}, [], ()]}},
    }
    path = written(tmp_path / "a.pdparams", pickle.dumps(content, protocol=protocol))
    ours = read_array_pickle(path)
    assert_same(ours, content)
    assert ours["ordered"]["b"] is ours["ordered"]["a"][0]


@pytest.mark.parametrize("protocol", (2, 3, 4))
def test_files_of_paddle(tmp_path, protocol):
    path = str(tmp_path / "a.pdparams")
    layer = paddle.nn.Sequential(paddle.nn.Linear(3, 2), paddle.nn.BatchNorm(2))
    paddle.save(layer.state_dict(), path, protocol=protocol)
    ours = read_array_pickle(path)
    ours.pop("StructuredToParameterName@@")
    assert_same(ours, {name: tensor.numpy() for name, tensor in layer.state_dict().items()})

    half = paddle.ones([2], "float16")
    mixed = {"model": {"w": half}, "epoch": 3, "lr": 0.5, "ids": paddle.arange(3)}
    paddle.save(mixed, path, protocol=protocol)
    ours = read_array_pickle(path)  # Paddle writes a tensor inside as (name, array)
    assert ours["epoch"] == 3 and ours["lr"] == 0.5
    assert_same(ours["model"]["w"][1], half.numpy())
    assert_same(ours["ids"][1], np.arange(3))


def test_paddle_reads_ours(tmp_path):
    path = tmp_path / "a.pdparams"
    arrays = {name: array for name, array in ARRAYS.items() if name not in ("single", "big_endian")}
    write_array_pickle(path, arrays)
    assert_same(read_array_pickle(path), arrays)
    loaded = paddle.load(str(path), return_numpy=True)
    assert set(loaded) == set(arrays)
    assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())
    layer = paddle.nn.Linear(3, 2)
    weights = {"weight": np.full((3, 2), 2.0, "float32"), "bias": np.ones(2, "float32")}
    write_array_pickle(path, weights)
    layer.set_state_dict(paddle.load(str(path)))
    assert np.array_equal(layer.weight.numpy(), weights["weight"])


# Hostile files


class Calls:
    """Pickled as a call of ``function``."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


def hostile(file: Path) -> dict[str, object]:
    command = f"touch {file}"
    attack = Calls(os.system, command)
    return {
        "system": attack,
        "eval": Calls(eval, f"open({str(file)!r}, 'w')"),
        "exec": Calls(exec, f"open({str(file)!r}, 'w')"),
        "open": Calls(open, str(file), "w"),
        "getattr": Calls(getattr, attack, "x"),
        "import": Calls(__import__, "antigravity"),
        "numpy load": Calls(np.load, str(file), None, True),
        "numpy save": Calls(np.save, str(file), 1),
        "ctypes": Calls(ctypes.CDLL, "libc.so.6"),
        "codecs open": Calls(codecs.open, str(file), "w"),
        "compile": Calls(compile, "1", "x", "eval"),
        "object array": np.array([attack], dtype=object),
        "object array inside": {"a": [np.array([[1, attack]], dtype=object)]},
        "in a list": [1, (2, {"x": attack})],
        "as a key": {attack: 1},
        "as state": Calls(collections.OrderedDict, state={"x": attack}),
        "ordered": collections.OrderedDict(a=attack),
        "structured": np.zeros(2, [("a", "f4")]),
    }


@pytest.mark.parametrize("protocol", (0, 1, *PROTOCOLS))
@pytest.mark.parametrize("name", hostile(Path("F")))
def test_hostile(tmp_path, name, protocol):
    file = tmp_path / "F"
    content = pickle.dumps({"a": np.ones(2), "b": hostile(file)[name]}, protocol=protocol)
    path = written(tmp_path / "a.pdparams", content)
    with pytest.raises(WeightsError, match=r"a.pdparams: (refused|damaged)") as caught:
        read_array_pickle(path)
    assert "refused: the file holds" in str(caught.value) or "object" in name or "struct" in name
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pdparams"]


def global_of(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


HAND_MADE = {
    "text encoding": global_of("_codecs.encode") + b"(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR.",
    "dotted name": b"\x80\x04" + b"\x8c\x05numpy\x8c\x0ccore.os.path\x93.",
    "module of ours": global_of("paddlevideo.utils.array_pickle.pickle.loads") + b".",
    "numpy os": global_of("numpy.os.system") + b".",
    "persistent": b"Pos.system\n.",
    "extension": b"\x82\x01.",
    "calls the array class": global_of("numpy.ndarray") + b"(K\x03tR.",
    "state of the array class": global_of("numpy.ndarray") + b"}X\x01\x00\x00\x00aK\x01sb.",
    "object dtype": global_of("numpy.dtype") + b"(X\x01\x00\x00\x00OtR.",
    "text dtype": global_of("numpy.dtype") + b"(X\x02\x00\x00\x00U3tR.",
    "array without content": global_of("numpy.core.multiarray._reconstruct") + b"(NNNtR.",
    "a name alone": global_of("numpy.dtype") + b".",
    "a function alone": global_of("_codecs.encode") + b".",
    "contains itself": b"]\x94h\x00a.",
    "very deep": b"(" + b"]" * 3000 + b"a" * 2999 + b".",
}


@pytest.mark.parametrize("name", HAND_MADE)
def test_hand_made(tmp_path, name):
    with pytest.raises(WeightsError, match=r"a.pdparams: (refused|damaged)"):
        read_array_pickle(written(tmp_path / "a.pdparams", HAND_MADE[name]))


@pytest.mark.parametrize("name", sorted(".".join(name) for name in array_pickle._ADMITTED))
@pytest.mark.parametrize(
    "state",
    [
        {"__defaults__": (1,), "array": 1, "_function": 1},
        (None, {"__defaults__": (), "__call__": 1, "__setstate__": 1, "_function": 1}),
        (4, "<", None, ("a",), {"a": (1, 0)}, 8, 1, 63),
    ],
)
def test_a_file_cannot_alter_the_reader(tmp_path, name, state):
    """BUILD sets attributes; what it is used on here is what every later file is read with."""
    good = written(tmp_path / "good.pdparams", pickle.dumps(ARRAYS, protocol=2))
    before = {key: vars(value).copy() if hasattr(value, "__dict__") else value
              for key, value in array_pickle._ADMITTED.items()}  # fmt: skip
    content = global_of(name) + pickle.dumps(state, protocol=0)[:-1] + b"b."
    with pytest.raises(WeightsError):
        read_array_pickle(written(tmp_path / "a.pdparams", content))
    after = {key: vars(value).copy() if hasattr(value, "__dict__") else value
             for key, value in array_pickle._ADMITTED.items()}  # fmt: skip
    assert before == after
    assert_same(read_array_pickle(good), ARRAYS)


def test_a_dtype_takes_no_state_but_its_byte_order(tmp_path):
    """NumPy's own dtype would take flags from a file and read numbers as addresses."""
    state = (4, ">", None, None, None, 8, 1, 63)
    content = (
        b"(" + global_of("numpy._core.multiarray.scalar") + b"("
        + global_of("numpy.dtype") + b"(X\x02\x00\x00\x00f8\x89\x88tR"
        + pickle.dumps(state, protocol=2)[2:-1].replace(b"q\x00", b"").replace(b"q\x01", b"")
        + b"b" + pickle.dumps(np.array(2.0, ">f8").tobytes(), protocol=3)[2:-1] + b"tRt."
    )  # fmt: skip
    (number,) = read_array_pickle(written(tmp_path / "a.pdparams", content))
    assert number == 2.0 and not number.dtype.hasobject


# Damaged files


_CONTENT = {
    protocol: pickle.dumps(
        {
            **ARRAYS,
            "nested": collections.OrderedDict(x=[1, 2.5, "text", b"bytes"]),
            "scalar": np.float32(1),
        },
        protocol=protocol,
    )
    for protocol in PROTOCOLS
}


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(PROTOCOLS), st.floats(0, 1, exclude_max=True))
def test_truncated_anywhere(tmp_path_factory, protocol, share):
    content = _CONTENT[protocol][: int(share * len(_CONTENT[protocol]))]
    path = written(tmp_path_factory.getbasetemp() / "truncated.pdparams", content)
    with pytest.raises(WeightsError, match=r"truncated.pdparams: damaged or not"):
        read_array_pickle(path)


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"<html>404</html>", b"PK\x03\x04", b"\x00" * 100, b"."]
)
def test_no_pickle(tmp_path, content):
    message = rf"damaged or not a .pdparams file \({len(content)} bytes\)"
    with pytest.raises(WeightsError, match=message):
        read_array_pickle(written(tmp_path / "a.pdparams", content))


def test_missing_or_directory(tmp_path):
    with pytest.raises(WeightsError, match=r"a.pdparams cannot be read: No such file"):
        read_array_pickle(tmp_path / "a.pdparams")
    with pytest.raises(WeightsError, match="cannot be read: Is a directory"):
        read_array_pickle(tmp_path)
