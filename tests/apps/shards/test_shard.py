"""`paddlevideo shard`: what it writes, and that it goes on where it was stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loader.shards.conftest import dataset_of, written

from paddlevideo.apps.shards import writing
from paddlevideo.apps.shards.samples import of_dataset, of_folder
from paddlevideo.apps.shards.writing import ShardOptions, write_shards
from paddlevideo.cli import shard
from paddlevideo.cli.main import main
from paddlevideo.utils.errors import ConfigError, DataError, PaddleVideoError, SaveError


def bytes_in(folder: Path) -> dict[str, bytes]:
    left_out = (".shards.lock",)
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name not in left_out}


def test_a_stop_anywhere_ends_with_the_same_bytes(video_list, shard_dir, tmp_path, monkeypatch):
    class StopError(Exception):
        pass

    names = ("append_lines", "write_index", "sync_folder", "_add")
    for name in names:
        for call in (1, 2, 4):
            folder = tmp_path / f"{name}{call}"
            calls = 0
            real = getattr(writing, name)

            def stop(*arguments, real=real, call=call):
                nonlocal calls
                calls += 1
                if calls == call:
                    raise StopError
                return real(*arguments)

            with monkeypatch.context() as patched:
                patched.setattr(writing, name, stop)
                if name == "write_index" and call > 1:
                    continue
                with pytest.raises(StopError):
                    written(video_list, folder)
            if name == "sync_folder" and call == 1:  # a tar without its line is written anew
                assert (folder / "train-000000.tar").exists()
            assert len(written(video_list, folder).shards) == 4
            assert bytes_in(folder) == bytes_in(shard_dir)


def test_a_killed_command_goes_on(video_dir, tmp_path):
    for number in range(60):
        os.link(video_dir / f"v{number % 7}.mp4", tmp_path / f"w{number}.mp4")
    (tmp_path / "a.list").write_text("".join(f"w{i}.mp4 {i}\n" for i in range(60)))
    code = (
        "import sys, time\nfrom paddlevideo.apps.shards import writing\n"
        "from loader.shards.conftest import written\nfrom pathlib import Path\n"
        "real = writing._add\n"
        "def slow(*a):\n    time.sleep(0.02)\n    return real(*a)\n"
        "writing._add = slow\nwritten(Path(sys.argv[1]), Path(sys.argv[2]), most_samples=7)\n"
    )
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"}
    folder = tmp_path / "out"
    command = [sys.executable, "-c", code, str(tmp_path / "a.list"), str(folder)]
    with subprocess.Popen(command, env=environment) as process:
        ends = time.monotonic() + 60
        while len(list(folder.glob("*.tar"))) < 3 and time.monotonic() < ends:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (folder / "shards.json").exists()
    done = written(tmp_path / "a.list", folder, most_samples=7)
    assert 0 < done.num_new < len(done.shards) == 9
    assert not [path for path in folder.iterdir() if path.suffix == ".tmp"]
    dataset = dataset_of(folder)
    assert sorted(record.label for record in dataset.records) == list(range(60))


def test_sizes_and_orders(video_list, tmp_path):
    sizes = [(video_list.parent / f"v{i}.mp4").stat().st_size for i in range(7)]
    kept = written(
        video_list, tmp_path / "a", most_samples=None, most_bytes=sum(sizes[:3]), seed=None
    )
    assert kept.shards[0].labels == [0, 1, 2]
    assert [label for each in kept.shards for label in each.labels] == list(range(7))
    one_each = written(video_list, tmp_path / "b", most_samples=None, most_bytes=1, name="x")
    assert [each.file for each in one_each.shards] == [f"x-{i:06d}.tar" for i in range(7)]
    orders = [[label for each in one_each.shards for label in each.labels]]
    for number, seed in enumerate((0, 1)):
        done = written(video_list, tmp_path / f"c{number}", seed=seed)
        orders.append([label for each in done.shards for label in each.labels])
    assert orders[0] == orders[1] != orders[2]


def test_done_is_done_and_others_are_refused(video_list, tmp_path):
    assert written(video_list, tmp_path / "a").num_new == 4
    assert written(video_list, tmp_path / "a").num_new == 0
    with pytest.raises(ConfigError, match="not written over"):
        written(video_list, tmp_path / "a", most_samples=3)
    (tmp_path / "a" / "shards.json").unlink()
    with pytest.raises(ConfigError, match=r"holds train-000000\.tar and no index"):
        written(video_list, tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / writing.RECORD_NAME).write_text('{"made_from": "other"}\n')
    with pytest.raises(ConfigError, match="the beginning of shards of other samples"):
        written(video_list, tmp_path / "b")
    (tmp_path / "c").write_text("")
    with pytest.raises(SaveError, match="cannot be written"):
        written(video_list, tmp_path / "c")


def test_videos_that_are_not_there_or_change(video_dir, tmp_path):
    source = tmp_path / "a.list"
    source.write_text("v0.mp4 0\nnone.mp4 1\n")
    with pytest.raises(DataError, match=r"2 of 2 videos are not there, .*v0\.mp4"):
        written(source, tmp_path / "out")
    (tmp_path / "none.mp4").write_bytes(b"x")
    (tmp_path / "v0.mp4").write_bytes(b"y")
    source.write_text("v0.mp4 0\nnone 1\n")
    with pytest.raises(DataError, match="does not end as a video does"):
        written(source, tmp_path / "out")


def test_folders_have_names_and_shards_can_be_made_of_shards(video_dir, tmp_path):
    for number, name in enumerate(("b", "a")):
        (tmp_path / "videos" / name).mkdir(parents=True)
        os.link(video_dir / f"v{number}.mp4", tmp_path / "videos" / name / "v.mp4")
    main(["shard", str(tmp_path / "videos"), "-o", str(tmp_path / "s")])
    dataset = dataset_of(tmp_path / "s")
    assert dataset.class_names == ["a", "b"]
    assert (tmp_path / "s" / "classes.txt").read_text() == "a\nb\n"
    names = {record.label: record.where.rpartition(": ")[2] for record in dataset.records}
    assert names == {0: "a/v.mp4", 1: "b/v.mp4"}
    again = write_shards(of_dataset("s", dataset, ["a", "b"]), tmp_path / "t", ShardOptions())
    copied = dataset_of(tmp_path / "t")
    assert sorted(d for s in again.shards for d in s.digests) == sorted(
        d for s in json.loads((tmp_path / "s" / "shards.json").read_text())["shards"]
        for d in s["sha256"]
    )  # fmt: skip
    assert len(copied) == 2 and of_folder(tmp_path / "videos").class_names == ["a", "b"]
    differ = ["b", "a"]
    with pytest.raises(DataError, match="says that class 0 is a"):
        dataset_of_names(tmp_path / "s", differ)


def dataset_of_names(folder: Path, names: list[str]) -> None:
    from video.conftest import description

    from paddlevideo.loader import build_dataset

    node = {"format": "ShardDataset", "root": str(folder)}
    build_dataset(node, description(), training=False, class_names=names, class_names_source="x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size-mb", "0"], "--size-mb: expected above 0"),
        (["--samples", "0"], "--samples: expected 1"),
        (["--seed", "-1"], "--seed: must not be negative"),
        (["--name", "a/b"], "--name: "),
        (["--split", "train"], "--split has no effect here"),
    ],
)
def test_options_that_cannot_be(video_list, tmp_path, options, message):
    import argparse

    parser = argparse.ArgumentParser()
    shard.add_arguments(parser)
    arguments = parser.parse_args([str(video_list), "-o", str(tmp_path / "o"), *options])
    with pytest.raises(PaddleVideoError, match=message):
        shard.run(arguments)
