"""What the CPU measures of this project gain: each against the same step without it, in one run.

python benchmarks/cpu_training.py [--repeats 5]

Rows: a training step of MoViNet-A0 (forward, backward, AdamW) on random clips, as the median of
``--repeats`` steps, alternating between the two variants; every variant runs in its own process,
as the memory allocator cannot be set back.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIPS = {"8 clips 8x64x64": (8, 8, 64), "2 clips 16x172x172": (2, 16, 172)}
VARIANTS = ("all measures", "glibc's allocator as it is", "depthwise always by Paddle's kernel")


def measure(variant: str, clip: tuple[int, int, int], repeats: int) -> list[float]:
    """Seconds of each training step, after one for warming up."""
    sys.path.insert(1, str(ROOT))
    import paddle

    import paddlevideo
    from paddlevideo.modeling.layers import depthwise
    from paddlevideo.utils import device

    if variant == VARIANTS[1]:
        device.keep_freed_memory = lambda: None
    if variant == VARIANTS[2]:
        depthwise._MAX_MATRIX_PIXELS = 0
    device.setup_device("cpu")
    batch_size, num_frames, size = clip
    model = paddlevideo.create_model("movinet_a0_base", num_classes=10)
    model.train()
    optimizer = paddle.optimizer.AdamW(1e-3, parameters=model.parameters())
    batch = {
        "clip": paddle.randint(0, 256, [batch_size, num_frames, 3, size, size]).astype("uint8"),
        "label": paddle.randint(0, 10, [batch_size]),
    }
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        model.loss(batch)["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def in_own_process(variant: str, name: str, repeats: int) -> list[float]:
    command = [sys.executable, __file__, "--variant", variant, "--clip", name]
    run = subprocess.run(
        [*command, "--repeats", str(repeats)], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--clip", choices=CLIPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        print(json.dumps(measure(arguments.variant, CLIPS[arguments.clip], arguments.repeats)))
        return
    print("| training step, MoViNet-A0 | seconds (median) | ratio |\n|---|---|---|")
    for name in CLIPS:
        first = None
        for variant in VARIANTS:
            rounds = (in_own_process(variant, name, arguments.repeats) for _ in range(2))
            median = statistics.median(s for one in rounds for s in one)
            first = first or median
            print(f"| {name}, {variant} | {median:.3f} | {median / first:.2f} |", flush=True)


if __name__ == "__main__":
    main()
