"""Samplers against worked examples of PaddleVideo's and against formulas written here again."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paddlevideo.utils.errors import ArgumentError, ConfigError, DataError
from paddlevideo.video import SAMPLERS, Sampler, StridedSampler, UniformSampler


def rng(seed=0):
    return np.random.default_rng(seed)


def indices(sampler, num_frames, seed=0, training=False, kind="video", fps=None):
    times_seconds = None if fps is None else np.arange(num_frames) / fps
    return sampler.indices(num_frames, rng(seed), training, kind, times_seconds).tolist()


class TestUniformSampler:
    def test_by_hand(self):
        sampler = UniformSampler(4)
        assert indices(sampler, 8) == [1, 3, 5, 7]
        assert indices(sampler, 4) == [0, 1, 2, 3]
        assert indices(sampler, 2) == [0, 0, 1, 1]
        assert indices(sampler, 1) == [0, 0, 0, 0]
        assert indices(sampler, 10) == [1, 3, 6, 8]

    @given(
        st.integers(1, 400),
        st.integers(1, 64),
        st.integers(0, 2**32),
        st.booleans(),
        st.sampled_from(["segment", "clip", "none"]),
    )
    def test_covers_the_video_in_order(self, num_frames, count, seed, training, jitter):
        sampler = UniformSampler(count, jitter)
        chosen = indices(sampler, num_frames, seed, training)
        assert len(chosen) == sampler.num_frames == count
        assert chosen == sorted(chosen)
        for i, frame in enumerate(chosen):
            assert 0 <= frame < num_frames
            assert math.floor(num_frames * i / count) <= frame <= num_frames * (i + 1) / count
        if not training or jitter == "none":
            assert chosen == [
                math.floor(num_frames * (2 * i + 1) / (2 * count)) for i in range(count)
            ]

    def test_training_reaches_every_frame(self):
        sampler = UniformSampler(5)
        seen = {i for seed in range(300) for i in indices(sampler, 23, seed, training=True)}
        assert seen == set(range(23))

    def test_clip_jitter_keeps_the_spacing(self):
        for seed in range(20):
            chosen = indices(UniformSampler(8, "clip"), 80, seed, training=True)
            assert set(np.diff(chosen)) == {10}

    def test_segment_jitter_does_not(self):
        steps = [
            set(np.diff(indices(UniformSampler(8), 80, seed, training=True))) for seed in range(5)
        ]
        assert any(len(step) > 1 for step in steps)


class TestStridedSampler:
    def test_by_hand(self):
        assert indices(StridedSampler(4, 5), 20) == [0, 5, 10, 15]
        assert indices(StridedSampler(4, 5), 25) == [2, 7, 12, 17]
        assert indices(StridedSampler(4, 5), 17) == [0, 5, 10, 15]
        assert indices(StridedSampler(4, 5), 12) == [0, 5, 10, 3]  # repeated from its start
        assert indices(StridedSampler(3, 2), 1) == [0, 0, 0]
        assert indices(StridedSampler(50, 5), 250) == list(range(0, 250, 5))
        assert indices(StridedSampler(80, 3), 250) == list(range(5, 245, 3))

    @given(st.integers(1, 400), st.integers(1, 64), st.integers(1, 12))
    def test_evaluation_is_tensorflows_formula(self, length, count, stride):
        """A range over the list of frames, repeated as often as needed."""
        offset = max((length - count * stride) // 2, 0)
        repeated = list(range(length)) * math.ceil((count * stride + offset) / length)
        expected = [repeated[i] for i in range(offset, offset + count * stride, stride)]
        assert indices(StridedSampler(count, stride), length) == expected

    @given(st.integers(1, 400), st.integers(1, 64), st.integers(1, 12), st.integers(0, 2**32))
    def test_training_starts_anywhere_and_stays_inside(self, length, count, stride, seed):
        chosen = indices(StridedSampler(count, stride), length, seed, training=True)
        assert {(b - a) % length for a, b in itertools.pairwise(chosen)} <= {stride % length}
        if length > (count - 1) * stride:
            assert chosen == sorted(chosen)  # no repetition

    @pytest.mark.parametrize(("length", "starts"), [(21, 6), (16, 1), (15, 15), (10, 10)])
    def test_every_offset_is_drawn(self, length, starts):
        """L - (N - 1) * stride of them; all L where the video is too short."""
        drawn = {
            indices(StridedSampler(4, 5), length, seed, training=True)[0] for seed in range(300)
        }
        assert drawn == set(range(starts))

    @pytest.mark.parametrize(
        ("stride", "jitter", "strides"), [(5, 1, {4, 5}), (5, 0, {5}), (2, 3, {1, 2, 3, 4})]
    )
    def test_the_upper_end_of_the_strides_is_left_out(self, stride, jitter, strides):
        sampler = StridedSampler(2, stride, random_stride_range=jitter)
        drawn = {int(np.diff(indices(sampler, 100, seed, training=True))[0]) for seed in range(100)}
        assert drawn == strides
        assert np.diff(indices(sampler, 100)) == [stride]  # evaluation draws nothing

    def test_time_by_hand(self):
        """A tenth of a second between frames, then a fifth, whatever the rate of the file."""
        sampler = StridedSampler(3, 1, stride_fps=10)
        assert indices(sampler, 10, fps=20) == [2, 4, 6]
        assert indices(sampler, 3, fps=10) == [0, 1, 2]
        assert indices(sampler, 6, fps=5) == [2, 2, 3]
        sampler = StridedSampler(4, 5, stride_fps=25)
        assert indices(sampler, 24, fps=30) == [0, 6, 12, 18]
        assert indices(sampler, 10, fps=12.5) == [0, 2, 5, 7]

    @given(st.integers(1, 400), st.integers(1, 40), st.integers(1, 8), st.integers(0, 2**32))
    def test_a_file_of_that_rate_is_taken_as_it_is(self, length, count, stride, seed):
        frames, time = (StridedSampler(count, stride, 1, stride_fps=f) for f in (None, 25))
        for training in (False, True):
            expected = indices(frames, length, seed, training, fps=25.0)
            assert indices(time, length, seed, training, fps=25.0) == expected

    @given(
        st.floats(1, 240),
        st.integers(1, 2000),
        st.integers(1, 30),
        st.integers(1, 8),
        st.booleans(),
    )
    @example(2.0, 2, 8, 2, True)
    def test_frames_come_at_the_rate_asked_for(self, fps, length, count, stride, training):
        sampler = StridedSampler(count, stride, stride_fps=25)
        chosen = indices(sampler, length, 0, training, fps=fps)
        assert len(chosen) == count and all(0 <= i < length for i in chosen)
        if length / fps > count * stride / 25 + 0.1:  # long enough: nothing is repeated
            seconds = np.array(chosen) / fps
            ideal = seconds[0] + np.arange(count) * stride / 25
            # The nearest frame is half a frame off, the last one is shown for a whole frame; so is
            # the first of the clip, from which the others are counted.
            most = np.where(np.array(chosen) == length - 1, 1.5, 1.0) / fps
            assert (np.abs(seconds - ideal) <= most + 1e-9).all()

    def test_a_source_without_a_rate(self):
        with pytest.raises(
            DataError, match=r"frames have no times.* StridedSampler has stride_fps 25;"
        ):
            indices(StridedSampler(4, 5, stride_fps=25), 20, kind="frames")
        assert indices(StridedSampler(4, 5), 20, kind="frames") == [0, 5, 10, 15]

    @pytest.mark.parametrize("last", [1e30, float("inf"), float("nan")])
    def test_a_time_that_cannot_be_true(self, last):
        with pytest.raises(DataError, match=r"its last frame has the time .* cannot be true"):
            StridedSampler(4, 5, stride_fps=25).indices(
                2, rng(), False, times_seconds=np.array([0.0, last])
            )

    def test_states_its_rate(self):
        assert StridedSampler(4, 5, stride_fps=25).frame_rate == 5.0
        assert StridedSampler(4, 5, stride_fps=25).trained_rates == (5.0, 5.0)
        drawn = StridedSampler(4, 5, random_stride_range=3, stride_fps=35).trained_rates
        assert drawn == (5.0, 17.5)  # strides of 2 to 7
        for sampler in (StridedSampler(4, 5), UniformSampler(4), Sampler(4)):
            assert sampler.frame_rate is None and sampler.trained_rates is None

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"num_frames": 0, "stride": 1}, "num_frames must be at least 1"),
            ({"num_frames": 1, "stride": 0}, "stride must be at least 1"),
            ({"num_frames": 1, "stride": 1, "random_stride_range": -1}, "must not be negative"),
            ({"num_frames": 1, "stride": 1, "stride_fps": 0}, "stride_fps must be above 0"),
            ({"num_frames": 1, "stride": 1, "stride_fps": math.inf}, "stride_fps: .*finite"),
        ],
    )
    def test_wrong_arguments(self, arguments, message):
        with pytest.raises(ConfigError, match=message):
            SAMPLERS.build({"name": "StridedSampler", **arguments}, "S")


class TestSamplerDefault:
    def test_examples_of_the_reference(self):
        assert indices(Sampler(50, valid_mode=True), 131) == list(range(0, 100, 2))
        frames = indices(Sampler(8, valid_mode=True), 131, kind="frames")
        assert [i + 1 for i in frames] == [8, 24, 40, 56, 72, 88, 104, 120]

    @given(st.integers(1, 300), st.integers(1, 60), st.integers(1, 6), st.integers(0, 999))
    def test_formula(self, num_frames, num_seg, seg_len, seed):
        d = num_frames // num_seg
        got = np.array(indices(Sampler(num_seg, seg_len, valid_mode=True), num_frames))
        for i in range(num_seg):
            start = i * d + (d - 1) // 2 if d >= seg_len else i * d if d >= 1 else i
            expected = [(start + j) % num_frames for j in range(seg_len)]
            assert got.reshape(num_seg, seg_len)[i].tolist() == expected
        drawn = np.array(indices(Sampler(num_seg, seg_len), num_frames, seed))
        assert drawn.min() >= 0 and drawn.max() < num_frames
        if d >= seg_len:
            starts = drawn.reshape(num_seg, seg_len)[:, 0] - np.arange(num_seg) * d
            assert starts.min() >= 0 and starts.max() <= d - seg_len

    def test_draws_are_inclusive_and_independent(self):
        draws = np.array([indices(Sampler(2, 2), 10, seed) for seed in range(200)])
        assert set(draws[:, 0]) == {0, 1, 2, 3} and set(draws[:, 2]) == {5, 6, 7, 8}
        assert len({(a, b - 5) for a, b in draws[:, [0, 2]]}) == 16

    def test_short_video_wraps_and_short_folder_stays_at_its_end(self):
        assert indices(Sampler(5, valid_mode=True), 3) == [0, 1, 2, 0, 1]
        assert indices(Sampler(5, valid_mode=True), 3, kind="frames") == [0, 1, 2, 2, 2]

    def test_valid_mode_decides_not_the_pipeline(self):
        fixed = Sampler(4, valid_mode=True)
        assert indices(fixed, 90, 1, training=True) == indices(fixed, 90, 2, training=True)
        assert indices(Sampler(4), 90, 1) != indices(Sampler(4), 90, 2)


class TestSamplerRules:
    def test_select_left_example_of_the_reference(self):
        frames = indices(Sampler(8, valid_mode=True, select_left=True), 131, kind="frames")
        assert [i + 1 for i in frames] == [9, 25, 41, 58, 74, 91, 107, 123]

    def test_select_left_short(self):
        assert indices(Sampler(8, valid_mode=True, select_left=True), 8) == [0] * 8
        assert indices(Sampler(8, select_left=True), 7) == [0] * 8

    def test_select_left_training(self):
        draws = np.array([indices(Sampler(4, select_left=True), 21, seed) for seed in range(200)])
        for i in range(4):
            assert set(draws[:, i]) == set(range(5 * i, 5 * i + 5))

    def test_dense(self):
        valid = Sampler(8, valid_mode=True, dense_sample=True)
        got = np.array(indices(valid, 100)).reshape(10, 8)
        assert (valid.num_frames, valid.num_clips) == (8, 10)
        assert got[:, 0].tolist() == [int(v) for v in np.linspace(0, 36, 10)]
        assert (np.diff(got, axis=1) == 8).all()
        short = np.array(indices(valid, 30)).reshape(10, 8)
        assert short[0].tolist() == [0, 8, 16, 24, 2, 10, 18, 26]
        starts = {indices(Sampler(8, dense_sample=True), 100, seed)[0] for seed in range(600)}
        assert starts == set(range(36))

    def test_dense_beside_select_left(self):
        both = Sampler(8, dense_sample=True, select_left=True, valid_mode=True)
        assert indices(both, 99) == indices(Sampler(8, dense_sample=True, valid_mode=True), 99)

    def test_linspace(self):
        assert indices(Sampler(5, linspace_sample=True), 11) == [0, 2, 5, 7, 10]
        assert indices(Sampler(3, linspace_sample=True), 1) == [0, 0, 0]

    def test_frame_interval_valid(self):
        sampler = Sampler(2, 4, frame_interval=3, valid_mode=True)
        # O = 12, a = (40 - 11) / 2 = 14.5: starts 7 and 21.
        assert indices(sampler, 40) == [7, 10, 13, 16, 21, 24, 27, 30]
        assert indices(sampler, 11) == [0, 3, 6, 9] * 2
        assert indices(sampler, 5) == [0, 3, 1, 4] * 2

    @given(
        st.integers(1, 200),
        st.integers(1, 10),
        st.integers(1, 8),
        st.integers(1, 8),
        st.booleans(),
        st.integers(0, 99),
    )
    def test_frame_interval_in_range(self, num_frames, num_seg, seg_len, interval, valid, seed):
        sampler = Sampler(num_seg, seg_len, frame_interval=interval, valid_mode=valid)
        got = np.array(indices(sampler, num_frames, seed)).reshape(num_seg, seg_len)
        assert got.min() >= 0 and got.max() < num_frames
        free = num_frames - seg_len * interval + 1
        if free > num_seg:  # windows inside the video, starts in order
            assert (np.diff(got, axis=1) == interval).all()
            assert (np.diff(got[:, 0]) >= 0).all()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"num_seg": 0}, "num_seg must be at least 1"),
            ({"num_seg": 2, "select_left": True, "linspace_sample": True}, "exclude"),
            ({"num_seg": 2, "seg_len": 2, "select_left": True}, "seg_len must be 1"),
            ({"num_seg": 65, "dense_sample": True}, "at most 64"),
            ({"num_seg": 2, "use_pil": True}, 'unknown argument "use_pil"'),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(ConfigError, match=message):
            SAMPLERS.build({"name": "Sampler", **arguments}, "PIPELINE.train.sample")


class TestShortVideos:
    def test_hold_shows_the_last_frame_for_what_is_missing(self):
        sampler = StridedSampler(6, 2, short="hold")
        for training in (False, True):
            rng = np.random.default_rng(0)
            frames = sampler.indices(7, rng, training, "video", None)
            assert frames.tolist() == [0, 2, 4, 6, 6, 6]

    def test_hold_is_loop_where_nothing_is_missing(self):
        for training in (False, True):
            one, other = (
                StridedSampler(6, 2, short=short).indices(
                    40, np.random.default_rng(1), training, "video", None
                )
                for short in ("loop", "hold")
            )
            assert one.tolist() == other.tolist()

    def test_hold_by_times(self):
        times = np.arange(10) / 5
        sampler = StridedSampler(8, 5, stride_fps=10, short="hold")  # 2 a second, of 2 s
        frames = sampler.indices(10, np.random.default_rng(0), False, "video", times)
        assert frames.tolist() == [0, 2, 5, 7, 9, 9, 9, 9]

    def test_another_word_is_refused(self):
        with pytest.raises(ArgumentError, match="short must be loop or hold"):
            StridedSampler(2, 1, short="mirror")
