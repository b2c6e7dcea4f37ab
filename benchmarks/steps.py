"""One frame of any step programs in turns: bundles and .tflite files beside each other.

python benchmarks/steps.py BUNDLE... FILE.tflite... [--engine compiled] [--threads 1] [--blocks 8]
    [--products float32 bfloat16] [--alone]

The first one is what the others are held against. A .tflite file's states are handed on as views
of LiteRT's own memory (`peers/tflite_step.py`); it needs requirements-litert.txt. With several
--products each bundle is timed with each of them. With --alone LiteRT's run is timed without what
goes in and out, of the bundles' TFLite files too.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
from turns import in_turns

from paddlevideo.runtime.bundle import read_bundle
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.base import EngineName, Products
from paddlevideo.runtime.streams.step_runner import StepRunner

CALLS, DROPPED = 40, 8


def run_of(path: Path, threads: int) -> Callable[[], object]:
    from peers.tflite_step import run_alone

    found = path if path.suffix == ".tflite" else read_bundle(path).step_files.tflite
    if found is None:
        raise SystemExit(f"{path} holds no TFLite file of a step")
    return run_alone(found, threads)


def step_of(
    path: Path, engine: EngineName, threads: int, products: Products
) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    if path.suffix == ".tflite":
        from peers.tflite_step import frame_shape, step_by_views

        step, picture = step_by_views(path, threads), rng.random(frame_shape(path), np.float32)
        return lambda: step(picture)
    options = EngineOptions(device="cpu", cpu_threads=threads, engine=engine, products=products)
    runner = StepRunner(read_bundle(path), options)
    frames_BCHW = rng.integers(0, 256, (1, *runner.frame_shape), np.uint8)
    return lambda: runner.step(frames_BCHW)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("programs", nargs="+", type=Path, metavar="BUNDLE|FILE.tflite")
    parser.add_argument("--engine", choices=get_args(EngineName), default="compiled")
    parser.add_argument("--threads", type=int, default=1, help="for one stream")
    parser.add_argument(
        "--products", nargs="+", choices=get_args(Products), default=["float32"],
        help="of the compiled engine",
    )  # fmt: skip
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--alone", action="store_true")
    arguments = parser.parse_args()
    runs: dict[str, Callable[[], object]] = {}
    for path in arguments.programs:
        if arguments.alone:
            runs[str(path)] = run_of(path, arguments.threads)
            continue
        ways: list[Products] = ["float32"] if path.suffix == ".tflite" else arguments.products
        for products in ways:
            name = str(path) if products == "float32" else f"{path}, {products}"
            runs[name] = step_of(path, arguments.engine, arguments.threads, products)
    times = in_turns(runs, arguments.blocks, CALLS, DROPPED)
    first = next(iter(times.values()))
    for name, taken in times.items():
        print(
            f"{name}: median {taken.median:.3f} ms ({first.median / taken.median:.2f} is the first "
            f"one's share), least {taken.least:.3f} ms ({first.least / taken.least:.2f})"
        )


if __name__ == "__main__":
    main()
