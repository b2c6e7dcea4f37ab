"""Reading videos from tar shards beside loose files: bytes alone, and decoded.

python benchmarks/shards.py VIDEO [--videos 400] [--rounds 3] [--folder FOLDER]

VIDEO is copied so many times, and the copies are written into shards of 64. Each round reads all of
them in the order of a shuffled epoch: loose files in any order, shards one after the other. The
first read of a process holds each video against its SHA-256. With --cold the page cache is emptied
before each (Linux, as root).
"""

import argparse
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from paddlevideo.apps.shards.samples import of_list
from paddlevideo.apps.shards.writing import ShardOptions, write_shards
from paddlevideo.loader.dataset.base import ClipDataset
from paddlevideo.loader.dataset.build import build_dataset
from paddlevideo.utils.randomness import Stream, generator
from paddlevideo.video.media import FileMedia

STEPS = {
    "decode": {"name": "VideoDecoder"},
    "resize": "fast",
    "sample": {"name": "UniformSampler", "num_frames": 16},
    "transform": [
        {"Scale": {"short_size": 172, "fixed_ratio": False}},
        {"CenterCrop": {"target_size": 172}},
        "Image2Array",
    ],
}
SAMPLES_IN_SHARD = 64


def prepared(video: Path, number: int, folder: Path) -> tuple[Path, Path]:
    """A list of so many copies, and the folder of their shards; kept if there."""
    listed, shards = folder / "all.list", folder / "shards"
    if not (shards / "shards.json").exists():
        lines = []
        for copy in range(number):
            name = f"{copy:06d}{video.suffix}"
            shutil.copy(video, folder / name)
            lines.append(f"{name} 0\n")
        listed.write_text("".join(lines))
        options = ShardOptions(most_bytes=None, most_samples=SAMPLES_IN_SHARD)
        write_shards(of_list(listed, str(folder)), shards, options)
    return listed, shards


def drop_cache() -> None:
    os.sync()  # only what is on the disk can be dropped
    Path("/proc/sys/vm/drop_caches").write_text("3\n")


def order_of(dataset: ClipDataset, epoch: int) -> np.ndarray:
    drawn = np.arange(len(dataset))
    return dataset.order(generator(0, Stream.ORDER, epoch), drawn)


def read(dataset: ClipDataset, epoch: int) -> float:
    """Megabytes a second of the videos' bytes."""
    total = 0
    begun = time.perf_counter()
    for index in order_of(dataset, epoch).tolist():
        media = dataset.media_of(index) or FileMedia(dataset.records[index].path)
        with media.open() as file:
            total += len(file.read())
    return total / 1e6 / (time.perf_counter() - begun)


def decode(dataset: ClipDataset, epoch: int, clips: int = 60) -> float:
    """Clips a second."""
    begun = time.perf_counter()
    for index in order_of(dataset, epoch)[:clips].tolist():
        dataset[epoch, index]
    return clips / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--videos", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--cold", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        listed, shards = prepared(arguments.video, arguments.videos, folder)
        nodes = {
            "loose": {"format": "VideoDataset", "file_path": str(listed)},
            "shards": {"format": "ShardDataset", "root": str(shards)},
        }
        nodes["loose"]["data_prefix"] = str(folder)
        sets = {name: build_dataset(node, STEPS, training=True) for name, node in nodes.items()}
        runs: dict[str, Callable[[ClipDataset, int], float]] = {"MB/s": read, "clips/s": decode}
        for unit, run in runs.items():
            for number in range(arguments.rounds):
                told = []
                for name, dataset in sets.items():
                    if arguments.cold:
                        drop_cache()
                    told.append(f"{name} {run(dataset, number):8.1f}")
                print(f"{unit}, round {number + 1}: {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
