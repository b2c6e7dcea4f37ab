"""What arithmetic on 8 bits changes: streams of an int8 bundle beside those of its float bundle.

python benchmarks/int8_clips.py --float BUNDLE --int8 BUNDLE_int8 VIDEO... (or a list "path label")

Each video goes through frame by frame, by the float bundle's pipeline. Printed are the videos whose
best class differs, with the float probabilities of both classes; how many agree; and the largest
distance of the last logits, as a share of the float logits' spread. It is run in every engine that
the int8 bundle has a file for, and each is held against ONNX Runtime.
"""

import argparse
import logging
from pathlib import Path

import numpy as np

from paddlevideo.runtime.bundle import read_bundle
from paddlevideo.runtime.engines import EngineOptions, engines_of
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.video import Pipeline

ONNX = "onnxruntime"


def last_logits(runner: StepRunner, clip_TCHW: np.ndarray) -> np.ndarray:
    runner.reset()
    for frame_CHW in clip_TCHW:
        logits_BN = runner.step(frame_CHW[None])
    return logits_BN[0]


def probabilities(logits_N: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits_N - logits_N.max())
    return shifted / shifted.sum()


def listed(names: list[str]) -> list[str]:
    if len(names) == 1 and Path(names[0]).suffix in (".list", ".txt"):
        lines = Path(names[0]).read_text(encoding="utf-8").splitlines()
        return [line.rsplit(maxsplit=1)[0] for line in lines if line.strip()]
    return names


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    parser.add_argument("--float", dest="whole", required=True)
    parser.add_argument("--int8", required=True)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    whole, rounded = read_bundle(arguments.whole), read_bundle(arguments.int8)
    pipeline = Pipeline(whole.manifest.pipeline)
    reference = StepRunner(whole, EngineOptions(device="cpu", engine="compiled"))
    runners = {
        f"int8, {engine}": StepRunner(rounded, EngineOptions(device="cpu", engine=engine))
        for engine in engines_of(rounded.step_files)
    }
    same, farthest = dict.fromkeys(runners, 0), dict.fromkeys(runners, 0.0)
    alike, apart = dict.fromkeys(runners, 0), dict.fromkeys(runners, 0.0)
    videos = listed(arguments.videos)
    for video in videos:
        clip_TCHW = pipeline.load(video)
        expected = last_logits(reference, clip_TCHW)
        best, spread = int(expected.argmax()), float(np.ptp(expected))
        given = {name: last_logits(runner, clip_TCHW) for name, runner in runners.items()}
        for name, logits_N in given.items():
            farthest[name] = max(farthest[name], float(np.abs(logits_N - expected).max()) / spread)
            other = int(logits_N.argmax())
            same[name] += other == best
            if other != best:
                share = probabilities(expected)
                print(f"{video}: {name}: float gives {share[best]:.3f} and {share[other]:.3f}")
            by_onnx = given[f"int8, {ONNX}"]
            alike[name] += other == int(by_onnx.argmax())
            apart[name] = max(apart[name], float(np.abs(logits_N - by_onnx).max()) / spread)
    for name in runners:
        print(
            f"{name}: best class the same for {same[name]} of {len(videos)}, logits at most "
            f"{farthest[name]:.4f} of their spread from float"
        )
        if name != f"int8, {ONNX}":
            print(
                f"{name}: best class that of {ONNX} for {alike[name]} of {len(videos)}, at most "
                f"{apart[name]:.4f} of the spread from it"
            )


if __name__ == "__main__":
    main()
