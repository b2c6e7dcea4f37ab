"""check-data and browse of a config whose samples lie in tar shards."""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.own_videos.footage import footage, write
from paddlevideo.apps.shards.samples import of_list
from paddlevideo.apps.shards.writing import ShardOptions, write_shards
from paddlevideo.cli.main import main


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Shards of train and valid with a copy, a smaller copy, two labels, damage and no video."""
    root = tmp_path_factory.mktemp("sharded")
    for name, seed in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
        write(root / f"{name}.mp4", footage(seed, 40))
    shutil.copy(root / "a.mp4", root / "again.mp4")
    shutil.copy(root / "d.mp4", root / "other label.mp4")
    write(root / "small.mp4", footage(3, 40), scale=0.5)
    write(root / "few.mp4", footage(8, 4))
    (root / "text.mp4").write_text("no video\n" * 99)
    lists = {
        "train": "a.mp4 0\nb.mp4 1\nc.mp4 0\nd.mp4 0\nagain.mp4 0\nother label.mp4 1\ntext.mp4 1\n",
        "valid": "small.mp4 0\nfew.mp4 1\nb.mp4 1\n",
    }
    for split, lines in lists.items():
        (root / f"{split}.list").write_text(lines)
        source = of_list(root / f"{split}.list", str(root))
        write_shards(source, root / split, ShardOptions(most_bytes=None, most_samples=3))
    for video in root.glob("*.mp4"):
        video.unlink()  # the shards alone are left
    return root


def options_of(shards, output):
    changes = [
        f"DATASET.train={{format: ShardDataset, root: {shards / 'train'}, shuffle_buffer: 3}}",
        f"DATASET.valid={{format: ShardDataset, root: {shards / 'valid'}}}",
        "DATASET.class_names=null",
        "DATASET.batch_size=2",
        "MODEL.head.num_classes=2",
        f"output_dir={output}",
    ]
    return [part for change in changes for part in ("-o", change)]


def test_check_data(shards, tmp_path, capsys):
    found = tmp_path / "found.json"
    options = [*options_of(shards, tmp_path / "run"), "--split", "train", "valid"]
    call = ["check-data", "movinet_a0_motion", *options, "--no-throughput", "--json", str(found)]
    with pytest.raises(SystemExit) as stop:
        main(call)
    said = capsys.readouterr()
    assert stop.value.code == 1 and "error: 1 samples cannot be used" in said.err
    assert "train: 7 samples, 1 unusable" in said.out
    content = json.loads(found.read_text())
    findings = {
        (each["kind"], _name(each["path"]), _name(each["other"] or ""))
        for each in content["findings"]
        if each["kind"] != "odd"
    }
    assert findings == {
        ("unreadable", "train text.mp4", ""),
        ("identical", "train again.mp4", "train a.mp4"),
        ("identical", "train other label.mp4", "train d.mp4"),
        ("two_labels", "train other label.mp4", "train d.mp4"),
        ("identical_across", "valid b.mp4", "train b.mp4"),
        ("near_across", "train c.mp4", "valid small.mp4"),
        ("short", "valid few.mp4", ""),
    }
    odd = {_name(each["path"]) for each in content["findings"] if "fewer than" in each["text"]}
    assert odd == {"valid few.mp4"}


def _name(path):
    """Split and name of the file that a member of a shard was."""
    if not path:
        return ""
    shard, _, member = path.rpartition("/")
    with tarfile.open(shard) as tar:
        name = json.load(tar.extractfile(f"{member.split('.')[0]}.json"))["name"]
    return f"{Path(shard).parent.name} {name}"


def test_lists_cannot_be_cleaned(shards, tmp_path, capsys):
    options = [*options_of(shards, tmp_path / "run"), "--fix", str(tmp_path / "clean.list")]
    with pytest.raises(SystemExit) as stop:
        main(["check-data", "movinet_a0_motion", *options, "--no-throughput", "--split", "valid"])
    assert stop.value.code == 1
    assert "shard" in capsys.readouterr().err and not (tmp_path / "clean.list").exists()


def test_browse(shards, tmp_path):
    options = options_of(shards, tmp_path / "run")
    call = ["browse", "movinet_a0_motion", *options, "--split", "valid", "--samples", "2"]
    main([*call, "--output", str(tmp_path / "sheets")])
    names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert names == ["sample_000.png", "sample_001.png"]
    first = np.asarray(Image.open(tmp_path / "sheets" / names[0]))
    assert first.std() > 20 and first.shape[1] > 300
