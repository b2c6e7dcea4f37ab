"""Peak memory and time of a training step, with and without activation checkpointing.

python benchmarks/training_memory.py [--models NAME,NAME] [--clip 1x8x160x160]

Rows: one step (forward, backward, RMSProp) on random clips of batch x frames x height x width,
each case in a process of its own, as memory once taken does not go back. Memory is the process's
largest resident set after two steps, above what it was before the first, with the model built;
time is that of the second step.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(model_name: str, recompute: bool, clip: tuple[int, ...]) -> dict[str, float]:
    """Figures of one case, in this process."""
    sys.path.insert(0, str(ROOT))
    import paddle

    import paddlevideo
    from paddlevideo.modeling.device import setup_device

    setup_device("cpu")
    model = paddlevideo.create_model(model_name, num_classes=600, recompute=recompute)
    model.train()
    optimizer = paddle.optimizer.RMSProp(0.1, epsilon=1.0, parameters=model.parameters())
    batch_size, num_frames, height, width = clip
    batch = {
        "clip": paddle.randint(0, 256, [batch_size, num_frames, 3, height, width]).astype("uint8"),
        "label": paddle.zeros([batch_size], "int64"),
    }
    before = peak_megabytes()
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        model.loss(batch)["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
        seconds = time.perf_counter() - start
    return {"peak": peak_megabytes() - before, "seconds": seconds}


def in_own_process(model_name: str, recompute: bool, clip: str) -> dict[str, float]:
    case = [model_name, str(int(recompute))]
    command = [sys.executable, __file__, "--clip", clip, "--case", *case]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--models", default="movinet_a5_base,movinet_a5_stream")
    parser.add_argument("--clip", default="1x8x160x160", help="batch x frames x height x width")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    clip = tuple(int(size) for size in arguments.clip.split("x"))
    if arguments.case:
        name, recompute = arguments.case
        print(json.dumps(measure(name, recompute == "1", clip)))
        return
    print(f"| training step, {arguments.clip} | peak memory, MB | ratio | seconds | ratio |")
    print("|---|---|---|---|---|")
    for name in arguments.models.split(","):
        plain, ours = (in_own_process(name, flag, arguments.clip) for flag in (False, True))
        for title, row in ((name, plain), (f"{name}, recompute", ours)):
            memory, seconds = (row[key] / plain[key] for key in ("peak", "seconds"))
            print(
                f"| {title} | {row['peak']:.0f} | {memory:.2f} "
                f"| {row['seconds']:.2f} | {seconds:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
