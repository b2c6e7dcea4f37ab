"""One frame of exported bundles in each engine beside TFLite, and the memory of a long stream.

python benchmarks/streaming.py [--models movinet_a0_stream ...] [--tflite FOLDER] [--threads 1]
    [--blocks 8] [--steps 50] [--memory_frames 20000]

Bundles hold random weights, which do not change the speed, and the models' native frame size. A
step is the whole of it: pixels in, logits out, states handed on. Engines take turns in blocks of
steps; figures are the median and the least of all blocks, and the median's share of the fastest
TFLite. FOLDER holds what `peers/tflite_movinet.py` wrote; without it, or without ai-edge-litert,
TFLite is left out. "The run alone" is LiteRT without the copies of states in and out, which are
the caller's. Our own TFLite file is among the engines, as litert, where --format tflite can write
it (docs/tflite.md). With ``--memory_frames`` a session of a small A0 (64x64) is shown so many
frames of 320x240, and its resident memory is read on the way.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memory import resident_megabytes
from peers.tflite_step import (
    frame_shape,
    has_litert,
    run_alone,
    step_by_signature,
    step_by_views,
)
from pool import exported
from turns import Times, in_turns

DROPPED = 10
TFLITE = "TFLite"
ALONE = "the run alone"
FORMATS = ("onnx", "tflite")
KINDS = {"fp32": "float32", "dynamic": "dynamic range"}


def steps_of(bundle: Path, threads: int) -> dict[str, Callable[[], Any]]:
    """A step of the bundle in every engine that it can be opened with."""
    import numpy as np

    from paddlevideo.runtime import read_bundle
    from paddlevideo.runtime.engines import EngineOptions, engines_of
    from paddlevideo.runtime.streams.step_runner import StepRunner

    runs = {}
    loaded = read_bundle(bundle)
    for engine in engines_of(loaded.step_files):
        options = EngineOptions(device="cpu", cpu_threads=threads, engine=engine)
        runner = StepRunner(loaded, options, batch_size=1)
        frame = np.random.default_rng(0).integers(0, 256, (1, *runner.frame_shape), np.uint8)
        runs[f"ours, {engine}"] = lambda runner=runner, frame=frame: runner.step(frame)
    tflite = loaded.step_files.tflite
    if tflite is not None and has_litert():
        runs[f"{ALONE}, ours"] = run_alone(tflite, threads)
    return runs


def tflite_steps(name: str, folder: Path, threads: int) -> dict[str, Callable[[], Any]]:
    """A step of each of the variant's files by each way of the API; none where they are missing."""
    import numpy as np

    runs: dict[str, Callable[[], Any]] = {}
    for kind, title in KINDS.items():
        path = folder / f"{name.split('_')[1]}_{kind}.tflite"
        if not path.is_file() or not has_litert():
            missing = f"{path} is missing" if has_litert() else "ai-edge-litert is not installed"
            print(f"without {TFLITE} {title}: {missing} (docs/benchmarks.md)", flush=True)
            continue
        frame = np.random.default_rng(0).random(frame_shape(path), np.float32)
        for way, make in (("views", step_by_views), ("signature", step_by_signature)):
            step = make(path, threads)
            runs[f"{TFLITE} {title}, {way}"] = lambda step=step, frame=frame: step(frame)
        runs[f"{ALONE}, {TFLITE} {title}"] = run_alone(path, threads)
    return runs


def report_steps(name: str, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            **steps_of(exported(name, Path(folder), formats=FORMATS), arguments.threads),
            **tflite_steps(name, arguments.tflite, arguments.threads),
        }
        times = in_turns(runs, arguments.blocks, arguments.steps, DROPPED)
    print(f"\n| {name}, {arguments.threads} thread(s) | median | least | of the fastest TFLite |")
    print("|---|---|---|---|")
    fastest = fastest_peer(times)
    for run, (median, least) in sorted(times.items(), key=lambda item: item[1].median):
        share = f"{median / fastest:.2f}" if fastest else ""
        print(f"| {run} | {median:.2f} ms | {least:.2f} ms | {share} |", flush=True)


def fastest_peer(times: dict[str, Times]) -> float | None:
    """The least median of TFLite's, None where it was left out."""
    return min((each.median for run, each in times.items() if run.startswith(TFLITE)), default=None)


def report_memory(num_frames: int) -> None:
    import numpy as np

    import paddlevideo
    from paddlevideo.export import ExportOptions, export_model

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
        export_model(
            model, pipeline, folder, "m", None, ExportOptions(mode="stream", formats=("onnx",))
        )
        predictor = paddlevideo.load_predictor(folder, device="cpu")
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
    parser.add_argument("--tflite", type=Path, default=Path("output/tflite"))
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--memory_frames", type=int, default=0)
    arguments = parser.parse_args()
    for name in arguments.models:
        report_steps(name, arguments)
    if arguments.memory_frames:
        report_memory(arguments.memory_frames)


if __name__ == "__main__":
    main()
