# ruff: noqa: E501 - a crafted file is one line of the tables below
"""Hostile weights files: every one is read or refused by an error of ours that names the file."""

import functools
import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
from convert.tensorflow.writer import block, message, table, varint

from paddlevideo.convert.tensorflow.crc32c import crc32c, mask
from paddlevideo.convert.torch_file import read_torch_file
from paddlevideo.utils.errors import WeightsError
from paddlevideo.weights import read_weights
from robustness.guarded import failures, outcomes
from robustness.mutations import mutants
from robustness.weights_files import file_bytes, read, zip_of

KINDS = ("pickle2", "pickle4", "pickle5", "pt", "safetensors", "npz", "golden", "index", "data")
SECONDS, MEGABYTES = 5, 500


def run(kind, folder, cases):
    """The outcomes of (name, data), none of which may be anything but read or refused."""
    cases = list(cases)
    file_bytes(kind, folder)  # what lies beside a mutated file
    check = functools.partial(read, kind, folder)
    results = outcomes(check, [data for _, data in cases], SECONDS, MEGABYTES)
    assert failures(results, [name for name, _ in cases]) == []
    assert all(str(folder) in result.text for result in results if result.kind == "refused")
    return results


def fuzz(kind, folder, count, seed):
    data = file_bytes(kind, folder)
    results = run(kind, folder, mutants(data, count, seed))
    sizes = [int(result.text) for result in results if result.kind == "ok"]
    assert all(size <= 4 * len(data) + 4096 for size in sizes)


@pytest.mark.parametrize("kind", KINDS)
def test_good_files_are_read(tmp_path, kind):
    if kind == "npz":
        return  # a table without a network is refused
    assert read(kind, tmp_path, file_bytes(kind, tmp_path)) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_mutants(tmp_path, kind):
    fuzz(kind, tmp_path, 200, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2, 5))
def test_more_mutants(tmp_path, kind, seed):
    fuzz(kind, tmp_path, 500, seed)


def called(name: str, arguments: bytes) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode() + arguments + b"R"


DTYPE = called("numpy.dtype", b"(X\x02\0\0\0f4\x89\x88t") + b"(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"  # fmt: skip
MADE = called("numpy.core.multiarray._reconstruct", b"cnumpy\nndarray\nK\0\x85C\x01b\x87")


def array_of(shape: bytes, data: bytes, dtype: bytes = DTYPE) -> bytes:
    return MADE + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb"


def dtype_of(text: str) -> bytes:
    return called(
        "numpy.dtype", b"(X" + struct.pack("<I", len(text)) + text.encode() + b"\x89\x88t"
    )


def doubled(count: int, make: bytes) -> bytes:
    """A container of two of the one before, so often."""
    return b"]\x94" + b"".join(make.replace(b"#", bytes([n])) for n in range(count))


PAIR = b"h#h#\x86\x94"
LIST = b"](h#h#e\x94"
FOUR_MB = b"\x8e" + struct.pack("<Q", 1 << 22) + bytes(1 << 22)

PICKLES = {
    "deep key": b"})" + b"\x85" * 200_000 + b"K\x01s.",
    "deep list": b"]" * 200_000 + b"a" * 199_999 + b".",
    "deep dict": b"}K\0" * 100_000 + b"}" + b"s" * 100_000 + b".",
    "shared tuples": doubled(60, PAIR) + b".",
    "shared tuples as a key": b"}" + doubled(60, PAIR) + b"K\x01s.",
    "shared lists": doubled(60, LIST) + b".",
    "list of itself": b"]\x94h\0a.",
    "memo index": b"Nr\xff\xff\xff\xff.",
    "memo index as text": b"Np99999999999999999999\n.",
    "length of bytes": b"\x8e" + b"\xff" * 8 + b".",
    "length of a bytearray": b"\x96" + b"\x00\x00\x00\x00\x01\0\0\0" + b".",
    "length of text": b"\x8d" + b"\x7f" * 8 + b".",
    "negative length": b"T\xff\xff\xff\xff.",
    "frame": b"\x95" + b"\xff" * 8 + b".",
    "long": b"\x8b\xff\xff\xff\x7f.",
    "negative long": b"\x8b\xff\xff\xff\xff.",
    "long in the file": b"\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20) + b".",
    "digits": b"I" + b"9" * 5000 + b"\n.",
    "digits of a long": b"L" + b"9" * 1_000_000 + b"L\n.",
    "float": b"Fnonsense\n.",
    "surrogate": b"}X\x03\0\0\0\xed\xa0\x80K\x01s.",
    "millions of steps": b"]0" * 3_000_000 + b"N.",
    "millions of lists": b"]" * 6_000_000 + b".",
    "duplicates": b"N" + b"2" * 6_000_000 + b".",
    "marks": b"(" * 6_000_000 + b".",
    "sets": b"\x8f(" + b"K\x01" * 1000 + b"\x90.",
    "frozen set as a key": b"}(\x91K\x01s.",
    "colliding keys": b"}(" + b"".join(
        b"\x8a\x0a" + ((2**61 - 1) * n).to_bytes(10, "little") + b"N" for n in range(60_000)) + b"u.",
    "persistent": b"K\x01Q.",
    "persistent text": b"Pname\n.",
    "extension": b"\x82\x01.",
    "instance": b"(ios\nsystem\n.",
    "object": b"(cos\nsystem\no.",
    "new object": b"cnumpy\ndtype\n)\x81.",
    "new object with names": b"cnumpy\ndtype\n)}\x92.",
    "out of band": b"\x97.",
    "name of numbers": b"K\x01K\x02\x93.",
    "odd name": b"\x8c\x00\x8c\x00\x93.",
    "call of a number": b"K\x01)R.",
    "chain of calls": b"N" + b")R" * 100_000 + b".",
    "state of a number": b"K\x01}b.",
    "stack underflow": b"\x87.",
    "protocol": b"\x80\xff.",
    "integer for data": array_of(b"K\x01\x85", b"\x8a\x05\0\0\0\0\x01") + b".",
    "list for data": array_of(b"K\x01\x85", b"]") + b".",
    "other size": array_of(b"K\x02\x85", b"C\x04\0\0\0\0") + b".",
    "huge shape": array_of(b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", b"C\x04\0\0\0\0") + b".",
    "overflowing shape": array_of(b"(" + b"\x8a\x08" + b"\0" * 7 + b"\x40" + b"K\x04t", b"C\0") + b".",
    "huge and empty": array_of(b"(" + b"\x8a\x0a" + b"\x7f" * 10 + b"K\0t", b"C\0") + b".",
    "negative shape": array_of(b"J\xff\xff\xff\xff\x85", b"C\x04\0\0\0\0") + b".",
    "axes": array_of(b"(" + b"K\x01" * 5000 + b"t", b"C\x04\0\0\0\0") + b".",
    "shape of itself": array_of(b"]\x94h\0a", b"C\0") + b".",
    "array without a state": MADE + b".",
    "array in its state": MADE + b"\x94(K\x01h\0" + DTYPE + b"\x89h\0tb.",
    "buffer of a number": called("numpy.core.numeric._frombuffer", b"(\x8a\x05\0\0\0\0\x01" + DTYPE + b"K\x01\x85X\x01\0\0\0Ct") + b".",
    "tuple of bytes": FOUR_MB + b"\x940" + b"(" + called("builtins.tuple", b"h\0\x85") * 500 + b"t.",
    "bytes of text": b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"\x940(" + called("_codecs.encode", b"h\0X\x06\0\0\0latin1\x86") * 2000 + b"t.",
    "arrays of the same bytes": FOUR_MB + b"\x940(" + array_of(b"J\0\0\x10\0\x85", b"h\0") * 400 + b"t.",
    **{f"dtype {text}": array_of(b"K\0\x85", b"C\0", dtype_of(text)) + b"."
       for text in ("O", "S1000000000", "V2000000000", "U9999", "M8[s]", "f4,f4", "(9,9)f4", "", "?" * 9)},
    "dtype None": called("numpy.dtype", b"N\x89\x88\x87") + b".",
    "byte order": called("numpy.dtype", b"X\x02\0\0\0f4\x89\x88\x87") + b"K\x01b.",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["pickle4", "pt"])
def test_crafted_pickles(tmp_path, kind):
    """Each as it is, and as the one value of a table; in a .pt as its ``data.pkl``."""
    cases = []
    for name, tail in PICKLES.items():
        for label, data in (
            (name, tail),
            (f"{name}, in a table", b"}X\x01\0\0\0a" + tail[:-1] + b"s."),
        ):
            data = b"\x80\x04" + data
            cases.append((label, zip_of({"x/data.pkl": data}) if kind == "pt" else data))
    results = run(kind, tmp_path, cases)
    named = dict(zip([name for name, _ in cases], results, strict=True))
    for name in ("deep key", "shared tuples", "memo index", "integer for data", "dtype O"):
        assert named[name].kind == "refused"
    if kind == "pickle4":
        assert {result.kind for result in results} == {"refused"}


def safetensors_of(header, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(1,), place=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(place)}


SAFETENSORS = {
    "header length": b"\xff" * 8 + b"{}",
    "long header": struct.pack("<Q", 50_000_000) + b" " * 50_000_000,
    "deep": safetensors_of(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "digits": safetensors_of(b'{"a":' + b"9" * 5000 + b"}"),
    "list": safetensors_of([1]),
    "overlap": safetensors_of({"a": entry(), "b": entry()}, bytes(4)),
    "gap": safetensors_of({"a": entry(place=(4, 8))}, bytes(8)),
    "outside": safetensors_of({"a": entry(shape=[2], place=(0, 8))}, bytes(4)),
    "behind": safetensors_of({"a": entry()}, bytes(5)),
    "negative": safetensors_of({"a": entry(shape=[-1], place=(4, 0))}, bytes(4)),
    "huge and empty": safetensors_of({"a": entry(shape=[2**63, 0], place=(0, 0))}),
    "overflow": safetensors_of({"a": entry(shape=[2**62, 4], place=(0, 0))}),
    "truth value": safetensors_of({"a": entry(shape=[True])}, bytes(4)),
    "axes": safetensors_of({"a": entry(shape=[1] * 1000)}, bytes(4)),
    "twice": safetensors_of(b'{"a":1,"a":2}'),
    "type": safetensors_of({"a": entry(dtype="F8_E4M3", place=(0, 1))}, bytes(1)),
    "type of lists": safetensors_of({"a": entry(dtype=["F32"])}, bytes(4)),
    "many": safetensors_of({str(n): entry(shape=[0], place=(0, 0)) for n in range(30_000)}),
}


def test_crafted_safetensors(tmp_path):
    results = run("safetensors", tmp_path, SAFETENSORS.items())
    assert {result.kind for result in results} == {"refused"}


def npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header.encode() + data


def npy_of(descr="'<f4'", shape="(1,)", data=bytes(4)) -> bytes:
    return npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}", data)


def lying_zip() -> bytes:
    """A member that is said to be of 4 GB."""
    data = bytearray(zip_of({"a.npy": npy_of()}))
    place = data.rfind(b"PK\x01\x02")
    data[place + 20 : place + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    return bytes(data)


NPZ = {
    "bomb": zip_of({"input.npy": npy_of(shape="(175000000,)", data=bytes(7 * 10**8))}, zipfile.ZIP_DEFLATED),
    "huge shape": zip_of({"a.npy": npy_of(shape="(99999999999,)")}),
    "huge and empty": zip_of({"a.npy": npy_of(shape="(99999999999999999999, 0)", data=b"")}),
    "objects": zip_of({"a.npy": npy_of(descr="'|O'")}),
    "records": zip_of({"a.npy": npy_of(descr="[('a', '<f4')]")}),
    "wide text": zip_of({"a.npy": npy_of(descr="'|S4000000000'", shape="(0,)", data=b"")}),
    "deep": zip_of({"a.npy": npy("(" * 9000)}),
    "names": zip_of({"a.npy": npy("__import__('os')")}),
    "no header": zip_of({"a.npy": b"\x93NUMPY\x01\x00"}),
    "negative": zip_of({"a.npy": npy_of(shape="(-1,)")}),
    "lying": lying_zip(),
    "many members": zip_of({f"{n}": b"" for n in range(30_000)}),
    "seed": zip_of({"input_seed.npy": npy_of("'<i8'", "()", bytes(8)),
                    "input_shape.npy": npy_of("'<i8'", "(5,)", struct.pack("<5q", 1, 3, 9000, 900, 900))}),
    "config": zip_of({"config.npy": npy_of("'<U4'", "()", "[1] ".encode("utf-32-le"))}),
}  # fmt: skip


def test_crafted_goldens(tmp_path):
    results = run("golden", tmp_path, NPZ.items())
    assert {result.kind for result in results} == {"refused"}


def long_keys(count: int) -> bytes:
    """Entries that share a key of a megabyte, each with a checksum that is right."""
    shared, names = 2**20, [str(n).encode().rjust(6, b"0") for n in range(count)]
    content = varint(0) + varint(shared + 6) + varint(0) + b"k" * shared + names[0]
    content += b"".join(varint(shared) + varint(6) + varint(0) + name for name in names[1:])
    content += struct.pack("<2I", 0, 1) + b"\0"
    return one_block(content + struct.pack("<I", mask(crc32c(content))))


def one_block(written: bytes, times: int = 1) -> bytes:
    """A table whose index names the same block so often."""
    handle = varint(0) + varint(len(written) - 5)
    index = block([(str(n).encode().rjust(8, b"0"), handle) for n in range(times)])
    places = varint(0) + varint(0) + varint(len(written)) + varint(len(index) - 5)
    return written + index + places.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def index_of(*fields) -> bytes:
    """An index with one tensor of these fields."""
    return table({b"": message((1, 1), (3, message((1, 1)))), b"a": message(*fields)})


INDEXES = {
    "long keys": long_keys(6000),
    "a block many times": one_block(block([(b"a", b"")]), 100_000),
    "an empty block many times": one_block(block([]), 5_000),
    "a large block many times": one_block(block([(b"a", bytes(1 << 20))]), 5_000),
    "many entries": one_block(block([(str(n).encode().rjust(8, b"0"), b"") for n in range(100_000)])),
    "huge tensor": index_of((1, 1), (2, message((2, message((1, 2**40))))), (5, 2**42)),
    "huge and empty": index_of((1, 1), (2, message((2, message((1, 2**63))), (2, b"")))),
    "axes": index_of((1, 1), (2, message(*[(2, message((1, 1)))] * 1000)), (5, 4)),
    "offset": index_of((1, 1), (4, 2**63), (5, 4)),
    "shard": index_of((1, 1), (3, 2**63)),
    "text for a number": index_of((1, b"x")),
    "key that is no text": table({b"": message((1, 1)), b"\xff": b""}),
    "no header": table({b"a": b""}),
    "no entries": one_block(block([])),
    "handle outside": bytes(20) + b"\xff" * 9 + b"\x01" + bytes(30) + struct.pack("<Q", 0xDB4775248B80FB57),
}  # fmt: skip


def test_crafted_indexes(tmp_path):
    run("index", tmp_path, INDEXES.items())


def test_tensors_of_one_storage(tmp_path):
    """Fifteen hundred views of one storage are refused, and a pair that is tied is read."""
    from convert.torch_writer import Tensor, write_torch_file

    storage = np.arange(1 << 18, dtype="float32")
    views = {f"t{n}": Tensor(storage, storage.shape, (1,)) for n in range(1500)}
    write_torch_file(tmp_path / "bomb.pt", views)
    with pytest.raises(WeightsError, match=r"bomb\.pt.*4 times as long as the file"):
        read_torch_file(tmp_path / "bomb.pt")
    write_torch_file(tmp_path / "tied.pt", dict(list(views.items())[:2]))
    tied = read_torch_file(tmp_path / "tied.pt")
    assert np.array_equal(tied["t0"], storage) and np.array_equal(tied["t1"], storage)


@pytest.mark.parametrize("name", ["/dev/zero", "pipe.pdparams", "pipe.safetensors"])
def test_what_has_no_end_is_no_file(tmp_path, name):
    import os

    path = tmp_path / name
    if name.startswith("pipe"):
        os.mkfifo(path)
    else:
        path = tmp_path / "link.pdparams"
        path.symlink_to(name)
    with pytest.raises(WeightsError, match="it is no regular file"):
        read_weights(path)


def test_what_a_reader_refuses_is_not_what_pickle_writes():
    """The limits leave room: a pickle of 20,000 arrays takes less than the steps that are left."""
    arrays = {f"a{n}": np.zeros(1, "float32") for n in range(20_000)}
    from paddlevideo.utils.array_pickle import _ADMITTED
    from paddlevideo.utils.safe_pickle import load_admitted

    for protocol in (2, 4, 5):
        data = pickle.dumps(arrays, protocol)
        assert len(load_admitted(io.BytesIO(data), len(data), _ADMITTED)) == len(arrays)
