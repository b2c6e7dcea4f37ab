"""Shards of small files, ours and of other people's form."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from video.conftest import description

from paddlevideo.apps.shards.samples import of_list
from paddlevideo.apps.shards.writing import ShardOptions, WrittenShards, write_shards
from paddlevideo.loader import build_dataset

LABELS = [i % 3 for i in range(7)]


def written(video_list: Path, output: Path, **options: object) -> WrittenShards:
    """Shards of the seven videos, two in each unless said otherwise."""
    defaults = {"most_bytes": None, "most_samples": 2}
    source = of_list(video_list, str(video_list.parent))
    return write_shards(source, output, ShardOptions(**{**defaults, **options}))


def dataset_of(folder: Path, training: bool = False, steps: dict | None = None, **arguments):
    node = {"format": "ShardDataset", "root": str(folder), **arguments}
    return build_dataset(node, steps or description(), training=training, where="DATASET.train")


def foreign_tar(path: Path, members: dict[str, bytes], **options: object) -> Path:
    """A tar as Python's library writes it by default."""
    with tarfile.open(path, "w", **options) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1234.5  # a fraction needs a pax header
            tar.addfile(member, io.BytesIO(content))
    return path


def label_json(label: object, **more: object) -> bytes:
    return json.dumps({"label": label, **more}).encode()


@pytest.fixture(scope="session")
def shard_dir(video_list, tmp_path_factory) -> Path:
    """Four shards of the seven videos."""
    folder = tmp_path_factory.mktemp("shards") / "train"
    written(video_list, folder)
    return folder
