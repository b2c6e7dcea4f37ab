"""How near an int8 bundle is to the quantisation-aware network it was made of, frame by frame.

python benchmarks/quantize_aware.py -c CONFIG -p WEIGHTS --model_dir BUNDLE --list VAL.list

Both step through every video of a list file; the bundle in ONNX Runtime. Differences are of logits,
as a share of their spread (the largest less the smallest) behind the last frame. Last it prints
what a training step with rounded numbers costs, in processor time of one without, on noise.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import paddle

from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.export.quantization.step_graphs import open_runner, run_clips
from paddlevideo.modeling.device import setup_device
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.modeling.layers.rounding import Phase, quantization_of
from paddlevideo.runtime import read_bundle
from paddlevideo.utils.clip_names import CLIP
from paddlevideo.video import Pipeline

STEPS = 5


def eager_steps(model: Recognizer, clip_TCHW: np.ndarray) -> np.ndarray:
    """Logits [T, N] behind each frame."""
    states, logits = model.init_states(1, *clip_TCHW.shape[-2:]), []
    with paddle.no_grad():
        for frame_CHW in clip_TCHW:
            result, states = model.step(paddle.to_tensor(frame_CHW[None, None]), states)
            logits.append(result.numpy()[0])
    return np.stack(logits)


def step_ratio(model: Recognizer, side: int) -> float:
    """Processor time of a step with rounded numbers, in that of one in float32."""
    rng = np.random.default_rng(0)
    clip = paddle.to_tensor(rng.integers(0, 256, (4, 8, 3, side, side), np.uint8))
    batch = {CLIP: clip, "label": paddle.to_tensor([0, 1, 0, 1])}
    quantization = quantization_of(model)
    assert quantization is not None
    taken: dict[Phase, list[float]] = {Phase.FLOAT: [], Phase.OBSERVING: []}
    for _ in range(STEPS):
        for phase, seconds in taken.items():
            quantization.phase = phase
            model.train()
            seconds.append(_seconds(lambda: model.loss(batch)["loss"].backward()))
            model.clear_gradients()
    return min(taken[Phase.OBSERVING]) / min(taken[Phase.FLOAT])


def _seconds(run: Callable[[], object]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-c", "--config", required=True)
    parser.add_argument("-p", "--weights", required=True)
    parser.add_argument("--model_dir", type=Path, required=True)
    parser.add_argument("--list", type=Path, required=True, help="lines of `path label`")
    arguments = parser.parse_args()
    setup_device("cpu", 1)
    model = open_model(open_recipe(arguments.config), arguments.weights).eval()
    bundle = read_bundle(arguments.model_dir)
    runner = open_runner(bundle, onnx.load(str(bundle.step_files.onnx)), 1)
    pipeline = Pipeline(bundle.manifest.pipeline, "pipeline")
    same, right, shares = [], [], []
    for line in arguments.list.read_text(encoding="utf-8").splitlines():
        path, _, label = line.rpartition(" ")
        clip_TCHW = pipeline.load_clips(path)[CLIP]
        found_TN, expected_TN = (
            run_clips(runner, clip_TCHW[None])[:, 0],
            eager_steps(model, clip_TCHW),
        )
        same += (found_TN.argmax(1) == expected_TN.argmax(1)).tolist()
        right.append([int(x[-1].argmax()) == int(label) for x in (expected_TN, found_TN)])
        shares.append(np.abs(found_TN - expected_TN).max(1) / np.ptp(expected_TN[-1]))
    trained, integers = np.sum(right, axis=0)
    print(f"right behind the last frame: trained {trained}, int8 {integers} of {len(right)}")
    print(f"the same best class behind {sum(same)} of {len(same)} frames")
    each = np.concatenate(shares)
    last = np.array([share[-1] for share in shares])
    print(f"largest difference: mean {each.mean():.4f}, at most {each.max():.4f} of the spread")
    print(f"behind the last frame: mean {last.mean():.4f}, at most {last.max():.4f}")
    print(f"a training step: {step_ratio(model, clip_TCHW.shape[-1]):.2f} of one in float32")


if __name__ == "__main__":
    main()
