# ruff: noqa: E501 - a crafted file is one line of the table below
"""Hostile TensorFlow Lite files: every one is read or refused by an error that names the file."""

import functools
import struct

import numpy as np
import pytest
from convert.tflite.movinet_file import Form, movinet_net
from convert.tflite.writer import Net
from modeling.conftest import randomise

from paddlevideo.convert.import_tflite import import_tflite
from paddlevideo.modeling import build_recognizer, model_section
from robustness.guarded import failures, outcomes
from robustness.mutations import mutants

SECONDS, MEGABYTES = 5, 300


@pytest.fixture(scope="module", params=["float32", "int8"])
def good(request) -> tuple[bytes, int]:
    """A file of a network, and where its tables end and its numbers begin."""
    options = {} if request.param == "float32" else {"se_type": "none", "activation": "relu6"}
    model = build_recognizer(model_section("movinet_t0_stream", num_classes=3, **options))
    return movinet_net(randomise(model), Form(numbers=request.param)).encoded()


def read(folder, data: bytes) -> int:
    path = folder / "a.tflite"
    path.write_bytes(data)
    return sum(array.nbytes for array in import_tflite(path).arrays.values())


def run(folder, cases):
    cases = list(cases)
    results = outcomes(functools.partial(read, folder), [d for _, d in cases], SECONDS, MEGABYTES)
    assert failures(results, [name for name, _ in cases]) == []
    assert all(str(folder) in result.text for result in results if result.kind == "refused")
    return results


def fuzz(folder, good, count, seed):
    """Half of the mutants are damaged in their tables, half anywhere."""
    data, end = good
    tables = ((name, part + data[end:]) for name, part in mutants(data[:end], count // 2, seed))
    results = run(folder, tables)
    assert any(result.kind == "refused" for result in results)
    run(folder, mutants(data, count - count // 2, seed + 100))


def test_the_good_file_is_read(tmp_path, good):
    assert read(tmp_path, good[0]) > 1_000_000


def test_mutants(tmp_path, good):
    fuzz(tmp_path, good, 100, seed=1)


@pytest.mark.slow
def test_more_mutants(tmp_path, good):
    fuzz(tmp_path, good, 500, seed=2)


def root_table(*fields: bytes) -> bytes:
    """A file whose root table has these fields of four bytes."""
    vtable = struct.pack("<HH", 4 + 2 * len(fields), 4 + 4 * len(fields))
    vtable += b"".join(struct.pack("<H", 4 + 4 * number) for number in range(len(fields)))
    vtable += bytes(-len(vtable) % 4)
    place = 8 + len(vtable)
    return struct.pack("<I", place) + b"TFL3" + vtable + struct.pack("<i", len(vtable)) + b"".join(fields)  # fmt: skip


def constants(count: int, numbers: int) -> bytes:
    """A chain of products with constants that all lie in one buffer."""
    net = Net()
    x = net.input((1, 1, 1, 8))
    large = net.constant(np.ones((numbers // 8, 8), "<f4"))
    for _ in range(count):
        again = net.tensor(net.shapes[large])
        net.tensors[again].fields[2] = net.tensors[large].fields[2]
        x = net.op("mul", [x, again], (1, 1, 1, 8), {})
    net.outputs.append(x)
    return net.encoded()[0]


def shape_of_constant(shape) -> bytes:
    net = Net()
    x = net.input((1, 1, 1, 8))
    kernel = net.tensor(shape, data=bytes(256))
    net.outputs.append(net.op("conv", [x, kernel], (1, 1, 1, 8), {}))
    return net.encoded()[0]


def many_names(count: int) -> bytes:
    net = Net()
    for _ in range(count):
        net.input((1,), name="n" * 300)
    return net.encoded()[0]


FAR, ONE = struct.pack("<I", 0xFFFFFFF0), struct.pack("<I", 1)
CRAFTED = {
    "root outside": FAR + b"TFL3",
    "root at the root": bytes(4) + b"TFL3" + bytes(64),
    "vtable before the file": struct.pack("<I", 8) + b"TFL3" + struct.pack("<i", 1 << 30) + bytes(8),
    "vtable behind the file": struct.pack("<I", 8) + b"TFL3" + struct.pack("<i", -(1 << 30)) + bytes(8),
    "no fields": root_table(),
    "graphs outside": root_table(ONE, ONE, FAR),
    "graphs overlap themselves": root_table(*[bytes(4)] * 8),
    "length of all bytes": root_table(ONE, *[struct.pack("<I", 4)] * 2, b"\xff\xff\xff\xff", b"\xff" * 4),
    "one buffer for all": constants(2000, 500_000),
    "a shape of more": shape_of_constant((8, 1, 1, 1 << 30)),
    "a shape below 0": shape_of_constant((8, 1, 1, -1)),
    "nine axes": shape_of_constant((1,) * 9),
    "many names": many_names(25_000),
}  # fmt: skip


def test_crafted_files(tmp_path):
    results = run(tmp_path, CRAFTED.items())
    assert [result.kind for result in results] == ["refused"] * len(CRAFTED)
