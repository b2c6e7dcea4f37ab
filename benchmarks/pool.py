"""Frames a second of many streams through the pool, beside one single-threaded session.

python benchmarks/pool.py [--model movinet_a0_stream] [--streams 1 2 4 16] [--threads 2]
    [--engine onnxruntime] [--repeats 5] [--active 1]
python benchmarks/pool.py --bundle A0_int8 ...      # in place of a model with random weights

Frames of the model's native size, random; the whole of `push` and `step` is timed, the pipeline's
steps included, and the states go from step to step. Session and pools take turns; the figure is
the best round of each (other programs on the machine only ever slow a round down), with the median
beside it. CPU time a frame, of all threads, tells how much of a missing gain is other programs'
doing. Latency is from `push` to the result when all streams have a frame at the same time. With
``--active`` only so many streams of a pool have frames. Sessions in turn, on one thread, show what
more states than the caches hold cost.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

FRAMES_A_ROUND = 160


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="movinet_a0_stream")
    parser.add_argument("--bundle", type=Path, help="in place of --model")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4, 16])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engine", default="auto", help="see tools/predict.py")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--active", type=int, help="streams that have frames; default: all")
    return parser.parse_args()


def exported(
    name: str, folder: Path, num_frames: int = 8, formats: tuple[str, ...] = ("onnx",)
) -> Path:
    """A bundle of the model with random weights; they do not change its speed.

    Args:
        formats: beside Paddle's, those of them that can be written here.
    """
    import paddlevideo
    from paddlevideo.export import ExportOptions, export_model, usable_formats

    model = paddlevideo.create_model(name, num_classes=600).eval()
    side = model.input_spec().height
    pipeline = {
        "decode": {"name": "VideoDecoder"},
        "sample": {"name": "UniformSampler", "num_frames": num_frames},
        "transform": [
            {"Scale": {"short_size": side}},
            {"CenterCrop": {"target_size": side}},
            "Image2Array",
        ],
    }
    options = ExportOptions(formats=usable_formats(*formats))
    export_model(model, pipeline, folder, "model", None, options)
    return folder


def bundle_of(bundle: Path | None, model: str, folder: Path) -> Path:
    """The bundle that was named, or one of the model, written to a folder."""
    return bundle if bundle is not None else exported(model, folder)


def session_round(session: Any, frames: list[Any]) -> Callable[[], int]:
    """A function that shows the session the frames and gives their number."""

    def run() -> int:
        for n in range(FRAMES_A_ROUND):
            session.push(frames[n % len(frames)])
        return FRAMES_A_ROUND

    return run


def sessions_round(sessions: list[Any], frames: list[Any]) -> Callable[[], int]:
    """The same for sessions that have a frame each in turn, on one thread."""

    def run() -> int:
        turns = max(1, FRAMES_A_ROUND // len(sessions))
        for turn in range(turns):
            for n, session in enumerate(sessions):
                session.push(frames[(turn + n) % len(frames)])
        return turns * len(sessions)

    return run


def pool_round(
    pool: Any, streams: list[Any], frames: list[Any], pushing: list[float]
) -> Callable[[], int]:
    """The same for streams of a pool that have a frame at every step.

    Args:
        pushing: milliseconds a frame that were spent in ``push``, of each round.
    """

    def run() -> int:
        turns, seconds = max(1, FRAMES_A_ROUND // len(streams)), 0.0
        for turn in range(turns):
            begun = time.perf_counter()
            for n, stream in enumerate(streams):
                stream.push(frames[(turn + n) % len(frames)])
            seconds += time.perf_counter() - begun
            pool.step()
        pushing.append(1e3 * seconds / (turns * len(streams)))
        return turns * len(streams)

    return run


def timed(run: Callable[[], int]) -> tuple[float, float]:
    """Frames a second, and milliseconds of CPU time a frame."""
    begun, cpu_begun = time.perf_counter(), time.process_time()
    count = run()
    cpu = time.process_time() - cpu_begun
    return count / (time.perf_counter() - begun), 1e3 * cpu / count


def main() -> None:
    arguments = parse_arguments()
    import numpy as np

    import paddlevideo

    with tempfile.TemporaryDirectory() as folder:
        bundle = bundle_of(arguments.bundle, arguments.model, Path(folder))
        predictor = paddlevideo.load_predictor(
            bundle, device="cpu", cpu_threads=1, engine=arguments.engine
        )
        session = predictor.open_stream()
        side = session.frame_size[0]
        rng = np.random.default_rng(0)
        frames = [rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(8)]
        rounds = {"session": session_round(session, frames)}
        pools = {}
        pushing: dict[int, list[float]] = {count: [] for count in arguments.streams}
        for count in arguments.streams:
            sessions = [predictor.open_stream() for _ in range(count)]
            rounds[f"{count} sessions in turn"] = sessions_round(sessions, frames)
            pool = predictor.open_pool(max_streams=count, threads=arguments.threads)
            pools[count] = [pool.open() for _ in range(count)]
            active = pools[count][: arguments.active]
            name = f"pool of {count}" + (f", {len(active)} active" if arguments.active else "")
            rounds[name] = pool_round(pool, active, frames, pushing[count])
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in rounds}
        for repeat in range(arguments.repeats + 1):
            for name, run in rounds.items():
                figure = timed(run)
                if repeat:  # the first round warms up
                    figures[name].append(figure)
    report(figures, pools)
    for count, milliseconds in pushing.items():
        print(f"pool of {count}: push takes {min(milliseconds):.3f} ms a frame, on one thread")


def report(figures: dict[str, list[tuple[float, float]]], pools: dict[int, list[Any]]) -> None:
    rates = {name: [rate for rate, _ in values] for name, values in figures.items()}
    one, one_median = max(rates["session"]), statistics.median(rates["session"])
    for name, values in rates.items():
        best, median = max(values), statistics.median(values)
        cpu = min(cpu for _, cpu in figures[name])
        print(
            f"{name:21} {best:7.1f} frames/s ({best / one:.2f} of the session), median "
            f"{median:.1f} ({median / one_median:.2f}), CPU {cpu:.2f} ms a frame"
        )
    for count, streams in pools.items():
        streams = [stream for stream in streams if stream.counts.steps]
        means = [stream.counts.mean_latency_ms for stream in streams]
        p95 = [stream.counts.p95_latency_ms for stream in streams]
        print(
            f"pool of {count}: latency of the streams, mean {min(means):.1f} to {max(means):.1f} "
            f"ms, p95 {min(p95):.1f} to {max(p95):.1f} ms, "
            f"steps {json.dumps(sorted({stream.counts.steps for stream in streams}))}"
        )


if __name__ == "__main__":
    main()
