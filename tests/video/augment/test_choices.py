"""AutoAugment, RandAugment and RandomErasing: what is drawn, how often, and once for a clip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.utils.errors import ConfigError
from paddlevideo.video import TRANSFORMS, AutoAugment, RandAugment, RandomErasing
from paddlevideo.video.transforms import auto_augment, rand_augment
from paddlevideo.video.transforms.augment.operations import OPERATIONS, Reach
from paddlevideo.video.transforms.augment.policies import POLICIES


def rng(seed=0):
    return np.random.default_rng(seed)


def noise(*shape):
    return rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.fixture
def applied(monkeypatch):
    """Every (operation, level) that is applied, in place of the operations themselves."""
    calls = []

    def noting(name):
        def operation(clip, level, rng, reach):
            calls.append((name, level))
            return clip

        return operation

    noted = {name: noting(name) for name in OPERATIONS}
    monkeypatch.setattr(auto_augment, "OPERATIONS", noted)
    monkeypatch.setattr(rand_augment, "OPERATIONS", noted)
    return calls


@pytest.mark.parametrize("policy", ["v0", "imagenet"])
def test_the_policies_are_whole(policy):
    assert len(POLICIES[policy]) == 25
    for sub_policy in POLICIES[policy]:
        for name, probability, level in sub_policy:
            assert name in OPERATIONS and 0 <= probability <= 1 and 0 <= level <= 10


@pytest.mark.parametrize("policy", ["v0", "imagenet"])
def test_sub_policies_are_drawn_alike_and_steps_with_their_probability(policy, applied):
    step, clip, draws = AutoAugment(policy), noise(1, 4, 4), 20_000
    for seed in range(draws):
        step(clip, rng(seed))
    expected = {}
    for sub_policy in POLICIES[policy]:
        for name, probability, level in sub_policy:
            expected[name, level] = expected.get((name, level), 0) + probability / 25
    assert set(applied) == {key for key, share in expected.items() if share > 0}
    for key, share in expected.items():
        deviation = 5 * (share * max(1 - share, 0) / draws) ** 0.5 + 1e-9
        assert applied.count(key) / draws == pytest.approx(share, abs=deviation)


def test_both_steps_are_applied_in_order():
    clip = noise(2, 30, 30)
    reach = Reach()
    for seed in range(40):
        draw = rng(seed)
        expected = clip
        for name, probability, level in POLICIES["v0"][int(draw.integers(25))]:
            if draw.random() < probability:
                expected = OPERATIONS[name](expected, level, draw, reach)
        np.testing.assert_array_equal(AutoAugment()(clip, rng(seed)), expected)


def test_tensorflows_translation_leaves_nothing_of_a_small_frame():
    """translate_const 250 of the Kinetics configs; the default keeps more than half."""
    clip = noise(1, 172, 172)
    moved = [OPERATIONS["TranslateY"](clip, 9, rng(0), Reach(pixels)) for pixels in (250.0, None)]
    shares = [(m == 128).all(axis=-1).mean() for m in moved]
    assert shares[0] == 1.0 and shares[1] == pytest.approx(0.9 * 150 / 331, abs=0.01)


def test_rand_augment_draws_from_all(applied):
    step = RandAugment(num_layers=3, magnitude=7)
    for seed in range(3000):
        step(noise(1, 4, 4), rng(seed))
    assert len(applied) == 9000 and {level for _, level in applied} == {7}
    names = [name for name, _ in applied]
    assert set(names) == set(OPERATIONS) - {"Invert", "SolarizeAdd", "Cutout"}
    for name in set(names):
        assert names.count(name) / 9000 == pytest.approx(1 / 14, abs=0.015)


def test_a_magnitude_with_a_spread(applied):
    step = RandAugment(num_layers=1, magnitude=6, magnitude_std=1.5, operations=["Rotate"])
    for seed in range(3000):
        step(noise(1, 4, 4), rng(seed))
    levels = np.array([level for _, level in applied])
    assert levels.mean() == pytest.approx(6, abs=0.1)
    assert levels.std() == pytest.approx(1.5, abs=0.1) and levels.max() <= 10


class TestRandomErasing:
    @settings(deadline=None)
    @given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
    def test_a_box_through_all_frames(self, height, width, seed):
        """Nothing else changes; area and aspect are within what rounding to pixels allows."""
        clip = noise(3, height, width) // 2
        step = RandomErasing(p=1.0, area=(0.1, 0.4), aspect=(0.5, 2.0), fill=255)
        erased = step(clip, rng(seed))
        changed = (erased == 255).all(axis=-1)
        assert np.array_equal(changed, np.broadcast_to(changed[0], changed.shape))
        np.testing.assert_array_equal(erased[~changed], clip[~changed])
        if not changed.any():
            largest = (0.4 * 2.0 * height * width) ** 0.5  # longer side of a box, before rounding
            assert largest + 1 > min(height, width)  # else every draw fits
            return
        rows, columns = np.flatnonzero(changed[0].any(1)), np.flatnonzero(changed[0].any(0))
        box_height, box_width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert changed[0].sum() == box_height * box_width
        assert (box_height - 0.5) * (box_width - 0.5) <= 0.4 * height * width
        assert (box_height + 0.5) * (box_width + 0.5) >= 0.1 * height * width
        assert 0.5 <= (box_height + 0.5) / (box_width - 0.5)
        assert (box_height - 0.5) / (box_width + 0.5) <= 2.0

    def test_the_noise_is_still(self):
        clip: np.ndarray = np.zeros((4, 40, 40, 3), np.uint8)
        erased = RandomErasing(p=1.0, area=(0.3, 0.4))(clip, rng(2))
        inside = erased[0].any(axis=-1)
        assert all(np.array_equal(frame, erased[0]) for frame in erased)
        values = erased[0][inside]
        assert len(np.unique(values)) > 200 and abs(values.mean() - 127.5) < 10

    def test_probability_and_mean_area(self):
        clip: np.ndarray = np.zeros((1, 100, 100, 3), np.uint8)
        step = RandomErasing(p=0.3, area=(0.02, 0.3), aspect=(0.5, 2.0), fill=1)
        areas = np.array([step(clip, rng(s))[..., 0].mean() for s in range(3000)])
        assert (areas > 0).mean() == pytest.approx(0.3, abs=0.04)
        assert areas[areas > 0].mean() == pytest.approx(0.16, abs=0.02)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"name": "AutoAugment", "policy": "v9"}, "T.policy"),
        ({"name": "AutoAugment", "translate_const": -1}, "translate_const must not be negative"),
        ({"name": "RandAugment", "num_layers": 0}, "num_layers must be at least 1"),
        ({"name": "RandAugment", "magnitude": 11}, "magnitude must be from 0 to 10"),
        ({"name": "RandAugment", "operations": []}, "leave it out"),
        ({"name": "RandAugment", "operations": ["Rotat"]}, 'did you mean "Rotate"'),
        ({"name": "RandomErasing", "p": 1.5}, "p must be a probability"),
        ({"name": "RandomErasing", "area": [0.4, 0.1]}, "area must be two increasing"),
        ({"name": "RandomErasing", "aspect": [0.0, 1.0]}, "aspect must be two increasing"),
        ({"name": "RandomErasing", "fill": 256}, "fill must be noise or a value"),
        ({"name": "RandomErasing", "fill": "snow"}, "T.fill"),
    ],
)
def test_what_cannot_be_is_refused(node, message):
    with pytest.raises(ConfigError, match=message):
        TRANSFORMS.build(node, "T")
