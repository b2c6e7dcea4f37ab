"""Cuts, resizes and mirrorings as one operation are those steps one after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.video import Pipeline
from paddlevideo.video.clip_input import ClipInput
from paddlevideo.video.pictures import PictureStack, RgbPicture
from paddlevideo.video.scaled_crop import ScaledCrop
from video.conftest import description, numbers_of, write_frames, write_video

SAMPLE = {"name": "UniformSampler", "num_frames": 4}
CHAINS = {
    "scale": [
        {"Scale": {"short_size": 40, "fixed_ratio": False}},
        {"CenterCrop": {"target_size": 32}},
    ],
    "cv2": [
        {"Scale": {"short_size": 40, "fixed_ratio": False, "backend": "cv2"}},
        {"RandomCrop": {"target_size": 32}},
        "RandomFlip",
    ],
    "resized_crop": ["RandomFlip", {"RandomResizedCrop": {"target_size": 32, "area": [0.5, 1.0]}}],
    "multi_scale": [{"MultiScaleCrop": {"target_size": 32}}, "RandomFlip"],
    "resize": [{"Resize": {"height": 30, "width": 36}}],
    "twice": [
        {"Scale": {"short_size": 60, "fixed_ratio": False}},
        {"RandomResizedCrop": {"target_size": 32, "area": [0.5, 1.0]}},
    ],
    "shift": [{"CenterCrop": {"target_size": 64}}, {"RandomShift": {"max_shift_pixels": 3}}],
}  # fmt: skip


def smooth_clip(height: int = 96, width: int = 128) -> np.ndarray:
    """Two frames of slow waves, another one in each colour."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (9 + c)) + np.cos(y / (11 - c)) for c in range(3)]
    frame = (127 + 60 * np.stack(waves, axis=-1)).astype(np.uint8)
    return np.stack([frame, 255 - frame])


def both(steps: list, clip: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The clip through the steps, exact and fast."""
    node = {"sample": SAMPLE, "transform": [*steps, "Image2Array"]}
    exact, fast = (
        ClipInput(node, "here", fast).transform(clip, np.random.default_rng(seed))
        for fast in (False, True)
    )
    return exact, fast


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("seed", range(4))
def test_fast_draws_and_shows_the_same(chain, seed):
    exact, fast = both(CHAINS[chain], smooth_clip(), seed)
    assert exact.shape == fast.shape and fast.dtype == np.uint8
    # Two resizes that become one take boxes of whole pixels of this small frame.
    most = 2.5 if chain == "twice" else 1.0
    assert np.abs(exact.astype(int) - fast).mean() < most


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_without_a_resize_it_is_exact(data):
    height, width = data.draw(st.integers(4, 12)), data.draw(st.integers(4, 12))
    frame = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    crop, expected = ScaledCrop.whole(height, width), frame
    for _ in range(data.draw(st.integers(0, 4))):
        if data.draw(st.booleans()):
            crop, expected = crop.flipped(), expected[:, ::-1]
        rows, columns = expected.shape[:2]
        top, left = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
        high, wide = (
            data.draw(st.integers(1, rows - top)),
            data.draw(st.integers(1, columns - left)),
        )
        crop = crop.cropped(left, top, wide, high)
        expected = expected[top : top + high, left : left + wide]
    stack = PictureStack(1, crop, "THWC")
    stack.put([0], RgbPicture(frame))
    assert np.array_equal(stack.clip[0], expected)
    quarters = data.draw(st.integers(0, 3))
    turned = np.rot90(frame, -quarters)
    again = RgbPicture(turned).cut_out(crop.turned_back(quarters, height, width))
    again = np.rot90(again, quarters)
    assert np.array_equal(again[:, ::-1] if crop.mirrored else again, expected)


@pytest.mark.parametrize(
    ("name", "most"),
    [("k400_archery.avi", 1.0), ("odd_rot90_3frames.mov", 1.0), ("odd_rot180_3frames.mov", 1.0)],
)
@pytest.mark.parametrize("backend", ["pillow", "cv2"])
def test_pixels_of_real_videos(shared_dir, name, most, backend):
    steps = [
        {"Scale": {"short_size": 192, "fixed_ratio": False, "backend": backend}},
        {"CenterCrop": {"target_size": 172}},
        "Image2Array",
    ]
    node = {"decode": {"name": "VideoDecoder"}, "sample": SAMPLE, "transform": steps}
    path = str(shared_dir / "videos/clips" / name)
    exact, fast = (Pipeline({**node, "resize": way}).load(path) for way in ("exact", "fast"))
    assert np.abs(exact.astype(int) - fast).mean() < most


@pytest.mark.parametrize("layout", [{"transpose": False}, {"data_format": "cthw"}, {}])
def test_every_layout(tmp_path, layout):
    path = str(write_video(tmp_path / "v.mp4", 8))
    steps = [{"Scale": {"short_size": 36}}, {"CenterCrop": {"target_size": 32}}]
    node = description(transform=[*steps, {"Image2Array": layout}])
    exact, fast = (Pipeline({**node, "resize": way}).load(path) for way in ("exact", "fast"))
    assert exact.shape == fast.shape
    assert np.abs(exact.astype(int) - fast).max() <= 2


def test_folders_of_frames_and_several_inputs(tmp_path):
    folder = write_frames(tmp_path / "f", 8)
    one = {"sample": SAMPLE, "transform": [{"Scale": {"short_size": 24}}]}
    node = {
        "decode": {"name": "FrameDecoder"},
        "resize": "fast",
        "inputs": {"a": one, "b": {**one, "sample": {**SAMPLE, "num_frames": 8}}},
    }
    clips = Pipeline(node).load_clips(str(folder))
    assert numbers_of(clips["clip_a"]) == [1, 3, 5, 7]
    assert numbers_of(clips["clip_b"]) == list(range(8))


def test_a_frame_that_does_not_fit_names_the_file(tmp_path):
    path = str(write_video(tmp_path / "v.mp4", 8))
    node = description(resize="fast", transform=[{"CenterCrop": {"target_size": 100}}])
    with pytest.raises(DataError, match=r"v\.mp4: frames are 64x48 pixels, smaller"):
        Pipeline(node).load(path)


def test_another_way_is_refused():
    with pytest.raises(ConfigError, match=r"PIPELINE\.resize: expected exact or fast, got 'quick'"):
        Pipeline(description(resize="quick"))


def test_the_description_carries_it():
    assert Pipeline(description(resize="fast")).description["resize"] == "fast"
