"""Eager speed and memory of the models on the CPU, beside PaddleVideo's arithmetic, in one run.

python benchmarks/model.py [--threads 2] [--repeats 5] [--models 'movinet_*'] [--part peer|variants]

First MoViNet-A0-Base against PaddleVideo's layers (`peers/paddlevideo_a0.py`) and against itself
with Paddle's kernels: forward of one clip of 50x172x172, a training step (forward,
backward, RMSProp) of 2 clips of 16x172x172, and the memory that step needs at its peak, above the
process before it. The three take turns within a process; memory is taken in a process each. Then
every registered model: forward of 8 frames at its native size, one frame as a step where it is
causal, and a training step of 2 clips of 8x128x128. Figures are medians.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from memory import forget_peak, peak_megabytes, resident_megabytes  # noqa: E402

PEERS = ("paddlevideo", "ours", "ours, Paddle's kernels")
WORK = {
    "forward, 1 clip 50x172x172": (1, 50, 172),
    "training step, 2 clips 16x172x172": (2, 16, 172),
}


def without_compiled_kernels(run: Callable[[], Any]) -> Callable[[], Any]:
    from paddlevideo.modeling.layers import compiled

    def wrapped() -> Any:
        known = compiled._load
        compiled._load = lambda name: None
        try:
            return run()
        finally:
            compiled._load = known

    return wrapped


def network(name: str) -> Any:
    """A function of (clip, label) or (clip) for a peer, and its parameters."""
    import paddle
    from peers.paddlevideo_a0 import PaddleVideoA0

    import paddlevideo

    if name == "paddlevideo":
        return PaddleVideoA0(400), paddle.nn.CrossEntropyLoss()
    model = paddlevideo.create_model("movinet_a0_base", num_classes=400)
    return model, model.criterion


def forward_of(model: Any, clip: Any) -> Callable[[], Any]:
    import paddle

    def run() -> Any:
        model.eval()
        with paddle.no_grad():
            return model(clip)

    return run


def step_of(model: Any, loss: Any, clip: Any, label: Any) -> Callable[[], Any]:
    import paddle

    optimizer = paddle.optimizer.RMSProp(
        1e-3, rho=0.9, momentum=0.9, epsilon=1.0, parameters=model.parameters()
    )

    def run() -> None:
        model.train()
        loss(model(clip), label).backward()
        optimizer.step()
        optimizer.clear_grad()

    return run


def work_of(name: str, work: str) -> Callable[[], Any]:
    import paddle

    batch_size, frames, size = WORK[work]
    clip = paddle.rand([batch_size, frames, 3, size, size])
    model, loss = network(name)
    if work.startswith("forward"):
        run = forward_of(model, clip)
    else:
        run = step_of(model, loss, clip, paddle.randint(0, 400, [batch_size]))
    return without_compiled_kernels(run) if name == PEERS[2] else run


def median_seconds(runs: list[Callable[[], Any]], repeats: int) -> list[float]:
    """Median of each, taking turns, after one round for warming up."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for taken, run in zip(seconds, runs, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
        gc.collect()
    return [statistics.median(taken[1:]) for taken in seconds]


def peak_of(name: str, work: str) -> float:
    """Megabytes that two calls need at their peak, above the process before them.

    A small step comes first: what libraries take when they are first used is not the work's.
    """
    import paddle

    small_model, small_loss = network(name)
    step_of(small_model, small_loss, paddle.rand([1, 2, 3, 64, 64]), paddle.to_tensor([1]))()
    run = work_of(name, work)
    before = resident_megabytes()
    forget_peak()
    for _ in range(2):
        run()
    return peak_megabytes() - before


def peers(arguments: argparse.Namespace) -> None:
    print("| A0-Base, 400 classes | " + " | ".join(PEERS) + " | ours / paddlevideo |")
    print("|---|" + "---|" * (len(PEERS) + 1))
    for work in WORK:
        row = median_seconds([work_of(name, work) for name in PEERS], arguments.repeats)
        cells = [f"{value:.3f} s" for value in row]
        print(f"| {work} | {' | '.join(cells)} | {row[1] / row[0]:.2f} |", flush=True)
    for work in WORK:
        row = []
        for name in PEERS:
            command = [sys.executable, __file__, "--threads", str(arguments.threads)]
            done = subprocess.run(
                [*command, "--memory", name, "--work", work],
                capture_output=True,
                text=True,
                check=True,
            )
            row.append(json.loads(done.stdout.splitlines()[-1]))
        cells = [f"{value:.0f} MB" for value in row]
        print(f"| peak of: {work} | {' | '.join(cells)} | {row[1] / row[0]:.2f} |", flush=True)


def variants(arguments: argparse.Namespace) -> None:
    import paddle

    import paddlevideo

    print("\n| model | forward, 8 frames | native size | one frame as a step | training step |")
    print("|---|---|---|---|---|")
    for name in paddlevideo.list_models(arguments.models):
        model = paddlevideo.create_model(name, num_classes=600)
        if not hasattr(model, "input_spec"):  # an ensemble: the sum of its members
            continue
        spec = model.input_spec()
        clip = paddle.rand([1, 8, 3, spec.height, spec.width]) * 255
        runs = [forward_of(model, clip)]
        if getattr(model.backbone, "causal", False):
            states = model.init_states(1, spec.height, spec.width)

            def one_frame(model: Any = model, states: Any = states, clip: Any = clip) -> Any:
                model.eval()
                with paddle.no_grad():
                    return model.step(clip[:, :1], states)

            runs.append(one_frame)
        seconds = [median_seconds([run], arguments.repeats)[0] for run in runs]
        small = paddle.rand([2, 8, 3, 128, 128]) * 255
        step = step_of(model, model.criterion, small, paddle.to_tensor([1, 2]))
        seconds.append(median_seconds([step], max(2, arguments.repeats // 2))[0])
        frame = f"{seconds[1] * 1e3:.0f} ms" if len(seconds) == 3 else ""
        print(
            f"| {name} | {seconds[0] * 1e3:.0f} ms | {spec.height} | {frame} | "
            f"{seconds[-1] * 1e3:.0f} ms |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--models", default="*", help="shell pattern of registered names")
    parser.add_argument("--part", choices=("peer", "variants"), help="only this part")
    parser.add_argument("--memory", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    from paddlevideo.modeling.device import setup_device

    setup_device("cpu", arguments.threads)
    if arguments.memory:
        print(json.dumps(peak_of(arguments.memory, arguments.work)))
        return
    if arguments.part != "variants":
        peers(arguments)
    if arguments.part != "peer":
        variants(arguments)


if __name__ == "__main__":
    main()
