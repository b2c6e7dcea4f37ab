"""This version against another checkout of the project: decoding, a stream's step, a training step.

python benchmarks/versions.py --before ../older [--video VIDEO] [--rounds 7]

The two take turns, each measurement in a process of its own: CPU milliseconds, the least of its
calls. Printed are the ratios of the least and of the median pair.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEP_MODELS = ("movinet_a0_stream", "movinet_a2_stream")


def least_ms(run: Callable[[], object], calls: int, dropped: int = 3) -> float:
    for _ in range(dropped):
        run()
    taken = []
    for _ in range(calls):
        begun = time.process_time()
        run()
        taken.append(1e3 * (time.process_time() - begun))
    return min(taken)


def description(side: int, frames: int) -> dict[str, object]:
    return {
        "decode": {"name": "VideoDecoder"},
        "sample": {"name": "UniformSampler", "num_frames": frames},
        "transform": [
            {"Scale": {"short_size": side, "fixed_ratio": False}},
            {"CenterCrop": {"target_size": side}},
            "Image2Array",
        ],
    }


def decode(video: str) -> float:
    """A clip of 50 frames from a file."""
    from paddlevideo.video import Pipeline

    pipeline = Pipeline(description(172, 50))
    return least_ms(lambda: pipeline.load(video), 12)


def step(name: str) -> float:
    """One frame in the compiled engine, with random weights."""
    import numpy as np
    import paddle

    import paddlevideo
    from paddlevideo.export import ExportOptions, export_model
    from paddlevideo.runtime.engines import EngineOptions
    from paddlevideo.runtime.streams.step_runner import StepRunner

    paddle.seed(0)
    model = paddlevideo.create_model(name, num_classes=600).eval()
    side = {"movinet_a0_stream": 172, "movinet_a2_stream": 224}[name]
    with tempfile.TemporaryDirectory() as folder:
        options = ExportOptions(mode="stream", formats=("onnx",))
        bundle = export_model(model, description(side, 10), folder, "M", None, options)
        engine = EngineOptions(device="cpu", cpu_threads=1, engine="compiled")
        runner = StepRunner(bundle, engine)
        shape = (1, *runner.frame_shape)
        frame = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        return least_ms(lambda: runner.step(frame), 500, dropped=50)


def train(_: str) -> float:
    """A training step of MoViNet-A0 on 8 clips of 8x64x64."""
    import numpy as np
    import paddle

    from paddlevideo.modeling import build_recognizer, model_section
    from paddlevideo.solver import build_optimizer
    from paddlevideo.tasks.step import Precision, TrainStep

    paddle.seed(0)
    paddle.set_device("cpu")
    model = build_recognizer(model_section("movinet_a0_base", num_classes=8))
    node = {"name": "AdamW", "learning_rate": 1e-3, "weight_decay": 0.01}
    one_step = TrainStep(model, build_optimizer(node, model, "OPTIMIZER"), Precision())
    rng = np.random.default_rng(0)
    batch = {
        "clip": paddle.to_tensor(rng.integers(0, 256, (8, 8, 3, 64, 64), np.uint8)),
        "label": paddle.to_tensor(rng.integers(0, 8, 8)),
    }
    model.train()
    return least_ms(lambda: one_step(batch, 1e-3, 1, True), 12)


MEASURES: dict[str, Callable[[str], float]] = {"decode": decode, "step": step, "train": train}


def measured(root: Path, name: str, argument: str) -> float:
    """In a process that imports the package of ``root``, by its own form of this file.

    Inner modules may have other names there.
    """
    script = root.resolve() / "benchmarks" / Path(__file__).name
    command = [sys.executable, str(script), "--measure", name, argument, "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="the other checkout")
    parser.add_argument("--video", help="to decode; without it that is left out")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        sys.path.insert(0, str(arguments.root))
        name, argument = arguments.measure
        print(json.dumps(MEASURES[name](argument)))
        return
    if arguments.before is None:
        parser.error("--before is required")
    wanted = [("step", model) for model in STEP_MODELS] + [("train", "movinet_a0_base")]
    if arguments.video:
        wanted.insert(0, ("decode", arguments.video))
    for name, argument in wanted:
        pairs = [
            (measured(ROOT, name, argument), measured(arguments.before, name, argument))
            for _ in range(arguments.rounds)
        ]
        now, before = (min(each) for each in zip(*pairs, strict=True))
        median = statistics.median(one / other for one, other in pairs)
        print(
            f"{name} {Path(argument).name}: {now:.3f} ms, before {before:.3f} ms, ratio of the "
            f"least {now / before:.3f}, of the median pair {median:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
