"""Bundles: every number type and shard, every kind of damage, every way to name a checkpoint."""

import shutil

import numpy as np
import pytest

from convert.tensorflow.writer import write_bundle
from paddlevideo.convert.tensorflow import Bundle, find_prefix
from paddlevideo.utils.errors import WeightsError

VALUES = np.arange(-6, 6).reshape(3, 4)


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    return {
        "a/kernel": (VALUES / 3).astype("float32"),
        "a/half": (VALUES / 4).astype("float16"),
        "double": VALUES / 3,
        "count": np.array(7, "int64"),
        "empty": np.zeros((0, 3), "float32"),
        "int": VALUES.astype("int32"),
    }


@pytest.mark.parametrize("num_shards", [1, 3])
def test_round_trip(tmp_path, tensors, num_shards):
    prefix = write_bundle(tmp_path / "ckpt", tensors, {"s": b"text" * 99}, num_shards, per_block=3)
    bundle = Bundle(prefix)
    assert bundle.num_shards == num_shards and set(bundle.entries) == {*tensors, "s"}
    for key, array in tensors.items():
        read = bundle.read(key)
        assert read.dtype == array.dtype and np.array_equal(read, array), key
    assert bundle.read_string("s") == b"text" * 99
    for key in bundle.entries:
        bundle.verify(key)


def test_bfloat16(tmp_path):
    values = np.random.default_rng(0).standard_normal((5, 7)).astype("float32")
    bundle = Bundle(write_bundle(tmp_path / "ckpt", {"a": values}, dtype="bfloat16"))
    read = bundle.read("a")
    assert read.dtype == np.float32
    assert np.array_equal(read.view("u4") & 0xFFFF, np.zeros((5, 7)))
    np.testing.assert_allclose(read, values, rtol=2**-7)


def test_every_flipped_byte_of_the_data_is_found(tmp_path, tensors):
    prefix = write_bundle(tmp_path / "ckpt", tensors, {"s": b"text"})
    bundle, path = Bundle(prefix), tmp_path / "ckpt.data-00000-of-00001"
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        with pytest.raises(WeightsError, match="damaged") as caught:
            for key in bundle.entries:
                bundle.verify(key)
        assert str(path) in str(caught.value)


def test_a_flipped_byte_or_the_end_of_the_index(tmp_path, tensors):
    prefix = write_bundle(tmp_path / "ckpt", tensors)
    path = tmp_path / "ckpt.index"
    good = path.read_bytes()
    path.write_bytes(good[:30] + bytes([good[30] ^ 1]) + good[31:])
    with pytest.raises(WeightsError, match=r"ckpt.index: damaged: the checksum of the block"):
        Bundle(prefix)
    path.write_bytes(good[:-20])
    with pytest.raises(WeightsError, match=r"ckpt.index: not a checkpoint index, or cut"):
        Bundle(prefix)


def test_cut_and_missing_data_files(tmp_path, tensors):
    prefix = write_bundle(tmp_path / "ckpt", tensors, num_shards=2)
    path = tmp_path / "ckpt.data-00001-of-00002"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"data-00001-of-00002: cut: it has \d+ bytes"):
        Bundle(prefix)
    path.unlink()
    with pytest.raises(WeightsError, match=r"data-00001-of-00002 is missing; .* has 2 shards"):
        Bundle(prefix)


def test_what_is_asked_for_and_not_there(tmp_path, tensors):
    bundle = Bundle(write_bundle(tmp_path / "ckpt", tensors, {"s": b"text"}))
    with pytest.raises(WeightsError, match="there is no tensor b"):
        bundle.read("b")
    with pytest.raises(WeightsError, match="type 7, which is not supported"):
        bundle.read("s")
    with pytest.raises(WeightsError, match="is not a single string"):
        bundle.read_string("int")


@pytest.mark.parametrize(
    "name", ["model", "model/ckpt", "model/ckpt.index", "model/ckpt.data-00000-of-00001"]
)
def test_ways_to_name_one_checkpoint(tmp_path, tensors, name):
    prefix = write_bundle(tmp_path / "model" / "ckpt", tensors)
    assert find_prefix(tmp_path / name) == prefix


def test_the_newest_of_a_folder(tmp_path, tensors):
    for step in (1, 2):
        write_bundle(tmp_path / f"ckpt-{step}", tensors)
    with pytest.raises(WeightsError, match="holds 2 checkpoints; name one of ckpt-1, ckpt-2"):
        find_prefix(tmp_path)
    state = tmp_path / "checkpoint"
    state.write_text('model_checkpoint_path: "ckpt-2"\nall_model_checkpoint_paths: "ckpt-1"\n')
    assert find_prefix(tmp_path) == tmp_path / "ckpt-2"
    state.write_text('model_checkpoint_path: "/where/it/was/trained/ckpt-1"\n')
    assert find_prefix(tmp_path) == tmp_path / "ckpt-1"
    state.write_text('model_checkpoint_path: "ckpt-3"\n')
    with pytest.raises(WeightsError, match="names ckpt-3, which is not in"):
        find_prefix(tmp_path)
    state.write_text("what\n")
    with pytest.raises(WeightsError, match="names no model_checkpoint_path"):
        find_prefix(tmp_path)


def test_a_saved_model(tmp_path, tensors):
    prefix = write_bundle(tmp_path / "variables" / "variables", tensors)
    (tmp_path / "saved_model.pb").write_bytes(b"\0")
    assert find_prefix(tmp_path) == prefix


def test_nothing_there(tmp_path):
    with pytest.raises(WeightsError, match="holds no TensorFlow checkpoint"):
        find_prefix(tmp_path)
    with pytest.raises(WeightsError, match=r"ckpt.index does not exist"):
        find_prefix(tmp_path / "ckpt")
    (tmp_path / "notes.txt").write_text("what")
    with pytest.raises(WeightsError, match="not a TensorFlow checkpoint; expected a prefix"):
        find_prefix(tmp_path / "notes.txt")


def test_an_index_of_another_machine_without_its_data(tmp_path, tensors):
    prefix = write_bundle(tmp_path / "a" / "ckpt", tensors)
    shutil.copy(f"{prefix}.index", tmp_path / "ckpt.index")
    with pytest.raises(WeightsError, match=r"data-00000-of-00001 is missing"):
        Bundle(find_prefix(tmp_path / "ckpt"))
