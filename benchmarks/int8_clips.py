"""What rounding changes: an int8 bundle, or products of bfloat16, beside float32 on whole videos.

python benchmarks/int8_clips.py --float BUNDLE --int8 BUNDLE_int8 VIDEO... (or a list "path label")
python benchmarks/int8_clips.py --float BUNDLE --products bfloat16 VIDEO... [--frames 1000]

Each video goes through frame by frame, by the float bundle's pipeline; with --frames its frames
come again and again, up to so many, and the states go on. Printed are the videos whose best class
behind the last frame differs, with the float probabilities of both classes; how many agree; how
many frames do; and the distances of the logits, as shares of the spread of float32's logits at that
frame. An int8 bundle is run in every engine that it has a file for, and each is held against ONNX
Runtime.
"""

import argparse
import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from paddlevideo.runtime.bundle import read_bundle
from paddlevideo.runtime.engines import EngineOptions, engines_of
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.video import Pipeline

ONNX = "int8, onnxruntime"


@dataclass
class Distances:
    """Of one way of computing from another, over all videos.

    Attributes:
        same: videos whose best class is the same behind the last frame.
        last: of each video the largest distance of its last logits, of their spread.
        apart: of each frame the largest distance, and the mean one.
        frames: those whose best class is the same, and all.
    """

    same: int = 0
    last: list[float] = field(default_factory=list)
    apart: list[np.ndarray] = field(default_factory=list)
    frames: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, logits_TN: np.ndarray, expected_TN: np.ndarray) -> None:
        apart_TN = np.abs(logits_TN - expected_TN) / np.ptp(expected_TN, axis=1, keepdims=True)
        same_T = logits_TN.argmax(1) == expected_TN.argmax(1)
        self.same += bool(same_T[-1])
        self.last.append(float(apart_TN[-1].max()))
        self.apart += [apart_TN.max(axis=1), apart_TN.mean(axis=1)]
        self.frames[0] += int(same_T.sum())
        self.frames[1] += len(same_T)

    def sentence(self) -> str:
        largest = np.concatenate(self.apart[0::2])
        mean = np.concatenate(self.apart[1::2])
        return (
            f"best class the same for {self.same} of {len(self.last)} videos, {self.frames[0]} of "
            f"{self.frames[1]} frames; last logits at most {max(self.last):.4f} of their spread "
            f"apart, logits of all frames at most {largest.max():.4f}, {mean.mean():.4f} on average"
        )


def logits_of(runner: StepRunner, clip_TCHW: np.ndarray) -> np.ndarray:
    """The logits [T, N] behind each frame."""
    runner.reset()
    return np.stack([runner.step(frame_CHW[None])[0] for frame_CHW in clip_TCHW])


def probabilities(logits_N: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits_N - logits_N.max())
    return shifted / shifted.sum()


def listed(names: list[str]) -> list[str]:
    if len(names) == 1 and Path(names[0]).suffix in (".list", ".txt"):
        lines = Path(names[0]).read_text(encoding="utf-8").splitlines()
        return [line.rsplit(maxsplit=1)[0] for line in lines if line.strip()]
    return names


def options_of(parser: argparse.ArgumentParser) -> argparse.Namespace:
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    parser.add_argument("--float", dest="whole", required=True)
    parser.add_argument("--int8")
    parser.add_argument("--products", choices=("bfloat16",))
    parser.add_argument("--frames", type=int, help="of each stream (default: those of the clip)")
    arguments = parser.parse_args()
    if not (arguments.int8 or arguments.products):
        parser.error("name what is to be held against float32: --int8 or --products")
    return arguments


def main() -> None:
    arguments = options_of(
        argparse.ArgumentParser(
            description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
    )
    logging.disable(logging.WARNING)
    whole = read_bundle(arguments.whole)
    pipeline = Pipeline(whole.manifest.pipeline)
    compiled = EngineOptions(device="cpu", engine="compiled")
    reference = StepRunner(whole, compiled)
    runners: dict[str, StepRunner] = {}
    if arguments.products:
        options = EngineOptions(device="cpu", engine="compiled", products=arguments.products)
        runners[arguments.products] = StepRunner(whole, options)
    if arguments.int8:
        rounded = read_bundle(arguments.int8)
        for engine in engines_of(rounded.step_files):
            options = EngineOptions(device="cpu", engine=engine)
            runners[f"int8, {engine}"] = StepRunner(rounded, options)
    from_float = {name: Distances() for name in runners}
    from_onnx = {name: Distances() for name in runners if name.startswith("int8") and name != ONNX}
    for video in listed(arguments.videos):
        clip_TCHW = pipeline.load(video)
        if arguments.frames:
            clip_TCHW = clip_TCHW[np.arange(arguments.frames) % len(clip_TCHW)]
        expected_TN = logits_of(reference, clip_TCHW)
        best = int(expected_TN[-1].argmax())
        given = {name: logits_of(runner, clip_TCHW) for name, runner in runners.items()}
        for name, logits_TN in given.items():
            from_float[name].add(logits_TN, expected_TN)
            other = int(logits_TN[-1].argmax())
            if other != best:
                share = probabilities(expected_TN[-1])
                print(f"{video}: {name}: float gives {share[best]:.3f} and {share[other]:.3f}")
        for name, distances in from_onnx.items():
            distances.add(given[name], given[ONNX])
    for name, distances in from_float.items():
        print(f"{name} from float: {distances.sentence()}")
    for name, distances in from_onnx.items():
        print(f"{name} from {ONNX}: {distances.sentence()}")


if __name__ == "__main__":
    main()
