"""The page's preprocessing and choice of frames against ours, in the browser that computes them."""

import base64

import numpy as np
import pytest

from export.web.serving import visit
from paddlevideo.export.web.preprocessing import page_steps
from paddlevideo.runtime.streams.frame_clock import FrameClock
from paddlevideo.runtime.streams.frame_picker import FramePicker
from paddlevideo.utils.errors import BundleError
from paddlevideo.video import Pipeline

PREPROCESS = """
async ([pixels, width, height, steps, shape]) => {
  const { preprocess } = await import("/js/preprocess.js");
  const bytes = Uint8Array.from(atob(pixels), (letter) => letter.charCodeAt(0));
  const data = new Uint8ClampedArray(bytes.buffer);
  const result = preprocess({ width, height, data }, steps, shape);
  return [...result];
}
"""
CHOOSE = """
async ([rate, times]) => {
  const { FrameClock, FramePicker } = await import("/js/frame_choice.js");
  const clock = new FrameClock(rate);
  const picker = new FramePicker(rate);
  return times.map((seconds) => [
    clock.take(seconds).wanted,
    picker.offer(seconds, seconds).map(({ seconds: moment, frame }) => [moment, frame]),
  ]);
}
"""


def clip_input(transform: list, resize: str = "exact"):
    sample = {"name": "UniformSampler", "num_frames": 4}
    node = {"decode": {"name": "VideoDecoder"}, "sample": sample, "transform": transform}
    return Pipeline({**node, "resize": resize}, "INFERENCE").input


def scale(size: int, **more: object) -> dict:
    return {"Scale": {"short_size": size, "fixed_ratio": False, **more}}


CASES = [
    (100, 75, [scale(36, backend="cv2"), {"CenterCrop": {"target_size": 32}}], "fast"),
    (75, 101, [scale(36, do_round=True), {"CenterCrop": {"target_size": 33}}], "exact"),
    (31, 40, [scale(36, backend="cv2"), {"CenterCrop": {"target_size": 32}}], "exact"),
    (100, 75, [scale(36), {"CenterCrop": {"target_size": 31, "do_round": False}}], "exact"),
    (20, 44, [scale(36), {"CenterCrop": {"target_size": 32}}], "exact"),
    (120, 50, [scale(32, keep_ratio=False)], "exact"),
    (90, 50, [{"Scale": {"short_size": 36}}, {"CenterCrop": {"target_size": 35}}], "exact"),
    (64, 64, [{"Resize": {"height": 32, "width": 32}}], "exact"),
    (57, 91, [{"Resize": {"height": 40, "width": 32}}], "fast"),
    (32, 32, [{"CenterCrop": {"target_size": 32}}], "exact"),
]  # fmt: skip
NORMALIZATION = {"Normalization": {"mean": [0.4, 0.5, 0.3], "std": [0.2, 0.25, 0.3]}}


def test_every_step_to_the_last_bit(browser, address):
    rng = np.random.default_rng(0)
    with visit(browser, address) as seen:
        page = seen.open()
        for number, (width, height, transform, resize) in enumerate(CASES):
            more = [NORMALIZATION] if number % 3 == 2 else []
            made = clip_input([*transform, "Image2Array", *more], resize)
            frame = rng.integers(0, 256, (height, width, 3), np.uint8)
            frame[::3] = 255 * (frame[::3] > 127)
            expected = made.transform(frame[None])[0]
            alpha = np.full((height, width, 1), 255, np.uint8)
            pixels = base64.b64encode(np.concatenate([frame, alpha], 2).tobytes()).decode()
            given = [pixels, width, height, page_steps(made, "x"), [1, *expected.shape]]
            found = np.array(page.evaluate(PREPROCESS, given), expected.dtype)
            if expected.dtype == np.uint8:
                np.testing.assert_array_equal(found, expected.ravel(), str(transform))
            else:
                np.testing.assert_allclose(found, expected.ravel(), rtol=2e-7, atol=2e-7)


@pytest.mark.parametrize(
    ("transform", "name"),
    [
        ([{"Resize": {"height": 8, "width": 8, "interpolation": "area"}}, "Image2Array"], "Resize"),
        ([scale(36), {"RandomCrop": {"target_size": 32}}, "Image2Array"], "RandomCrop"),
        ([scale(36), {"CenterCrop": {"target_size": 32}}], "TCHW"),
    ],
)  # fmt: skip
def test_a_step_that_the_page_does_not_know(transform, name):
    with pytest.raises(BundleError, match=name):
        page_steps(clip_input(transform), "inference.yml: pipeline")


def times_of(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Times of frames: even, irregular, with gaps, with steps back."""
    if kind == "even":
        return np.arange(80) / 29.97
    times = np.cumsum(rng.uniform(0.001, 0.09, 80))
    if kind == "gaps":
        times[30:] += 1.7
    return times


@pytest.mark.parametrize("rate", [5.0, 12.5, 30.0])
def test_the_frames_that_the_page_chooses(browser, address, rate):
    rng = np.random.default_rng(1)
    with visit(browser, address) as seen:
        seen.page.goto(address)
        for kind in ("even", "irregular", "gaps"):
            times = times_of(kind, rng).tolist()
            clock, picker = FrameClock(rate), FramePicker(rate)
            expected = [
                [clock.take(time) is not None, [list(pair) for pair in picker.offer(time, time)]]
                for time in times
            ]
            assert seen.page.evaluate(CHOOSE, [rate, times]) == expected
        back = [0.0, 1.0, 2.0, 1.9, 0.5, 0.9]
        clock = FrameClock(rate)
        taken = [clock.take(moment) is not None for moment in back]
        assert [wanted for wanted, _ in seen.page.evaluate(CHOOSE, [rate, back])] == taken
