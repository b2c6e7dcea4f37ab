"""Measure what augmentation costs: operations and transforms on a clip, mixes on a batch.

    python benchmarks/augmentation.py [--frames 50] [--size 172] [--batch_size 8] [--repeats 20]

One thread, as in a worker process of the data loader; mixes on the current device, a GPU if there
is one.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import paddle

from paddlevideo.loader.mixing import BatchMix, Cutmix, Mixup, VideoMix
from paddlevideo.video import AutoAugment, ColorJitter, RandAugment, RandomErasing
from paddlevideo.video.transforms.augment.operations import OPERATIONS, Reach


def milliseconds(call: Callable[[int], object], repeats: int) -> float:
    """The median of ``repeats`` calls, each with another number."""
    times = []
    for number in range(repeats):
        start = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def mean_milliseconds(call: Callable[[int], object], repeats: int) -> float:
    """The mean, for what differs from draw to draw."""
    start = time.perf_counter()
    for number in range(repeats):
        call(number)
    return 1e3 * (time.perf_counter() - start) / repeats


def mixed(mix: BatchMix, batch: dict[str, paddle.Tensor], number: int) -> float:
    """Mix, and wait for the device."""
    result = mix(batch, np.random.default_rng(number))
    return result["clip"][0, 0, 0, 0, 0].item()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--size", type=int, default=172)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    shape = (arguments.frames, arguments.size, arguments.size, 3)
    clip_THWC = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    print(f"clip {shape}, milliseconds")
    for name, operation in OPERATIONS.items():
        cost = milliseconds(
            lambda n, f=operation: f(clip_THWC, 7.0, np.random.default_rng(n), Reach(20.0, 20.0)),
            arguments.repeats,
        )
        print(f"  {name:14} {cost:6.1f}")
    print("mean over draws")
    for transform in (
        AutoAugment(),
        AutoAugment("imagenet"),
        RandAugment(),
        RandomErasing(p=1.0),
        ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    ):
        cost = mean_milliseconds(
            lambda n, f=transform: f(clip_THWC, np.random.default_rng(n)), 10 * arguments.repeats
        )
        print(f"  {type(transform).__name__:14} {cost:6.1f}")
    batch = {
        "clip": paddle.to_tensor(
            np.stack([clip_THWC.transpose(0, 3, 1, 2)] * arguments.batch_size)
        ),
        "label": paddle.arange(arguments.batch_size),
    }
    print(f"batch {batch['clip'].shape} on {paddle.get_device()}")
    for mix in (Mixup(), Cutmix(1.0), VideoMix("temporal"), VideoMix("spatiotemporal")):
        cost = milliseconds(lambda n, m=mix: mixed(m, batch, n), arguments.repeats)
        print(f"  {type(mix).__name__:14} {cost:6.1f}")


if __name__ == "__main__":
    main()
