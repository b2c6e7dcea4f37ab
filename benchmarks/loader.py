"""How fast clips are read: the pipeline beside bare decoding, seeking, workers, decoders.

python benchmarks/loader.py VIDEO [--parts test train window workers decoders] [--rounds 9]

VIDEO is for ``test``, ``workers`` and ``decoders``; the others write their own from its frames, of
1280x720 pixels and of ten minutes, into --folder (kept if given, and used again). CPU
milliseconds of one process; all in turns; the ratios are those of the least and of the median pair.
"""

import argparse
import logging
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import av
import cv2
import numpy as np
from torchcodec_decoder import check_is_installed, own_resize

from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.memory import keep_freed_memory
from paddlevideo.video import Pipeline

if TYPE_CHECKING:
    from paddlevideo.loader import ClipLoader

PARTS = ("test", "train", "window", "workers", "decoders")
FRAMES, SIDE = 50, 172
MINUTES, RATE, KEY_SECONDS = 10, 25, 5
DENSE = 16
TEST_STEPS = [
    {"Scale": {"short_size": SIDE, "fixed_ratio": False}},
    {"CenterCrop": {"target_size": SIDE}},
    "Image2Array",
]
TRAIN_STEPS = [
    {"RandomResizedCrop": {"target_size": SIDE}},
    "RandomFlip",
    {"ColorJitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}},
    "Image2Array",
]


def description(
    steps: list[object], resize: str, sample: dict[str, object] | None = None, **decode: str
) -> dict[str, object]:
    return {
        "decode": {"name": "VideoDecoder", **decode},
        "resize": resize,
        "sample": sample or {"name": "UniformSampler", "num_frames": FRAMES},
        "transform": steps,
    }


def bare_decode(video: str) -> Callable[[], object]:
    """All frames by PyAV, one thread, nothing converted."""

    def run() -> int:
        with av.open(video) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            return sum(len(packet.decode()) for packet in container.demux(stream))

    return run


def bare_span(video: str, first: int, last: int) -> Callable[[], object]:
    """From the key frame before frame ``first`` to frame ``last``, of a file of RATE frames/s."""

    def run() -> int:
        with av.open(video) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            begin, end = (int(n / RATE / stream.time_base) for n in (first, last))
            container.seek(begin, stream=stream, backward=True)
            count = 0
            for frame in container.decode(stream):
                count += 1
                if frame.pts is not None and frame.pts >= end:
                    break
            return count

    return run


def frames_of(video: str) -> Iterator[np.ndarray]:
    with av.open(video) as container:
        yield from (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))


def written(file: Path, video: str, count: int, width: int, height: int, key_every: int) -> str:
    """``video`` again and again as H.264 of that size; kept if it is there."""
    if file.exists():
        return str(file)
    images = [cv2.resize(image, (width, height)) for image in frames_of(video)]
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "g": str(key_every), "sc_threshold": "0"}
        for number in range(count):
            # There and back, so that nothing but the first frame is a cut.
            at = number % (2 * len(images))
            image = images[at if at < len(images) else 2 * len(images) - 1 - at]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(file)


def compare(title: str, runs: Mapping[str, Callable[[], object]], rounds: int) -> None:
    """Print CPU milliseconds of each run, and its ratio to the first."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run()
            begun = time.process_time()
            run()
            taken[name].append(1e3 * (time.process_time() - begun))
    print(f"\n{title}")
    first = next(iter(taken.values()))
    for name, values in taken.items():
        pairs = statistics.median(one / other for one, other in zip(values, first, strict=True))
        print(
            f"  {name:42s} least {min(values):8.2f} ms, median {statistics.median(values):8.2f} ms,"
            f" ratio of the least {min(values) / min(first):.2f}, of the median pair {pairs:.2f}",
            flush=True,
        )


def loads(video: str, node: dict[str, object], training: bool = False) -> Callable[[], object]:
    pipeline = Pipeline(node, training=training)
    numbers = iter(range(10**9))
    return lambda: pipeline.load(video, seed=next(numbers) if training else 0)


def test_part(video: str, rounds: int) -> None:
    compare(
        f"test pipeline: {FRAMES} frames of {SIDE}x{SIDE}",
        {
            "bare decode": bare_decode(video),
            "resize: exact": loads(video, description(TEST_STEPS, "exact")),
            "resize: fast": loads(video, description(TEST_STEPS, "fast")),
            "resize: fast, seek: exact": loads(
                video, description(TEST_STEPS, "fast", seek="exact")
            ),
        },
        rounds,
    )


def train_part(video: str, rounds: int) -> None:
    compare(
        f"training pipeline: {FRAMES} frames, random crop and colour, 1280x720",
        {
            "bare decode": bare_decode(video),
            "resize: exact": loads(video, description(TRAIN_STEPS, "exact"), True),
            "resize: fast": loads(video, description(TRAIN_STEPS, "fast"), True),
            "resize: fast, seek: exact": loads(
                video, description(TRAIN_STEPS, "fast", seek="exact"), True
            ),
        },
        rounds,
    )


def window_part(video: str, rounds: int) -> None:
    sample = {
        "name": "Sampler", "num_seg": 1, "seg_len": DENSE, "frame_interval": 1, "valid_mode": True
    }  # fmt: skip
    first = (MINUTES * 60 * RATE - DENSE + 1) // 2
    runs = {
        "bare decode of the span": bare_span(video, first, first + DENSE - 1),
        **{
            f"resize: fast, seek: {seek}": loads(
                video, description(TEST_STEPS, "fast", sample, seek=seek)
            )
            for seek in ("exact", "approximate")
        },
    }
    begun = time.process_time()
    loads(video, description(TEST_STEPS, "fast", sample, seek="exact"))()
    first_ms = 1e3 * (time.process_time() - begun)
    compare(f"{DENSE} dense frames of {MINUTES} minutes", runs, rounds)
    print(f"  the first time, which makes the index: {first_ms:.1f} ms")
    begun = time.process_time()
    loads(video, description(TEST_STEPS, "fast", sample))()
    print(f"  seek: none: {1e3 * (time.process_time() - begun):.1f} ms")


def workers_part(video: str, rounds: int, clips: int = 128, batch_size: int = 4) -> None:
    from paddlevideo.loader import ClipLoader
    from paddlevideo.loader.dataset.build import build_dataset

    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "all.list"
        listed.write_text(f"{Path(video).absolute()} 0\n" * clips)
        node = {"format": "VideoDataset", "file_path": str(listed)}
        for resize in ("exact", "fast"):
            dataset = build_dataset(node, description(TEST_STEPS, resize), training=False)
            seen: dict[int, list[Reading]] = {1: [], 2: []}
            for _ in range(rounds):
                for workers, readings in seen.items():
                    loader = ClipLoader(dataset, batch_size, training=False, num_workers=workers)
                    readings.append(read_all(loader, clips))
            pairs = [two.rate / one.rate for one, two in zip(*seen.values(), strict=True)]
            best = {workers: max(each.rate for each in found) for workers, found in seen.items()}
            print(
                f"\nworkers, resize: {resize}: one {best[1]:.1f} clips/s, two {best[2]:.1f}; ratio "
                f"of the best {best[2] / best[1]:.2f}, of the median pair "
                f"{statistics.median(pairs):.2f}",
                flush=True,
            )
            for workers, found in seen.items():
                theirs, ours = (min(each) for each in zip(*(r.cpu_ms for r in found), strict=True))
                print(
                    f"  CPU time of a clip, the least, {workers}: in its worker {theirs:.2f} ms, in"
                    f" the process that gets it {ours:.2f} ms"
                )


class Reading(NamedTuple):
    rate: float  # clips per second
    cpu_ms: tuple[float, float]  # a clip, in its worker and in this process


def read_all(loader: "ClipLoader", clips: int) -> Reading:
    """Read an epoch. What the workers have read ahead when the clock starts is not counted."""
    batches = loader.epoch(0)
    in_workers = cpu_seconds_of_children()
    for _ in range(2 * loader.num_workers):
        next(batches)
    left = clips - 2 * loader.num_workers * loader.batch_size
    begun, here = time.perf_counter(), time.process_time()
    for _ in batches:
        pass
    rate = left / (time.perf_counter() - begun)
    here = time.process_time() - here
    in_workers = cpu_seconds_of_children() - in_workers
    return Reading(rate, (1e3 * in_workers / clips, 1e3 * here / left))


def cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def decoders_part(video: str, title: str, rounds: int) -> None:
    runs = {"bare decode": bare_decode(video)}
    for backend in ("pyav", "cv2", "decord"):
        for resize in ("exact", "fast"):
            run = loads(video, description(TEST_STEPS, resize, backend=backend))
            try:
                run()
            except ConfigError as error:
                print(f"{backend} is left out: {error}")
                break
            runs[f"{backend}, resize: {resize}"] = run
    try:
        check_is_installed()
    except ConfigError as error:
        print(f"torchcodec is left out: {error}")
    else:
        for resize in ("exact", "fast"):
            node = {**description(TEST_STEPS, resize), "decode": {"name": "TorchcodecDecoder"}}
            runs[f"torchcodec, resize: {resize}"] = loads(video, node)
        runs["torchcodec, resized by itself"] = own_resize(video, FRAMES, SIDE)
    compare(f"decoders, {title}: {FRAMES} frames of {SIDE}x{SIDE}", runs, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(0)  # as in a worker
    keep_freed_memory()  # as every command does
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        parts, video, rounds = arguments.parts, arguments.video, arguments.rounds
        large = long = ""
        if {"train", "decoders"} & set(parts):
            large = written(folder / "large.mp4", video, 131, 1280, 720, 50)
        if "window" in parts:
            count = MINUTES * 60 * RATE
            long = written(folder / "long.mp4", video, count, 640, 360, KEY_SECONDS * RATE)
        if "test" in parts:
            test_part(video, rounds)
        if "train" in parts:
            train_part(large, rounds)
        if "window" in parts:
            window_part(long, rounds)
        if "workers" in parts:
            workers_part(video, max(3, rounds // 3))
        if "decoders" in parts:
            decoders_part(video, "the video", rounds)
            decoders_part(large, "1280x720", rounds)


if __name__ == "__main__":
    main()
