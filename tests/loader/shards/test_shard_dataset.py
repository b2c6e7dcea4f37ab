"""Shards give what the loose files give, each sample once, and go on from any position."""

import json
import os
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from video.conftest import description

from loader.shards.conftest import dataset_of, foreign_tar, label_json, written
from paddlevideo.loader import ClipLoader, build_dataset
from paddlevideo.loader.shards import member
from paddlevideo.loader.shards.scan import SCANNED_NAME
from paddlevideo.utils.errors import ConfigError, DataError


def by_label(dataset):
    return {dataset.records[i].label: dataset[0, i] for i in range(len(dataset))}


@pytest.mark.parametrize("seek", ["none", "exact", "approximate"])
@pytest.mark.parametrize("whole_bytes", [member.WHOLE_BYTES, 100])
def test_the_clips_are_those_of_the_files(video_list, shard_dir, monkeypatch, seek, whole_bytes):
    monkeypatch.setattr(member, "WHOLE_BYTES", whole_bytes)
    steps = description(
        decode={"name": "VideoDecoder", "seek": seek},
        transform=[{"Scale": {"short_size": 36}}, {"CenterCrop": {"target_size": 32}}],
    )
    node = {"format": "VideoDataset", "file_path": str(video_list)}
    node["data_prefix"] = str(video_list.parent)
    loose = by_label(build_dataset(node, steps, training=False))
    dataset = dataset_of(shard_dir, steps=steps)
    assert len(dataset) == 7 and dataset.class_names is None
    for _ in range(2):
        for label, sample in by_label(dataset).items():
            assert np.array_equal(sample.clip, loose[label].clip)
            assert sample.num_frames == loose[label].num_frames
            assert sample.path.startswith(f"{shard_dir}/train-00000")
            assert dataset.records[sample.index].where.endswith(f"shards.json: v{label}.mp4")


@pytest.mark.parametrize(("backend", "pattern"), [("cv2", "backend cv2"), ("decord", "decord")])
def test_a_backend_of_files_alone_says_so(shard_dir, backend, pattern):
    dataset = dataset_of(
        shard_dir, steps=description(decode={"name": "VideoDecoder", "backend": backend})
    )
    with pytest.raises(DataError, match=rf"\.mp4: .*{pattern}.* reads files alone"):
        dataset[0, 0]


def test_frames_need_another_data_set(shard_dir):
    with pytest.raises(ConfigError, match="needs the decoder VideoDecoder"):
        dataset_of(shard_dir, steps=description(decode={"name": "FrameDecoder"}))


def test_a_shard_is_a_tar_that_others_read(shard_dir):
    index = json.loads((shard_dir / "shards.json").read_text())
    assert index["samples"] == 7 and len(index["shards"]) == 4
    for shard in index["shards"]:
        with tarfile.open(shard_dir / shard["file"]) as tar:
            names = tar.getnames()
            assert names[::2] == shard["member"]
            for name, video, label in zip(names[1::2], names[::2], shard["label"], strict=True):
                assert name.split(".")[0] == video.split(".")[0]
                content = json.load(tar.extractfile(name))
                assert content == {"label": label, "name": f"v{label}.mp4"}
            assert [tar.getmember(name).offset_data for name in names[::2]] == shard["offset"]


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 8), st.integers(0, 3), st.booleans())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_sample_once_over_ranks_at_any_resume(
    shard_dir, batch_size, world_size, start, epoch, training
):
    dataset = dataset_of(shard_dir, training=training, shuffle_buffer=3)

    def batches(start_step):
        return [
            ClipLoader(
                dataset, batch_size, training=training, shuffle=True, seed=5, rank=rank,
                world_size=world_size,
            ).index_sampler.batches(epoch, start_step)
            for rank in range(world_size)
        ]  # fmt: skip

    whole = batches(0)
    assert batches(start) == [of_rank[start:] for of_rank in whole]
    indices = sorted(i for of_rank in whole for batch in of_rank for i in batch)
    if not training:
        assert indices == list(range(7))
    elif 7 >= batch_size * world_size:
        assert (
            len(set(indices))
            == len(indices)
            == 7 // (batch_size * world_size) * (batch_size * world_size)
        )


def test_two_ranks_three_workers_resumed(shard_dir):
    """The clips, not the numbers alone: read in part, then on from there by other processes."""
    dataset = dataset_of(shard_dir, shuffle_buffer=3)
    found = []
    for rank in (0, 1):
        options = {"training": False, "shuffle": True, "seed": 1, "rank": rank, "world_size": 2}
        expected = list(ClipLoader(dataset, 1, **options).epoch(4))
        first = ClipLoader(dataset, 1, **options, num_workers=3).epochs(4, 5)
        head = [next(first)]
        first.close()
        rest = list(ClipLoader(dataset, 1, **options, num_workers=3).epochs(4, 5, start_step=1))
        got = head + rest
        assert len(got) == len(expected) == 4 - rank
        for one, other in zip(got, expected, strict=True):
            assert np.array_equal(one["clip"].numpy(), other["clip"].numpy())
        found += [i for batch in got for i in batch["index"].tolist()]
    assert sorted(found) == list(range(7))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_can_be_pickled_and_handles_are_few(shard_dir, monkeypatch):
    monkeypatch.setattr(member, "_MOST_OPEN", 2)
    before = open_files()
    dataset = dataset_of(shard_dir)
    for index in range(7):
        dataset[0, index]
    assert open_files() == before + 2
    copy = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(copy[0, 3].clip, dataset[0, 3].clip)
    del copy, dataset
    assert open_files() == before


def test_a_pattern_chooses(shard_dir):
    assert len(dataset_of(shard_dir, shards="train-00000[01].tar")) == 4
    with pytest.raises(DataError, match=r"lists no shards val-\*\.tar"):
        dataset_of(shard_dir, shards="val-*.tar")
    with pytest.raises(ConfigError, match="expected a pattern of names"):
        dataset_of(shard_dir, shards="../*.tar")
    with pytest.raises(ConfigError, match="shuffle_buffer"):
        dataset_of(shard_dir, shuffle_buffer=0)


class TestForeign:
    """Shards of the same form without an index."""

    @pytest.fixture
    def folder(self, tmp_path, video_dir):
        videos = [(video_dir / f"v{i}.mp4").read_bytes() for i in range(3)]
        long_name = "x" * 120
        foreign_tar(
            tmp_path / "a-0.tar",
            {"0.mp4": videos[0], "0.cls": b"0", f"./d/{long_name}.seg.mp4": videos[1],
             f"./d/{long_name}.json": label_json(1, name="é.mp4"), "._0.mp4": b"x"},
        )  # fmt: skip
        foreign_tar(
            tmp_path / "b-0.tar",
            {"0.txt": b"words", "0.cls": b" 2\n", "0.mp4": videos[2]},
            format=tarfile.GNU_FORMAT,
        )
        return tmp_path

    def test_is_scanned_once(self, folder, monkeypatch):
        dataset = dataset_of(folder)
        assert [record.label for record in dataset.records] == [0, 1, 2]
        assert [dataset[0, i].num_frames for i in range(3)] == [8, 10, 12]
        assert dataset.records[1].where.endswith("é.mp4")
        assert (folder / SCANNED_NAME).is_file()
        stamps = (folder / SCANNED_NAME).stat().st_mtime_ns
        assert len(dataset_of(folder, shards="b-*.tar")) == 1
        assert len(dataset_of(folder)) == 3
        assert (folder / SCANNED_NAME).stat().st_mtime_ns == stamps

    def test_what_changed_is_scanned_again(self, folder, video_dir):
        dataset_of(folder)
        content = (video_dir / "v4.mp4").read_bytes()
        foreign_tar(folder / "b-0.tar", {"9.mp4": content, "9.cls": b"5"})
        dataset = dataset_of(folder)
        assert [record.label for record in dataset.records] == [0, 1, 5]
        assert dataset[0, 2].num_frames == 16
        (folder / SCANNED_NAME).write_text("{")
        assert len(dataset_of(folder)) == 3

    def test_where_nothing_can_be_written(self, folder, monkeypatch, tmp_path_factory):
        home = tmp_path_factory.mktemp("home")
        monkeypatch.setenv("PADDLEVIDEO_HOME", str(home))
        (folder / SCANNED_NAME).mkdir()  # a name that cannot be written, for the administrator too
        assert len(dataset_of(folder)) == 3
        assert len(list((home / "shards").glob("*.json"))) == 1
        assert len(dataset_of(folder)) == 3

    @pytest.mark.parametrize(
        ("members", "message"),
        [
            ({"0.mp4": b"v"}, r"a\.tar/0: has no label; expected KEY\.cls"),
            ({"0.cls": b"1"}, r"a\.tar/0: the sample has no video"),
            ({"0.a.mp4": b"v", "0.b.avi": b"v", "0.cls": b"1"}, "the sample has 2 videos"),
            ({"0.mp4": b"v", "0.cls": b"cat"}, "'0.cls' gives no label; expected a whole number"),
            ({"0.mp4": b"v", "0.json": b"[" * 90000}, "gives no label"),
            ({"0.mp4": b"v", "0.json": label_json(True)}, 'whole number under "label"'),
            ({"0.mp4": b"v", "0.json": label_json(2**40)}, "gives no label"),
            ({"0.mp4": b"v", "0.json": b"{}"}, "gives no label"),
            ({"0.mp4": b"v", "0.json": b" " * 3_000_000}, "is too large; the limit config_bytes"),
            ({}, r"a\.tar: holds no videos"),
        ],
    )
    def test_samples_that_are_none(self, tmp_path, members, message):
        foreign_tar(tmp_path / "a.tar", members)
        with pytest.raises(DataError, match=message):
            dataset_of(tmp_path)


class TestContradictions:
    """An index that is not of its shards: one message, and no other sample's content."""

    @pytest.fixture
    def folder(self, shard_dir, tmp_path):
        return shutil.copytree(shard_dir, tmp_path / "shards")

    def change(self, folder, edit):
        index = json.loads((folder / "shards.json").read_text())
        edit(index)
        (folder / "shards.json").write_text(json.dumps(index))

    def test_size(self, folder):
        with (folder / "train-000001.tar").open("ab") as tar:
            tar.write(b"\0")
        with pytest.raises(DataError, match=r"train-000001\.tar: has \d+ bytes, and \d+ by .*json"):
            dataset_of(folder)

    def test_missing_and_unlisted(self, folder):
        (folder / "train-000001.tar").rename(folder / "other.tar")
        with pytest.raises(DataError, match=r"does not list other\.tar"):
            dataset_of(folder)
        (folder / "other.tar").unlink()
        with pytest.raises(DataError, match=r"train-000001\.tar: No such file.*lists it"):
            dataset_of(folder)

    def test_digest(self, folder):
        path = folder / "train-000000.tar"
        content = bytearray(path.read_bytes())
        content[600] ^= 1
        path.write_bytes(content)
        dataset = dataset_of(folder)
        with pytest.raises(DataError, match=r"000000000\.mp4: its content is not that .*sha256"):
            dataset[0, 0]
        dataset[0, 1]
        training = dataset_of(folder, training=True)
        assert training[0, 0].replaces

    def test_header(self, folder):
        path = folder / "train-000000.tar"
        content = bytearray(path.read_bytes())
        content[0:1] = b"9"
        path.write_bytes(content)
        with pytest.raises(DataError, match="no header of a tar"):
            dataset_of(folder)[0, 0]

    def test_offset(self, folder):
        def edit(index):
            shard = index["shards"][0]
            shard["offset"][0] += 512
            shard["size"][0] -= 512

        self.change(folder, edit)
        with pytest.raises(DataError, match="no header of a tar"):
            dataset_of(folder)[0, 0]

    def test_another_member(self, folder):
        self.change(folder, lambda index: index["shards"][0]["member"].__setitem__(0, "7.mp4"))
        with pytest.raises(DataError, match="the tar has another file there than its index says"):
            dataset_of(folder)[0, 0]

    def test_cut_while_it_is_read(self, folder):
        dataset = dataset_of(folder)
        path = folder / "train-000000.tar"
        os.truncate(path, 700)
        with pytest.raises(DataError, match="is cut off"):
            dataset[0, 0]
        path.unlink()
        with pytest.raises(DataError, match="No such file"):
            dataset_of(folder)

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda i: i.update(samples=8), "says that there are 8 samples, and lists 7"),
            (lambda i: i.update(format="x"), "is no index of shards"),
            (lambda i: i.update(version=2), "an index of version 2"),
            (lambda i: i.update(shards=[]), "lists no shards"),
            (lambda i: i["shards"].append(i["shards"][0]), r"lists 'train-000000\.tar' twice"),
            (lambda i: i["shards"][0].update(file="../x.tar"), "is no name of a tar in the same"),
            (lambda i: i["shards"][0].update(file="/x.tar"), "is no name of a tar in the same"),
            (lambda i: i["shards"][0].update(bytes=-1), "bytes is -1"),
            (lambda i: i["shards"][0].update(bytes=True), "bytes is True"),
            (lambda i: i["shards"][0].update(changed="x"), "changed is 'x'"),
            (lambda i: i["shards"][0].update(offset=[512]), "offset is no list with an entry"),
            (lambda i: i["shards"][0].update(offset=[512, 512]), "its bytes are another's"),
            (lambda i: i["shards"][0].update(offset=[512, 700]), "offset 700 and size"),
            (lambda i: i["shards"][0].update(offset=[512, 2**61]), "its bytes are another's"),
            (lambda i: i["shards"][0].update(size=[1, 2**70]), "and size .* cannot be"),
            (lambda i: i["shards"][0].update(size=[1, None]), "and size None cannot be"),
            (lambda i: i["shards"][0].update(label=[0, 1.0]), "its label is 1.0"),
            (lambda i: i["shards"][0].update(label=[0, 2**31]), "its label is"),
            (lambda i: i["shards"][0].update(member=["a", "a"]), "a member is listed twice"),
            (lambda i: i["shards"][0].update(member=["a", "\n"]), "a control character"),
            (lambda i: i["shards"][0].update(member=["a", 3]), "is no text"),
            (lambda i: i["shards"][0].update(name=["a", {}]), "is no text"),
            (lambda i: i["shards"][0].update(sha256=["", "zz"]), "its sha256 is 'zz'"),
        ],
    )
    def test_an_index_that_cannot_be(self, folder, edit, message):
        self.change(folder, edit)
        with pytest.raises(DataError, match=message):
            dataset_of(folder)

    @pytest.mark.parametrize("text", ["", "{", "[" * 5000, '"x"', "{}"])
    def test_an_index_that_is_none(self, folder, text):
        (folder / "shards.json").write_text(text)
        with pytest.raises(DataError, match=r"shards\.json"):
            dataset_of(folder)


def test_no_shards(tmp_path):
    with pytest.raises(DataError, match="no such folder of shards"):
        dataset_of(tmp_path / "none")
    with pytest.raises(DataError, match=r"holds no shards \*\.tar"):
        dataset_of(tmp_path)


def test_unfinished_shards_are_no_data_set(video_list, tmp_path):
    written(video_list, tmp_path)
    (tmp_path / "shards.json").unlink()  # as a run that was stopped at the end leaves it
    assert len(dataset_of(tmp_path)) == 7  # whole tars are shards like any
