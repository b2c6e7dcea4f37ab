"""Draw motion_predictions.png: frames of validation videos beside what the exported model says.

python docs/images/motion_predictions.py     (after bash run.sh)
"""

import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT))

from paddlevideo.runtime import load_predictor  # noqa: E402
from paddlevideo.video import Pipeline  # noqa: E402

VIDEOS = ROOT / "data/motion/videos/val"
CLASSES = ("left", "clockwise", "growing", "up")
SCALE, GAP, TEXT_WIDTH = 2, 4, 300


def row(path: Path, predictor: object) -> np.ndarray:
    """The eight frames that the model sees of a video, and its three best classes."""
    clip_TCHW = predictor.pipeline.load(str(path))
    frames = [
        cv2.resize(
            frame.transpose(1, 2, 0), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC
        )
        for frame in clip_TCHW
    ]
    padded = [
        cv2.copyMakeBorder(f, 0, 0, 0, GAP, cv2.BORDER_CONSTANT, value=(255,) * 3) for f in frames
    ]
    text = np.full((frames[0].shape[0], TEXT_WIDTH, 3), 255, np.uint8)
    lines = [path.name, *(f"{x.label}  {x.score:.2f}" for x in predictor(path, top_k=3).top)]
    for place, line in enumerate(lines):
        colour = (110, 110, 110) if place == 0 else (0, 0, 0)
        weight = 2 if place == 1 else 1
        cv2.putText(
            text,
            line,
            (12, 26 + 28 * place),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.6,
            colour,
            weight,
            cv2.LINE_AA,
        )
    return np.concatenate([*padded, text], axis=1)


def main() -> None:
    predictor = load_predictor(ROOT / "inference/MoViNetA0Motion", device="cpu")
    assert isinstance(predictor.pipeline, Pipeline)
    rows = [row(sorted(VIDEOS.glob(f"{name}_*.mp4"))[1], predictor) for name in CLASSES]
    rows = [
        cv2.copyMakeBorder(r, 0, GAP, 0, 0, cv2.BORDER_CONSTANT, value=(255,) * 3) for r in rows
    ]
    picture = np.concatenate(rows)
    cv2.imwrite(str(Path(__file__).with_suffix(".png")), picture[:, :, ::-1])


if __name__ == "__main__":
    main()
