"""``torch.save`` files: every view and number type, and nothing run for any other file."""

import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modeling.conftest import seeded

from convert.tensorflow.writer import bfloat16
from convert.torch_writer import STORAGES, Tensor, write_torch_file
from paddlevideo.convert.torch_file import read_torch_file
from paddlevideo.utils.errors import WeightsError

NUMBERS = np.arange(24)


@pytest.mark.parametrize("dtype", [name for name in STORAGES if name != "bfloat16"])
def test_number_types(tmp_path, dtype):
    array = (NUMBERS % 5).astype(dtype).reshape(2, 3, 4)
    write_torch_file(tmp_path / "a.pt", OrderedDict(a=array, b=np.asarray(array[0, 0, 0])))
    read = read_torch_file(tmp_path / "a.pt")
    assert read["a"].dtype == dtype and np.array_equal(read["a"], array)
    assert read["b"].shape == () and read["b"] == array[0, 0, 0]


def test_bfloat16(tmp_path):
    values = seeded((3, 4))
    tensor = Tensor(bfloat16(values).reshape(-1), (3, 4), (4, 1), dtype="bfloat16")
    write_torch_file(tmp_path / "a.pt", {"a": tensor})
    read = read_torch_file(tmp_path / "a.pt")["a"]
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, values, rtol=2**-7)


@settings(max_examples=40)
@given(st.permutations(range(3)), st.tuples(*[st.integers(0, 2)] * 3))
def test_views_keep_strides_and_offset(tmp_path_factory, axes, starts):
    base = NUMBERS.astype("float32").reshape(2, 3, 4)
    view = base[min(starts[0], 1) :, starts[1] :, starts[2] :].transpose(axes)
    offset = (view.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // 4
    strides = tuple(step // 4 for step in view.strides)
    path = tmp_path_factory.mktemp("view") / "a.pt"
    flat = base.reshape(-1)
    write_torch_file(
        path, {"view": Tensor(flat, view.shape, strides, offset), "all": Tensor.of(flat)}
    )
    read = read_torch_file(path)
    assert np.array_equal(read["view"], view) and np.array_equal(read["all"], flat)


def test_tables_in_tables_and_plain_values(tmp_path):
    content = {"state_dict": OrderedDict(a=seeded((2, 2))), "epoch": 3, "names": ["x", ("y", 1.5)]}
    write_torch_file(tmp_path / "a.pt", content, folder="my model")
    read = read_torch_file(tmp_path / "a.pt")
    assert read["epoch"] == 3 and read["names"] == ["x", ("y", 1.5)]
    assert np.array_equal(read["state_dict"]["a"], content["state_dict"]["a"])


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((5, 5), (5, 1), 0),  # more numbers than there are
        ((4, 6), (6, 1), 1),
        ((2, 2), (30, 1), 0),
        ((10**9, 10**9), (0, 0), 0),  # one number, repeated to fill the memory
        ((2, 2), (-1, 1), 4),
        ((2,), (1, 1), 0),
        ((2,), (1,), -1),
    ],
)
def test_views_outside_their_storage(tmp_path, shape, strides, offset):
    tensor = Tensor(NUMBERS.astype("float32"), shape, strides, offset)
    write_torch_file(tmp_path / "a.pt", {"a": tensor})
    with pytest.raises(WeightsError, match=r"damaged or not a torch\.save file: a tensor"):
        read_torch_file(tmp_path / "a.pt")


class Hostile:
    """What unpickling would call."""

    def __reduce__(self):
        return print, ("pwned",)


def test_nothing_is_run(tmp_path, capsys):
    path = tmp_path / "a.pt"
    write_torch_file(path, {"a": seeded((2,)), "b": Hostile()})
    with pytest.raises(WeightsError, match=r"refused: the file names __builtin__\.print"):
        read_torch_file(path)
    assert "pwned" not in capsys.readouterr().out


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "a.pt"
    write_torch_file(path, OrderedDict(a=seeded((300,)), b=seeded((2, 3))))
    return path


def test_flipped_bytes_of_numbers_and_of_the_pickle(good):
    content = good.read_bytes()
    with zipfile.ZipFile(good) as archive:
        starts = [info.header_offset + 30 + len(info.filename) for info in archive.infolist()]
        sizes = [info.file_size for info in archive.infolist()]
    for start, size in zip(starts[:2], sizes[:2], strict=True):
        for place in (start, start + size // 2, start + size - 1):
            good.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            with pytest.raises(WeightsError, match=r"damaged or not a|refused"):
                read_torch_file(good)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_cut(good, share):
    content = good.read_bytes()
    good.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match=r"damaged or not a torch\.save file"):
        read_torch_file(good)


def test_other_files(tmp_path):
    path = tmp_path / "a.pt"
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        read_torch_file(path)
    path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + b"and so on")
    with pytest.raises(WeightsError, match=r"format from before version 1\.6"):
        read_torch_file(path)
    write_torch_file(path, [seeded((2,))])
    with pytest.raises(WeightsError, match="expected a table of tensors, found list"):
        read_torch_file(path)
    write_torch_file(path, {"a": seeded((2,))}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="compressed"):
        read_torch_file(path)
    write_torch_file(path, {"a": seeded((2,))}, extra=[("archive/byteorder", b"big")])
    with pytest.raises(WeightsError, match="big-endian"):
        read_torch_file(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("code/model.py", "")
    with pytest.raises(WeightsError, match=r"0 members data\.pkl"):
        read_torch_file(path)
