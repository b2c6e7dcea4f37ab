"""What the videos say about how to train on them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevideo.apps.own_videos import choose_clip, class_weights, flip_is_safe, needs_balancing
from paddlevideo.utils.errors import ArgumentError


@pytest.mark.parametrize(
    ("durations", "rate", "frames", "video_rates", "expected"),
    [
        ([10.0] * 5, 5, 50, [30], (5, 50)),  # as long as the model's own clip
        ([8.5] * 5, 5, 50, [30], (5, 50)),
        ([2.13] * 5, 5, 50, [30], (12, 26)),  # the rate first, then fewer frames
        ([5.0] * 5, 5, 50, [30], (10, 50)),
        ([5.0] * 5, 5, 50, [8], (8, 40)),  # not above what the videos have
        ([5.0] * 5, 5, 50, [3], (5, 25)),
        ([0.3] * 5, 5, 50, [30], (12, 8)),
        ([], 5, 50, [], (5, 50)),
        ([0.0, float("nan")], 5, 50, [], (5, 50)),
    ],
)
def test_clips(durations, rate, frames, video_rates, expected):
    choice = choose_clip(durations, rate, frames, video_rates)
    assert (choice.frame_rate, choice.num_frames) == expected and choice.reason
    assert choice.seconds == pytest.approx(expected[1] / expected[0])


@given(
    st.lists(st.floats(0, 1e5), max_size=8), st.floats(0.5, 60), st.integers(1, 200),
    st.lists(st.floats(0, 240), max_size=4),
)  # fmt: skip
def test_clips_are_within_the_models_own(durations, rate, frames, video_rates):
    choice = choose_clip(durations, rate, frames, video_rates)
    assert rate <= choice.frame_rate <= 2.5 * rate and 1 <= choice.num_frames <= frames


@pytest.mark.parametrize(("rate", "frames"), [(0, 8), (-1, 8), (float("nan"), 8), (5, 0)])
def test_models_that_cannot_be(rate, frames):
    with pytest.raises(ArgumentError, match="no clip"):
        choose_clip([1.0], rate, frames)


@pytest.mark.parametrize(
    ("names", "is_safe"),
    [
        (["step_1_palms", "step_2_backs", "step_7_wrist"], True),
        (["bend", "jack", "wave1", "wave2"], True),
        (["copyright", "bright light", "leftovers"], True),
        (["baseball swing", "golf", "unright"], True),
        (["turn_left", "turn_right"], False),
        (["TurnLeft", "stop"], False),
        (["swipe-right2", "stop"], False),
        (["rotate clockwise", "stop"], False),
        (["rotate ccw", "stop"], False),
        (["wave_l", "wave_r"], False),
        (["A", "B", "C", "space"], False),
        (["0", "1", "2"], False),
        (["sign language", "walking"], False),
        (["向左", "向右"], False),
        (["links abbiegen", "halt"], False),
    ],
)
def test_where_a_mirrored_video_is_still_of_its_class(names, is_safe):
    assert flip_is_safe(names) == is_safe


@pytest.mark.parametrize(
    ("counts", "needed"),
    [({"a": 9, "b": 3}, False), ({"a": 10, "b": 3}, True), ({"a": 9, "b": 0}, False), ({}, False)],
)
def test_balancing(counts, needed):
    assert needs_balancing(counts) == needed


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 500), min_size=1, max_size=8))
def test_weights_draw_classes_equally_where_they_differ(counts):
    weights = class_weights(counts)
    total = sum(counts.values())
    drawn = {name: weights[name] * count for name, count in counts.items()}
    assert sum(drawn.values()) == pytest.approx(total)
    if needs_balancing(counts):
        assert len({round(value, 6) for name, value in drawn.items() if counts[name]}) == 1
    else:
        assert all(weights[name] == 1 for name, count in counts.items() if count)
