"""A clip of the exported program beside a plain export of the eager network with one thread.

python benchmarks/clip.py [--model movinet_a0_base] [--threads 1 2] [--blocks 4] [--clips 3]
    [--cpu_time]
python benchmarks/clip.py --bundle A0 A0_int8 [--threads 1 2] ...   # bundles, the first is 1.00

The plain export is what `paddle.jit.save` and `paddle2onnx.export` make of the network as it is,
in ONNX Runtime and in Paddle Inference with oneDNN, with one thread; ours is the bundle's clip
program in each engine that it can be opened with, with each number of threads. Native clip, random
weights, all in turns.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pool import exported
from turns import in_turns

PLAIN = "plain export"
DROPPED = 1


def plain_export(model: Any, folder: Path) -> tuple[Path, Path, Path]:
    """Program, weights and ONNX file of the network as it is."""
    import paddle
    import paddle2onnx

    spec = model.input_spec()
    shape = [-1, spec.num_frames, 3, spec.height, spec.width]

    class Plain(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        @paddle.jit.not_to_static
        def forward(self, clip: paddle.Tensor) -> paddle.Tensor:
            return self.model(clip)

    clip = paddle.static.InputSpec(shape, spec.dtype, "clip")
    traced = paddle.jit.to_static(Plain(), input_spec=[clip], full_graph=True)
    paddle.jit.save(traced, str(folder / "plain"))
    program, params, onnx = (folder / f"plain.{end}" for end in ("json", "pdiparams", "onnx"))
    # Its default would install packages.
    paddle2onnx.export(str(program), str(params), str(onnx), opset_version=17, optimize_tool="None")
    return program, params, onnx


def runs_of(name: str, folder: Path, threads: list[int]) -> dict[str, Callable[[], Any]]:
    import numpy as np

    import paddlevideo
    from paddlevideo.runtime import read_bundle
    from paddlevideo.runtime.engines import (
        EngineOptions,
        OnnxRuntimeEngine,
        engines_of,
        open_engine,
    )
    from paddlevideo.runtime.engines.paddle_inference import PaddleEngine

    model = paddlevideo.create_model(name, num_classes=600).eval()
    spec = model.input_spec()
    program, params, onnx = plain_export(model, folder)
    options = EngineOptions(device="cpu", cpu_threads=1)
    engines: dict[str, Any] = {
        f"{PLAIN}, onnxruntime": OnnxRuntimeEngine(onnx, ["logits"], options),
        f"{PLAIN}, paddle with oneDNN": PaddleEngine(program, params, ["logits"], options),
    }
    files = read_bundle(exported(name, folder / "bundle", spec.num_frames)).clip_files
    for engine, count in itertools.product(engines_of(files), threads):
        own = EngineOptions(device="cpu", cpu_threads=count, engine=engine)
        engines[f"ours, {engine}, {count} thread(s)"] = open_engine(files, own)
    shape = (1, spec.num_frames, 3, spec.height, spec.width)
    clip = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return {title: partial(engine.run, {"clip": clip}) for title, engine in engines.items()}


def runs_of_bundles(folders: list[Path], threads: list[int]) -> dict[str, Callable[[], Any]]:
    """The clip programs of some bundles, in each engine."""
    import numpy as np

    from paddlevideo.runtime import read_bundle
    from paddlevideo.runtime.engines import EngineOptions, engines_of, open_engine

    runs: dict[str, Callable[[], Any]] = {}
    for folder in folders:
        bundle = read_bundle(folder)
        spec = bundle.manifest.inputs[0]
        clip = np.random.default_rng(0).integers(0, 256, (1, *spec.shape[1:]), np.uint8)
        for engine, count in itertools.product(engines_of(bundle.clip_files)[::-1], threads):
            options = EngineOptions(device="cpu", cpu_threads=count, engine=engine)
            opened = open_engine(bundle.clip_files, options)
            title = f"{folder.name}, {engine}, {count} thread(s)"
            runs[title] = partial(opened.run, {spec.name: clip})
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="movinet_a0_base")
    parser.add_argument("--bundle", type=Path, nargs="+", help="in place of --model")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="of ours")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--clips", type=int, default=3, help="of a block")
    parser.add_argument(
        "--cpu_time", action="store_true", help="of one thread, where other programs run too"
    )
    arguments = parser.parse_args()
    if arguments.cpu_time and arguments.threads != [1]:
        parser.error("--cpu_time is that of the thread that calls: --threads 1")
    clock = time.thread_time if arguments.cpu_time else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        if arguments.bundle:
            runs = runs_of_bundles(arguments.bundle, arguments.threads)
        else:
            runs = runs_of(arguments.model, Path(folder), arguments.threads)
        times = in_turns(runs, arguments.blocks, arguments.clips, DROPPED, clock)
    bar, what = next(iter(times.values())), "first"
    if not arguments.bundle:
        plain = [each for title, each in times.items() if title.startswith(PLAIN)]
        bar, what = min(plain), f"faster {PLAIN}"
    title = "bundles" if arguments.bundle else f"{arguments.model}, one clip"
    print(f"| {title} | median | least | of the {what} | least of its least |")
    print("|---|---|---|---|---|")
    for run, (median, least) in times.items():
        shares = f"{median / bar.median:.2f} | {least / bar.least:.2f}"
        print(f"| {run} | {median:.0f} ms | {least:.0f} ms | {shares} |")


if __name__ == "__main__":
    main()
