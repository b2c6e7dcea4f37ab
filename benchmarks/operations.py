"""Where the time of an exported program goes, by kind of operation.

python benchmarks/operations.py [--model movinet_a0_base] [--program clip] [--engine onnxruntime]
    [--runs 10] [--threads 1] [--products float32] [--bundle FOLDER]

Of every operation the least of all runs is taken. Measuring each costs some time of its own. With
several threads, in the compiled engine, the time of an operation is that of its slowest share: what
it would take if nobody waited for anybody. With --bundle the program is that of a bundle, for
instance one on 8 bits.
"""

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, get_args

from pool import exported

from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.base import Products


def random_inputs(session: Any, seed: int = 0) -> dict[str, Any]:
    """Pixels and states of one clip or stream."""
    import numpy as np

    rng = np.random.default_rng(seed)
    given = {}
    for node in session.get_inputs():
        shape = [length if isinstance(length, int) else 1 for length in node.shape]
        kind = {"tensor(uint8)": np.uint8, "tensor(int32)": np.int32}.get(node.type, np.float32)
        given[node.name] = rng.integers(0, 200 if kind == np.uint8 else 2, shape).astype(kind)
    return given


def least_times(path: Path, runs: int, folder: Path) -> dict[str, tuple[str, float]]:
    """Kind and milliseconds of every operation of the graph as ONNX Runtime rewrote it."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4
    settings.enable_profiling = True
    settings.profile_file_prefix = str(folder / "profile")
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    inputs = random_inputs(session)
    for _ in range(runs):
        session.run(None, inputs)
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    least: dict[str, tuple[str, float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name, taken = event["name"], event["dur"] / 1e3
            if name not in least or taken < least[name][1]:
                least[name] = (event["args"]["op_name"], taken)
    return least


def largest(total: dict[str, float]) -> list[tuple[str, float]]:
    """The ten kinds that take the most time."""
    return sorted(total.items(), key=lambda item: -item[1])[:10]


def report_compiled(files: Any, name: str, runs: int, options: EngineOptions) -> None:
    """The same of the compiled engine, with what it computes."""
    import numpy as np

    from paddlevideo.runtime.engines.compiled.engine import CompiledEngine

    engine = CompiledEngine(files.onnx, files.outputs, options)
    rng = np.random.default_rng(0)
    inputs = {
        name: engine.tensor(rng.integers(0, 200 if shape[0] == 3 else 2, (1, *shape)).astype(dtype))
        for name, shape, dtype in engine.expected_inputs
    }
    total: defaultdict[str, float] = defaultdict(float)
    number, work = Counter[str](), Counter[str]()
    for item in engine.time_operations(inputs, 10 * runs):
        single = item.kind == "dense" and item.multiply_adds * 4 == item.weight_bytes
        kind = "dense, one pixel" if single else item.kind
        total[kind] += 1e3 * item.seconds
        number[kind] += 1
        work[kind] += item.multiply_adds
    whole = sum(total.values())
    print(f"| {name}, step program, compiled | number | ms | share | 1e9 multiply-adds/s |")
    print("|---|---|---|---|---|")
    for kind, taken in largest(total):
        rate = f"{work[kind] / taken / 1e6:.0f}" if work[kind] else ""
        print(f"| {kind} | {number[kind]} | {taken:.2f} | {taken / whole:.2f} | {rate} |")
    print(f"| all | {number.total()} | {whole:.2f} | 1.00 | {work.total() / whole / 1e6:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    program = parser.add_mutually_exclusive_group()
    program.add_argument("--model", default="movinet_a0_base")
    program.add_argument("--bundle", type=Path, help="instead of a model with random weights")
    parser.add_argument("--program", choices=("clip", "step"), default="clip")
    parser.add_argument("--engine", choices=("onnxruntime", "compiled"), default="onnxruntime")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1, help="of the compiled engine")
    parser.add_argument("--products", choices=get_args(Products), default="float32")
    arguments = parser.parse_args()
    if arguments.threads > 1 and arguments.engine != "compiled":
        parser.error("--threads is for --engine compiled")
    options = EngineOptions(
        device="cpu", cpu_threads=arguments.threads, engine=arguments.engine,
        products=arguments.products,
    )  # fmt: skip
    import paddlevideo
    from paddlevideo.runtime import read_bundle

    name = str(arguments.bundle or arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.bundle
        if path is None:
            num_frames = paddlevideo.create_model(arguments.model).input_spec().num_frames
            path = exported(arguments.model, Path(folder) / "bundle", num_frames)
        bundle = read_bundle(path)
        files = bundle.clip_files if arguments.program == "clip" else bundle.step_files
        if files.onnx is None:
            raise SystemExit("this needs what writes ONNX: pip install -r requirements-onnx.txt")
        if arguments.engine == "compiled":
            report_compiled(files, name, arguments.runs, options)
            return
        least = least_times(files.onnx, arguments.runs, Path(folder))
    total: defaultdict[str, float] = defaultdict(float)
    number = Counter[str]()
    for kind, taken in least.values():
        total[kind] += taken
        number[kind] += 1
    whole = sum(total.values())
    print(f"| {name}, {arguments.program} program | number | ms | share |")
    print("|---|---|---|---|")
    for kind, taken in largest(total):
        print(f"| {kind} | {number[kind]} | {taken:.2f} | {taken / whole:.2f} |")
    print(f"| all | {len(least)} | {whole:.2f} | 1.00 |")


if __name__ == "__main__":
    main()
