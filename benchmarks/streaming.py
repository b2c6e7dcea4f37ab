"""One frame of exported bundles in each engine, and the memory of a long stream.

python benchmarks/streaming.py [--models movinet_a0_stream ...] [--threads 1] [--repeats 100]
    [--memory_frames 20000]

Bundles hold random weights, which do not change the speed, and the models' native frame size. A
step is the whole of it: pixels in, logits out, states handed on. Engines take turns; figures are
the median and the least of all rounds. With ``--memory_frames`` a session of a small A0 (64x64) is
shown so many frames of 320x240, and its resident memory is read on the way.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memory import resident_megabytes
from pool import exported

ENGINES = ("onnxruntime", "paddle")


def milliseconds(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Times of each, taking turns, after three rounds for warming up."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 3):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            if repeat >= 3:
                taken[name].append(1e3 * (time.perf_counter() - begun))
    return taken


def steps_of(bundle: Path, threads: int) -> dict[str, Callable[[], Any]]:
    import numpy as np

    from paddlevideo.deploy import read_bundle
    from paddlevideo.deploy.engines import EngineOptions
    from paddlevideo.deploy.step_runner import StepRunner

    runs = {}
    for engine in ENGINES:
        options = EngineOptions(device="cpu", cpu_threads=threads, engine=engine)
        runner = StepRunner(read_bundle(bundle), options, batch_size=1)
        frame = np.random.default_rng(0).integers(0, 256, (1, *runner.frame_shape), np.uint8)
        runs[engine] = lambda runner=runner, frame=frame: runner.step(frame)
    return runs


def report_steps(name: str, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        taken = milliseconds(
            steps_of(exported(name, Path(folder)), arguments.threads), arguments.repeats
        )
    for engine, times in taken.items():
        print(
            f"{name}, one frame, {engine}, {arguments.threads} thread(s): "
            f"median {statistics.median(times):.2f} ms, least {min(times):.2f} ms",
            flush=True,
        )


def report_memory(num_frames: int) -> None:
    import numpy as np

    import paddlevideo
    from paddlevideo.deploy.export import ExportOptions, export_model

    model = paddlevideo.create_model("movinet_a0_stream", num_classes=10).eval()
    pipeline = {
        "decode": {"name": "VideoDecoder"},
        "sample": {"name": "UniformSampler", "num_frames": 8},
        "transform": [
            {"Scale": {"short_size": 64}},
            {"CenterCrop": {"target_size": 64}},
            "Image2Array",
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        export_model(model, pipeline, folder, "m", None, ExportOptions(mode="stream", onnx=True))
        predictor = paddlevideo.load_predictor(folder, device="cpu", engine="onnxruntime")
        session = predictor.open_stream(window_seconds=60, reset_on_cut=True, smooth_seconds=1.0)
        frames = np.random.default_rng(0).integers(0, 256, (8, 240, 320, 3), np.uint8)
        for n in range(num_frames + 1):
            session.push(frames[n % 8], timestamp=n / session.frame_rate)
            if n in (500, num_frames // 2, num_frames):
                print(f"after {n} frames: {resident_megabytes():.1f} MB resident", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models",
        nargs="*",
        default=["movinet_a0_stream", "movinet_a1_stream", "movinet_a2_stream"],
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--memory_frames", type=int, default=0)
    arguments = parser.parse_args()
    for name in arguments.models:
        report_steps(name, arguments)
    if arguments.memory_frames:
        report_memory(arguments.memory_frames)


if __name__ == "__main__":
    main()
