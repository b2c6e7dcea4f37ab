"""Several views of a video: which frames, which squares of them, in which order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevideo.loader import ClipLoader, build_dataset
from paddlevideo.utils.errors import ArgumentError, ConfigError, DataError
from paddlevideo.video import (
    Pipeline,
    Sampler,
    StridedSampler,
    TenCrop,
    UniformCrop,
    UniformSampler,
)
from video.conftest import description, numbers_of, write_video


def chosen(sampler, num_frames, fps=None):
    times = None if fps is None else np.arange(num_frames) / fps
    frames = sampler.indices(num_frames, np.random.default_rng(0), False, "video", times)
    assert frames.dtype == np.int64
    assert frames.shape == (sampler.num_clips * sampler.num_frames,)
    assert ((frames >= 0) & (frames < num_frames)).all()
    return frames.reshape(sampler.num_clips, sampler.num_frames)


class TestClips:
    @given(st.integers(1, 500), st.integers(1, 20), st.integers(1, 6), st.integers(2, 12))
    def test_strided(self, length, count, stride, clips):
        """TensorFlow's `sample_linspace_sequence`, in whole numbers."""
        got = chosen(StridedSampler(count, stride, num_clips=clips), length)
        free = max(0, length - count * stride)
        for number in range(clips):
            offset = int(free * number / (clips - 1) + 1e-9)
            assert got[number].tolist() == [(offset + stride * k) % length for k in range(count)]

    def test_strided_by_times(self):
        """Of a file of twice the rate the same moments, each second frame."""
        by_frames = chosen(StridedSampler(4, 2, num_clips=3), 40)
        by_times = chosen(StridedSampler(4, 2, stride_fps=25, num_clips=3), 80, fps=50)
        assert by_times.tolist() == (2 * by_frames).tolist()
        assert by_frames[0, 0] == 0 and by_frames[-1, -1] == 38

    @given(st.integers(1, 500), st.integers(1, 30), st.integers(1, 12))
    def test_uniform(self, length, count, clips):
        """Clip j takes the moment (j + 1/2) / n of each part of the video."""
        got = chosen(UniformSampler(count, num_clips=clips), length)
        for j in range(clips):
            for i in range(count):
                moment = length * (2 * clips * i + 2 * j + 1)
                parts = 2 * clips * count
                # Where the moment is a whole frame rounding may put it on either side.
                assert got[j, i] in {moment // parts, (moment - 1) // parts}

    @given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 5))
    def test_one_clip_is_what_it_was(self, length, count, stride):
        strided = max(0, (length - count * stride) // 2) + stride * np.arange(count)
        assert (
            chosen(StridedSampler(count, stride), length)[0].tolist() == (strided % length).tolist()
        )
        uniform = (length * (np.arange(count) + 0.5) / count).astype(np.int64)
        assert chosen(UniformSampler(count), length)[0].tolist() == uniform.tolist()

    @pytest.mark.parametrize("length", [20, 64, 131, 300])
    def test_segments_that_are_clips(self, length):
        """mmaction2's test clips: the middles of n equal stretches of the free starts."""
        sampler = Sampler(10, 8, frame_interval=4, valid_mode=True, segments_are_clips=True)
        got = chosen(sampler, length)
        free = length - 32 + 1
        for j in range(10):
            start = int(j * free / 10 + free / 20) if free > 0 else 0
            assert got[j].tolist() == [(start + 4 * k) % length for k in range(8)]

    def test_segments_of_one_clip_have_not_changed(self):
        assert Sampler(10, 8, valid_mode=True).num_clips == 1
        assert Sampler(10, 8, valid_mode=True).num_frames == 80

    def test_wrong_arguments(self):
        with pytest.raises(ArgumentError, match="num_clips must be at least 1"):
            UniformSampler(4, num_clips=0)
        with pytest.raises(ArgumentError, match="segments_are_clips: the segments of select_left"):
            Sampler(4, select_left=True, segments_are_clips=True)


def picture(height, width):
    """A clip of 2 frames whose pixel at (t, y, x) is (y, x, t)."""
    clip = np.zeros((2, height, width, 3), np.uint8)
    clip[..., 0], clip[..., 1] = np.arange(height)[:, None], np.arange(width)
    clip[1, ..., 2] = 1
    return clip


class TestCrops:
    @pytest.mark.parametrize(
        ("size", "corners"),
        [
            ((10, 19), [(0, 0), (0, 8), (0, 4)]),
            ((19, 10), [(0, 0), (8, 0), (4, 0)]),
            ((13, 20), [(1, 0), (1, 10), (1, 5)]),
            ((20, 13), [(0, 1), (10, 1), (5, 1)]),
            ((10, 10), [(0, 0), (0, 0), (0, 0)]),
        ],
    )
    def test_uniform(self, size, corners):
        clip = picture(*size)
        got = UniformCrop(10)(clip, np.random.default_rng(0))
        assert got.shape == (3, 2, 10, 10, 3) and got.dtype == np.uint8
        for crop, (top, left) in zip(got, corners, strict=True):
            assert np.array_equal(crop, clip[:, top : top + 10, left : left + 10])

    def test_ten(self):
        clip = picture(17, 23)  # free: 7 and 13, quarters 1 and 3
        got = TenCrop(10)(clip, np.random.default_rng(0))
        assert got.shape == (10, 2, 10, 10, 3)
        corners = [(0, 0), (0, 12), (4, 0), (4, 12), (2, 6)]
        for number, (top, left) in enumerate(corners):
            square = clip[:, top : top + 10, left : left + 10]
            assert np.array_equal(got[2 * number], square)
            assert np.array_equal(got[2 * number + 1], square[:, :, ::-1])

    @pytest.mark.parametrize("step", [UniformCrop(10), TenCrop(10)])
    def test_too_small(self, step):
        with pytest.raises(DataError, match="frames are 12x9 pixels, smaller than the crop of 10"):
            step(picture(9, 12), np.random.default_rng(0))


SEVERAL = {
    "sample": {"name": "UniformSampler", "num_frames": 4, "num_clips": 2},
    "transform": [
        {"Scale": {"short_size": 32}},
        {"UniformCrop": {"target_size": 32}},
        {"Image2Array": None},
    ],
}


def test_clip_after_clip_its_crops_in_a_row(tmp_path):
    path = write_video(tmp_path / "v.mp4", 16)
    pipeline = Pipeline(description(**SEVERAL))
    assert pipeline.num_views == pipeline.input.num_views == 6
    views = pipeline.load(path)
    assert views.shape == pipeline.input.clip_shape() == (6, 4, 3, 32, 32)
    for number, view in enumerate(views):
        assert numbers_of(view) == ([1, 5, 9, 13] if number < 3 else [3, 7, 11, 15])
    for clip, num_clips in ((0, 1), (1, 2)):  # as if each clip and crop were asked for alone
        frames = [{1: [1, 5, 9, 13], 2: [3, 7, 11, 15]}[num_clips]]
        with pipeline.decoder.open(_sample(path)) as source:
            frames_THWC = source.read(np.array(frames[0]))
        scaled = pipeline.input.transforms[0](frames_THWC, np.random.default_rng(0))
        by_hand = UniformCrop(32)(scaled, np.random.default_rng(0)).transpose(0, 1, 4, 2, 3)
        assert np.array_equal(views[3 * clip : 3 * clip + 3], by_hand)


def _sample(path):
    from paddlevideo.video import Sample

    return Sample(str(path), 0, np.random.default_rng(0), training=False)


@pytest.mark.parametrize("length", [1, 3, 40])
def test_a_video_of_any_length(tmp_path, length):
    path = write_video(tmp_path / "v.mp4", length)
    assert Pipeline(description(**SEVERAL)).load(path).shape == (6, 4, 3, 32, 32)


def test_views_of_several_layouts(tmp_path):
    path = write_video(tmp_path / "v.mp4", 9)
    steps = [*SEVERAL["transform"][:2], {"Image2Array": {"data_format": "cthw"}}]
    channels_first = Pipeline(description(**{**SEVERAL, "transform": steps})).load(path)
    assert channels_first.shape == (6, 3, 4, 32, 32)
    plain = Pipeline(description(**SEVERAL)).load(path)
    assert np.array_equal(channels_first, plain.transpose(0, 2, 1, 3, 4))


def test_training_refuses_them():
    message = r"PIPELINE.train: 6 views of a video .* training takes one clip of a video: leave num"
    with pytest.raises(ConfigError, match=message):
        Pipeline(description(**SEVERAL), "PIPELINE.train", training=True)


def test_inputs_with_different_numbers_of_views():
    one = {"sample": {"name": "UniformSampler", "num_frames": 4}}
    node = {"decode": {"name": "VideoDecoder"}, "inputs": {"a": SEVERAL, "b": one}}
    with pytest.raises(ConfigError, match="different numbers of views: clip_a 6, clip_b 1"):
        Pipeline(node)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches(tmp_path, workers):
    """Unreadable videos are zeros of all views; through the workers' memory the same."""
    write_video(tmp_path / "0.mp4", 10)
    (tmp_path / "1.mp4").write_bytes(b"no video" * 20)
    write_video(tmp_path / "2.mp4", 12)
    (tmp_path / "a.list").write_text("".join(f"{tmp_path}/{i}.mp4 {i}\n" for i in range(3)))
    node = {"format": "VideoDataset", "file_path": str(tmp_path / "a.list")}
    dataset = build_dataset(node, description(**SEVERAL), training=False)
    loader = ClipLoader(
        dataset, 2, training=False, num_workers=workers, on_unreadable="count_wrong"
    )
    first, second = loader.epoch(0)
    assert first["clip"].shape == [2, 6, 4, 3, 32, 32] and second["clip"].shape[0] == 1
    assert first["readable"].numpy().tolist() == [True, False]
    assert not first["clip"].numpy()[1].any()
    assert np.array_equal(first["clip"].numpy()[0], dataset[0, 0].clip)
    assert np.array_equal(second["clip"].numpy()[0], dataset[0, 2].clip)
