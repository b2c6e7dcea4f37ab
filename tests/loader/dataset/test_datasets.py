"""Lists, folders, and what happens to samples that cannot be read."""

import json
import logging
import multiprocessing
import pickle

import numpy as np
import pytest
from video.conftest import description, numbers_of, write_frames, write_video

from paddlevideo.loader import build_dataset, check_dataset
from paddlevideo.loader.dataset import read_list
from paddlevideo.loader.dataset.bad_samples import BadSampleLog
from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.video.sample import Record


def build(node, training=False, steps=None, **options):
    return build_dataset(
        node,
        steps or description(),
        training=training,
        where="DATASET.train",
        pipeline_where="PIPELINE.train",
        **options,
    )


class TestLists:
    def write(self, tmp_path, text):
        file = tmp_path / "train.list"
        file.write_text(text, encoding="utf-8")
        return file

    def test_video_lines(self, tmp_path):
        file = self.write(
            tmp_path, "\ufeffa.mp4 0\n\n# note\n my videos/b c.mp4   12 \nd\t-1\n/x/é 3"
        )
        assert read_list(file, None) == [
            Record("a.mp4", 0, f"{file}:1"),
            Record("my videos/b c.mp4", 12, f"{file}:4"),
            Record("d", -1, f"{file}:5"),
            Record("/x/é", 3, f"{file}:6"),
        ]

    def test_prefix_and_suffix(self, tmp_path):
        file = self.write(tmp_path, "a 0\n")
        assert read_list(file, "/data", ".mp4")[0].path == "/data/a.mp4"

    def test_frame_lines(self, tmp_path):
        file = self.write(tmp_path, "some folder/x 75 3\n")
        record = read_list(file, "root", counts_frames=True)[0]
        assert record == Record("root/some folder/x", 3, f"{file}:1", 75)

    @pytest.mark.parametrize(
        ("line", "counts_frames", "message"),
        [
            ("a.mp4", False, r':2: expected "path label"'),
            ("a.mp4 cat", False, r':2: expected "path label".*got \'a.mp4 cat\''),
            ("a.mp4 1.5", False, r':2: expected "path label"'),
            ("dir 3", True, r':2: expected "folder num_frames label"'),
            ("dir x 3", True, r':2: expected "folder num_frames label"'),
            ("dir 0 3", True, r":2: 0 frames"),
            ("a.mp4 1_0", False, r':2: expected "path label"'),
            ("a.mp4 ١", False, r':2: expected "path label"'),
            ("a.mp4 " + "9" * 5000, False, r':2: expected "path label"'),
            ("x" * 300 + ".mp4 1", False, r":2: the path .* is too long"),
            ("é" * 130 + ".mp4 1", False, r":2: the path .* is too long"),
            ("x/" * 3000 + "a.mp4 1", False, r":2: the path .* is too long"),
            ("a\0b.mp4 1", False, r":2: the path .* has a control character"),
        ],
    )
    def test_bad_line(self, tmp_path, line, counts_frames, message):
        good = "dir 5 1" if counts_frames else "b.mp4 1"
        file = self.write(tmp_path, f"{good}\n{line}\n")
        with pytest.raises(DataError, match=r"train\.list" + message):
            read_list(file, None, counts_frames=counts_frames)

    def test_comments(self, tmp_path, caplog):
        lines = ["# old.mp4 0", "#", "## part 1", "#no entry", "#shorts dance.mp4 0", "a.mp4 1"]
        file = self.write(tmp_path, "\n".join(lines))
        with caplog.at_level(logging.INFO):
            records = read_list(file, None)
        assert [(r.path, r.label, r.where) for r in records] == [
            ("#shorts dance.mp4", 0, f"{file}:5"),
            ("a.mp4", 1, f"{file}:6"),
        ]
        assert "4 lines are comments" in caplog.text

    def test_only_newlines_end_a_line(self, tmp_path):
        names = ["a\u2028b.mp4", "a\x85b.mp4", "a\vb.mp4"]
        file = self.write(tmp_path, "".join(f"{name} 0\r\n" for name in names))
        assert [record.path for record in read_list(file, None)] == names

    def test_longest_names(self, tmp_path):
        name = "é" * 127  # 254 bytes
        (tmp_path / name).touch()
        file = self.write(tmp_path, f"{name} 0\n")
        assert read_list(file, str(tmp_path))[0].path == str(tmp_path / name)

    def test_too_large(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PADDLEVIDEO_LIMITS", "list_bytes=10")
        with pytest.raises(DataError, match=r"too large.*list_bytes"):
            read_list(self.write(tmp_path, "a_long_name.mp4 0\n"), None)

    def test_no_samples(self, tmp_path):
        with pytest.raises(DataError, match=r"train\.list lists no samples"):
            read_list(self.write(tmp_path, "# nothing\n"), None)

    def test_missing_and_binary(self, tmp_path):
        with pytest.raises(DataError, match=r"no\.list cannot be read: No such file"):
            read_list(tmp_path / "no.list", None)
        (tmp_path / "b.list").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(DataError, match="not UTF-8"):
            read_list(tmp_path / "b.list", None)


class TestBuild:
    def test_video_dataset(self, video_dir, video_list):
        node = {
            "format": "VideoDataset",
            "file_path": str(video_list),
            "data_prefix": str(video_dir),
        }
        dataset = build(node)
        assert len(dataset) == 7
        sample = dataset[0, 4]
        assert (sample.label, sample.index, sample.readable) == (4, 4, True)
        assert sample.num_frames == 16 and sample.where == f"{video_list}:5"
        assert numbers_of(sample.clip) == [2, 6, 10, 14]

    def test_frame_dataset(self, tmp_path):
        write_frames(tmp_path / "a b", 12)
        (tmp_path / "l.list").write_text("a b 8 1\n")
        node = {
            "format": "FrameDataset",
            "file_path": str(tmp_path / "l.list"),
            "data_prefix": str(tmp_path),
        }
        dataset = build(node, steps=description(decode={"name": "FrameDecoder"}))
        # The list says 8 frames; those are used, although 12 are there.
        assert numbers_of(dataset[0, 0].clip) == [1, 3, 5, 7]

    def test_decoder_of_the_other_kind(self, video_list):
        node = {"format": "VideoDataset", "file_path": str(video_list)}
        with pytest.raises(ConfigError, match=r"VideoDataset .* needs the decoder VideoDecoder"):
            build(node, steps=description(decode={"name": "FrameDecoder"}))

    @pytest.mark.parametrize(
        ("node", "message"),
        [
            ({}, r'DATASET\.train: expected a mapping with "format'),
            ({"format": "VideoDataSet", "file_path": "x"}, r'did you mean "VideoDataset"'),
            ({"format": "VideoDataset"}, r"DATASET\.train: missing argument file_path"),
            (
                {"format": "VideoDataset", "file_pat": "x"},
                r'unknown argument "file_pat".*file_path',
            ),
            ({"format": "VideoDataset", "file_path": "x", "context": 1}, r'argument "context"'),
            ({"format": "VideoDataset", "file_path": "x", "num_retries": "many"}, "num_retries"),
        ],
    )
    def test_bad_nodes(self, node, message):
        with pytest.raises(ConfigError, match=message):
            build(node)
        with pytest.raises(ConfigError, match=message):
            check_dataset(node, "DATASET.train")

    def test_bad_suffix(self, tmp_path):
        (tmp_path / "l").write_text("a 8 1\n")
        node = {"format": "FrameDataset", "file_path": str(tmp_path / "l"), "suffix": "img.jpg"}
        with pytest.raises(ConfigError, match="place for the number"):
            build(node, steps=description(decode={"name": "FrameDecoder"}))

    def test_check_labels(self, video_list):
        dataset = build({"format": "VideoDataset", "file_path": str(video_list)})
        dataset.check_labels(7)
        with pytest.raises(
            DataError, match=r"videos\.list:6: label 5 of v5\.mp4 is outside 0\.\.4"
        ):
            dataset.check_labels(5)
        dataset.records[0] = dataset.records[0]._replace(label=-1)
        with pytest.raises(DataError, match=r"videos\.list:1: label -1"):
            dataset.check_labels(7)


class TestFolder:
    def make(self, tmp_path, names=("b", "a c")):
        for name in names:
            (tmp_path / "train" / name / "deep").mkdir(parents=True)
            (tmp_path / "train" / name / "x.MP4").touch()
            (tmp_path / "train" / name / "deep" / "y.avi").touch()
        return {"format": "FolderDataset", "root": str(tmp_path / "train")}

    def test_sorted_names(self, tmp_path, caplog):
        node = self.make(tmp_path)
        (tmp_path / "train/b/notes.txt").touch()
        (tmp_path / "train/.cache").mkdir()
        dataset = build(node)
        assert dataset.class_names == ["a c", "b"]
        assert [(r.path[len(str(tmp_path)) :], r.label) for r in dataset.records] == [
            ("/train/a c/deep/y.avi", 0),
            ("/train/a c/x.MP4", 0),
            ("/train/b/deep/y.avi", 1),
            ("/train/b/x.MP4", 1),
        ]
        assert "left out: 1 .txt" in caplog.text

    @pytest.mark.parametrize("place", ["classes.txt", "train/classes.txt"])
    def test_classes_file(self, tmp_path, place):
        node = self.make(tmp_path)
        (tmp_path / place).write_text("b\nnot here\na c\n")
        dataset = build(node)
        assert dataset.class_names == ["b", "not here", "a c"]
        assert {r.label for r in dataset.records} == {0, 2}

    def test_class_not_named(self, tmp_path):
        node = self.make(tmp_path)
        (tmp_path / "classes.txt").write_text("b\n")
        with pytest.raises(DataError, match=r"classes\.txt does not name the class folder a c"):
            build(node)

    def test_extensions(self, tmp_path):
        node = self.make(tmp_path)
        assert len(build({**node, "extensions": ["avi"]})) == 2
        with pytest.raises(DataError, match=r"holds no videos \(\.webm\)"):
            build({**node, "extensions": [".webm"]})

    def test_nothing_there(self, tmp_path):
        with pytest.raises(DataError, match="no such folder"):
            build({"format": "FolderDataset", "root": str(tmp_path / "none")})
        with pytest.raises(DataError, match="no class folders"):
            build({"format": "FolderDataset", "root": str(tmp_path)})


@pytest.fixture
def half_bad(tmp_path):
    """Six listed videos; 1, 3 and 4 cannot be read."""
    for i in (0, 2, 5):
        write_video(tmp_path / f"v{i}.mp4", 8)
    (tmp_path / "v3.mp4").touch()
    (tmp_path / "v4.mp4").write_bytes(b"no video" * 99)
    (tmp_path / "l.list").write_text("".join(f"v{i}.mp4 {i}\n" for i in range(6)))
    return {
        "format": "VideoDataset",
        "file_path": str(tmp_path / "l.list"),
        "data_prefix": str(tmp_path),
    }


class TestUnreadable:
    def test_evaluation_is_an_error(self, half_bad):
        dataset = build(half_bad)
        with pytest.raises(DataError, match=r"v1\.mp4: no such file \(listed in .*l\.list:2\)"):
            dataset[0, 1]
        marked = dataset.unreadable(0, 1)
        assert (marked.readable, marked.clip, marked.label, marked.index) == (False, None, 1, 1)

    def test_training_replaces_deterministically(self, half_bad, tmp_path):
        file = tmp_path / "run" / "bad_samples.jsonl"
        first = build(half_bad, training=True, seed=7, bad_samples_path=file)
        second = build(half_bad, training=True, seed=7)
        replaced = {}
        for place in [(e, i) for e in range(3) for i in range(6)]:
            sample = first[place]
            replaced[place] = sample.index
            assert sample.index in (0, 2, 5) and sample.label == sample.index
            if place[1] in (0, 2, 5):
                assert sample.index == place[1]
        for place in reversed(list(replaced)):
            again = second[place]
            assert again.index == replaced[place]
            assert np.array_equal(again.clip, first[place].clip)
        assert len({replaced[e, i] for e in range(3) for i in (1, 3, 4)}) > 1
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert sorted(line["path"][-6:] for line in lines) == ["v1.mp4", "v3.mp4", "v4.mp4"]
        assert all(set(line) == {"path", "reason", "where"} for line in lines)
        assert "empty" in next(line["reason"] for line in lines if "v3" in line["path"])

    def test_others_are_tried_until_one_reads(self, tmp_path):
        """One good video among forty: each position finds it, and says that it is another's."""
        write_video(tmp_path / "v17.mp4", 8)
        (tmp_path / "l.list").write_text("".join(f"v{i}.mp4 {i}\n" for i in range(40)))
        node = {"format": "VideoDataset", "file_path": str(tmp_path / "l.list")}
        dataset = build({**node, "data_prefix": str(tmp_path)}, training=True)
        for place in [(0, 0), (0, 1), (3, 39), (1, 17)]:
            sample = dataset[place]
            assert sample.index == 17 and sample.replaces == (place[1] != 17)

    def test_the_others_are_each_of_them_once(self, half_bad):
        dataset = build(half_bad, training=True, seed=7)
        for size in (1, 2, 6, 12, 30):
            dataset.records = dataset.records[:1] * size
            walks = {}
            for place in [(e, i) for e in range(4) for i in range(size)]:
                walks[place] = list(dataset._others(*place))
                assert sorted(walks[place]) == [n for n in range(size) if n != place[1]]
                assert walks[place] == list(dataset._others(*place))
            if size > 6:
                assert len({walks[epoch, 0][0] for epoch in range(4)}) > 1

    def test_few_are_warned_of(self, tmp_path, caplog):
        (tmp_path / "l.list").write_text("".join(f"none{i}.mp4 {i}\n" for i in range(50)))
        node = {"format": "VideoDataset", "file_path": str(tmp_path / "l.list")}
        file = tmp_path / "bad.jsonl"
        with pytest.raises(DataError, match="50 samples in a row"):
            build(node, training=True, bad_samples_path=file)[0, 0]
        assert caplog.text.count("takes its place") == 20
        assert len(file.read_text().splitlines()) == 50

    def test_a_log_that_cannot_be_written(self, half_bad, tmp_path, caplog):
        (tmp_path / "file").touch()
        dataset = build(half_bad, training=True, bad_samples_path=tmp_path / "file" / "bad.jsonl")
        assert dataset[0, 1].replaces and dataset[0, 3].replaces
        assert caplog.text.count("bad.jsonl cannot be written") == 1

    def test_gives_up(self, tmp_path):
        (tmp_path / "l.list").write_text("".join(f"none{i}.mp4 {i}\n" for i in range(9)))
        node = {"format": "VideoDataset", "file_path": str(tmp_path / "l.list"), "num_retries": 3}
        with pytest.raises(DataError, match=r"l\.list: 4 samples in a row could not.*last: none"):
            build(node, training=True)[0, 0]

    def test_other_errors_are_not_hidden(self, half_bad, monkeypatch):
        dataset = build(half_bad, training=True)
        monkeypatch.setattr(dataset.context.pipeline.input, "transforms", [None])
        with pytest.raises(TypeError):
            dataset[0, 0]


def test_randomness_depends_on_seed_epoch_index_only(video_dir, video_list):
    node = {"format": "VideoDataset", "file_path": str(video_list), "data_prefix": str(video_dir)}
    steps = description(transform=[{"RandomShift": {"max_shift_pixels": 9}}])
    one, other = (build(node, True, steps, seed=1) for _ in range(2))
    np.random.seed(0)
    place = (4, 6)
    expected = one[place]
    one[4, 5], one[0, 6]
    np.random.seed(1)
    for again in (one[place], other[place], pickle.loads(pickle.dumps(one))[place]):
        assert np.array_equal(again.frame_indices["clip"], expected.frame_indices["clip"])
        assert np.array_equal(again.clip, expected.clip)
    different = [one[3, 6], build(node, True, steps, seed=2)[place]]
    chosen = expected.frame_indices["clip"]
    assert all(not np.array_equal(d.frame_indices["clip"], chosen) for d in different)


def _add_many(file, name):
    log = BadSampleLog(file)
    for i in range(200):
        log.add(Record(f"{name}-{i}", 0, "w"), "long reason " * 20)


def test_bad_sample_log_of_several_processes(tmp_path):
    file = tmp_path / "bad.jsonl"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add_many, args=(file, n)) for n in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    paths = [json.loads(line)["path"] for line in file.read_text().splitlines()]
    assert len(paths) == len(set(paths)) == 600
    again = BadSampleLog(file)
    assert not again.add(Record("a-5", 0, "w"), "r")
    assert again.add(Record("new", 0, "w"), "r")
