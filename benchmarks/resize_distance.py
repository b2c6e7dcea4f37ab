"""How far `resize: fast` is from `exact`: of pixels, and of what a model says.

python benchmarks/resize_distance.py VIDEO... [--weights movinet-a0-stream-int8.tflite]

Mean absolute distance of uint8 clips, over all pixels of a video. With --weights (of the released
MoViNet-A0-Stream for phones, 600 classes) also the best class either way, and the largest change of
a probability.
"""

import argparse
import logging
from collections.abc import Callable, Mapping

import numpy as np

from paddlevideo.video import Pipeline

SIDE, SHORT_SIDE, SIZE = 172, 192, 224
CROP = {"CenterCrop": {"target_size": SIDE}}
STEPS: dict[str, tuple[int, list[object]]] = {
    **{
        f"Scale {SHORT_SIDE} ({backend}), CenterCrop {SIDE}": (
            16,
            [
                {"Scale": {"short_size": SHORT_SIDE, "fixed_ratio": False, "backend": backend}},
                CROP,
                "Image2Array",
            ],
        )
        for backend in ("pillow", "cv2")
    },
    "RandomResizedCrop": (4, [{"RandomResizedCrop": {"target_size": SIDE}}, "Image2Array"]),
    "Scale, MultiScaleCrop": (
        4,
        [
            {"Scale": {"short_size": SHORT_SIDE}},
            {"MultiScaleCrop": {"target_size": SIDE}},
            "Image2Array",
        ],
    ),
}
Answers = Callable[[np.ndarray], np.ndarray]


def clip_of(video: str, num_frames: int, steps: list[object], resize: str) -> np.ndarray:
    node: Mapping[str, object] = {
        "decode": {"name": "VideoDecoder"},
        "resize": resize,
        "sample": {"name": "UniformSampler", "num_frames": num_frames, "jitter": "none"},
        "transform": steps,
    }
    return Pipeline(node, training=True).load(video, seed=0)


def released_network(weights: str) -> Answers:
    """uint8 clip to probabilities of its classes."""
    import paddle

    from paddlevideo import create_model

    model = create_model(
        "movinet_a0_stream",
        num_classes=600,
        weights=weights,
        se_type="none",
        activation="relu6",
        classifier_activation="relu6",
    )
    model.eval()

    def answers(clip: np.ndarray) -> np.ndarray:
        with paddle.no_grad():
            logits = model(paddle.to_tensor(clip[None]))
        return paddle.nn.functional.softmax(logits, axis=-1).numpy()[0]

    return answers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    parser.add_argument("--weights")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    answers = released_network(arguments.weights) if arguments.weights else None
    for title, (num_frames, steps) in STEPS.items():
        distances, same, moved = [], 0, 0.0
        for video in arguments.videos:
            pair = [clip_of(video, num_frames, steps, resize) for resize in ("exact", "fast")]
            distances.append(float(np.abs(pair[0].astype(np.int16) - pair[1]).mean()))
            if answers is not None and num_frames == 16:
                exact, fast = (answers(clip) for clip in pair)
                same += int(exact.argmax() == fast.argmax())
                moved = max(moved, float(np.abs(exact - fast).max()))
        told = f"{title}, {num_frames} frames: mean {np.mean(distances):.2f}, "
        told += f"{min(distances):.2f} to {max(distances):.2f} of 255"
        if answers is not None and num_frames == 16:
            told += f"; best class the same for {same} of {len(arguments.videos)}, "
            told += f"a probability moved by {moved:.3f} at most"
        print(told, flush=True)


if __name__ == "__main__":
    main()
